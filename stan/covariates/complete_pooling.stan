// Complete pooling with covariates: every group mean lies on a regression line.
data {
  int<lower=1> N; // number of observations
  int<lower=1> J; // number of groups
  array[N] int<lower=1, upper=J> group; // group of each observation
  vector[N] y; // outcome, in the unit of the data (hours a week)
  int<lower=1> K; // number of covariates
  matrix[J, K] covariates; // what is known of each group, a column a covariate
  
  real mu_location; // prior mean of mu (hours)
  real<lower=0> mu_scale; // prior sd of mu (hours)
  real<lower=0> beta_scale; // prior sd of what an sd of a covariate adds to a group mean (hours)
  real<lower=0> sigma2_shape; // shape of the inverse-gamma prior of sigma2
  real<lower=0> sigma2_scale; // its scale (hours squared)
  
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
}
parameters {
  real mu; // mean of a group at the means of the covariates (hours)
  vector<multiplier=sd(y) ./ sd_x>[K] beta; // what one unit of each covariate adds (hours a unit)
  real<lower=0> sigma2; // variance of the observations (hours squared)
}
transformed parameters {
  vector[J] theta = mu + x * beta; // group means (hours)
  real<lower=0> sigma = sqrt(sigma2); // sd of the observations (hours)
  real lprior = 0; // log density of the priors, one line each
  // Homework: mu is likely between 0 and 40 hours, so this prior decides little.
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  // An sd of a covariate hardly moves the group means by more than a few times their own spread.
  lprior += normal_lpdf(beta | 0, beta_scale ./ sd_x);
  // Homework: shape and scale 0.01 say next to nothing, as long as sigma2 is not near zero.
  lprior += inv_gamma_lpdf(sigma2 | sigma2_shape, sigma2_scale);
}
model {
  target += lprior;
  if (prior_only == 0) {
    y ~ normal(theta[group], sigma);
  }
}
generated quantities {
  vector[pointwise * N] log_lik; // log density of each observation
  vector[pointwise * N] y_rep; // replicated observations (hours)
  for (n in 1 : pointwise * N) {
    log_lik[n] = normal_lpdf(y[n] | theta[group[n]], sigma);
    y_rep[n] = normal_rng(theta[group[n]], sigma);
  }
}
