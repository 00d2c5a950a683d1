// Partial pooling of proportions with covariates, non-centered: logits scatter about a regression line.
functions {
  // Mean and sd of the probabilities in a population of logits, and the mean sd of a trial within a
  // group: sums over normal numbers z in steps of 1/4, which are as good as integrals here.
  vector moments(real location, real scale) {
    vector[65] z = linspaced_vector(65, -8, 8);
    vector[65] p = inv_logit(location + scale * z);
    vector[65] weight = softmax(-0.5 * square(z));
    real mean_p = dot_product(weight, p);
    return [mean_p, sqrt(dot_product(weight, square(p - mean_p))),
            sqrt(dot_product(weight, p .* (1 - p)))]';
  }
}
data {
  int<lower=1> J; // number of groups
  array[J] int<lower=0> successes; // successes in each group
  array[J] int<lower=0> trials; // trials in each group
  int<lower=1> K; // number of covariates
  matrix[J, K] covariates; // what is known of each group, a column a covariate
  
  real location_mean; // prior mean of location
  real<lower=0> location_sd; // its prior sd
  real<lower=0> beta_scale; // prior sd of what an sd of a covariate adds to a logit
  real<lower=0> scale_sd; // the prior of scale is half-normal with this sd
  
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
  real location; // mean of the logits at the means of the covariates
  vector<multiplier=1 ./ sd_x>[K] beta; // what one unit of each covariate adds to a logit
  real<lower=0> scale; // sd of the logits about the line
  vector[J] eta; // how many scales each alpha lies above the line
}
transformed parameters {
  vector[J] alpha = location + x * beta + scale * eta; // logits of the probabilities
  vector<lower=0, upper=1>[J] theta = inv_logit(alpha); // probabilities of success
  real lprior = 0; // log density of the priors, one line each
  // The chance of a typical group is anything from next to 0 to next to 1.
  lprior += normal_lpdf(location | location_mean, location_sd);
  // With 2.5, an sd of a covariate may well multiply the odds by 10, but not by 1000.
  lprior += normal_lpdf(beta | 0, beta_scale ./ sd_x);
  // With 1, the odds of most groups are within a factor of 7 of what their covariates say.
  lprior += normal_lpdf(scale | 0, scale_sd);
}
model {
  target += lprior;
  eta ~ std_normal();
  if (prior_only == 0) {
    successes ~ binomial_logit(trials, alpha);
  }
}
generated quantities {
  real<lower=0, upper=1> mu; // mean of the probabilities at the means of the covariates
  real<lower=0> tau; // sd between probabilities there
  real<lower=0> sigma; // sd of a trial within a group there, on average
  {
    vector[3] population = moments(location, scale);
    mu = population[1];
    tau = population[2];
    sigma = population[3];
  }
  // That of a group not seen yet, at the means of the covariates
  real<lower=0, upper=1> theta_new = inv_logit(normal_rng(location, scale));
  vector[pointwise * J] log_lik; // log probability of each group's successes
  vector[pointwise * J] y_rep; // replicated proportions
  for (j in 1 : pointwise * J) {
    log_lik[j] = binomial_logit_lpmf(successes[j] | trials[j], alpha[j]);
    y_rep[j] = binomial_rng(trials[j], theta[j]) / fmax(1, trials[j]);
  }
}
