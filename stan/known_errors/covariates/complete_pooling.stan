// Complete pooling of estimates with covariates: every effect lies on a regression line.
data {
  int<lower=1> J; // number of groups, each with one estimate
  vector[J] y; // estimates, in the unit of the data (points)
  vector<lower=0>[J] se; // their standard errors, known (points)
  int<lower=1> K; // number of covariates
  matrix[J, K] covariates; // what is known of each group, a column a covariate
  
  real mu_location; // prior mean of mu (points)
  real<lower=0> mu_scale; // prior sd of mu (points)
  real<lower=0> beta_scale; // prior sd of what an sd of a covariate adds to an effect (points)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
transformed data {
  // Covariates are counted from their means over the groups, where mu is.
  matrix[J, K] x; // covariates less these means
  vector<lower=0>[K] sd_x; // their sds over the groups
  for (k in 1 : K) {
    x[ : , k] = covariates[ : , k] - mean(covariates[ : , k]);
    sd_x[k] = sd(covariates[ : , k]);
  }
  // Mean and spread of the estimates: what is sampled is counted in these, whatever the unit.
  real center = mean(y);
  real spread = sqrt(variance(y) + mean(square(se)));
}
parameters {
  real<offset=center, multiplier=spread> mu; // mean of the effects at the means of the covariates (points)
  vector<multiplier=spread ./ sd_x>[K] beta; // what one unit of each covariate adds (points a unit)
}
transformed parameters {
  vector[J] theta = mu + x * beta; // effects (points)
  real lprior = 0; // log density of the priors, one line each
  // Wherever the estimates lie, a mean there is about as likely as any other near them.
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  // An sd of a covariate hardly moves the effects by more than a few times their own spread.
  lprior += normal_lpdf(beta | 0, beta_scale ./ sd_x);
}
model {
  target += lprior;
  if (prior_only == 0) {
    y ~ normal(theta, se);
  }
}
generated quantities {
  vector[pointwise * J] log_lik; // log density of each estimate
  vector[pointwise * J] y_rep; // replicated estimates (points)
  for (j in 1 : pointwise * J) {
    log_lik[j] = normal_lpdf(y[j] | theta[j], se[j]);
    y_rep[j] = normal_rng(theta[j], se[j]);
  }
}
