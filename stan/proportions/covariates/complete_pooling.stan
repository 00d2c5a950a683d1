// Complete pooling of proportions with covariates: logistic regression, every logit on one line.
data {
  int<lower=1> J; // number of groups
  array[J] int<lower=0> successes; // successes in each group
  array[J] int<lower=0> trials; // trials in each group
  int<lower=1> K; // number of covariates
  matrix[J, K] covariates; // what is known of each group, a column a covariate
  
  real location_mean; // prior mean of location
  real<lower=0> location_sd; // its prior sd
  real<lower=0> beta_scale; // prior sd of what an sd of a covariate adds to a logit
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
transformed data {
  // Covariates are counted from their means over the groups, where location is.
  matrix[J, K] x; // covariates less these means
  vector<lower=0>[K] sd_x; // their sds over the groups
  for (k in 1 : K) {
    x[ : , k] = covariates[ : , k] - mean(covariates[ : , k]);
    sd_x[k] = sd(covariates[ : , k]);
  }
}
parameters {
  real location; // logit at the means of the covariates
  vector<multiplier=1 ./ sd_x>[K] beta; // what one unit of each covariate adds to a logit
}
transformed parameters {
  vector[J] alpha = location + x * beta; // logits of the probabilities
  vector<lower=0, upper=1>[J] theta = inv_logit(alpha); // probabilities of success
  real lprior = 0; // log density of the priors, one line each
  // The chance of a typical group is anything from next to 0 to next to 1.
  lprior += normal_lpdf(location | location_mean, location_sd);
  // With 2.5, an sd of a covariate may well multiply the odds by 10, but not by 1000.
  lprior += normal_lpdf(beta | 0, beta_scale ./ sd_x);
}
model {
  target += lprior;
  if (prior_only == 0) {
    successes ~ binomial_logit(trials, alpha);
  }
}
generated quantities {
  real<lower=0, upper=1> mu = inv_logit(location); // probability at the means of the covariates
  vector[pointwise * J] log_lik; // log probability of each group's successes
  vector[pointwise * J] y_rep; // replicated proportions
  for (j in 1 : pointwise * J) {
    log_lik[j] = binomial_logit_lpmf(successes[j] | trials[j], alpha[j]);
    y_rep[j] = binomial_rng(trials[j], theta[j]) / fmax(1, trials[j]);
  }
}
