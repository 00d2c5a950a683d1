// Partial pooling of rates with covariates, centered: log rates scatter about a regression line.
data {
  int<lower=1> J; // number of groups
  array[J] int<lower=0> events; // events in each group
  vector<lower=0>[J] exposure; // for how long, or of how much, they were counted (years)
  int<lower=1> K; // number of covariates
  matrix[J, K] covariates; // what is known of each group, a column a covariate
  
  real location_mean; // prior mean of location
  real<lower=0> location_sd; // its prior sd
  real<lower=0> beta_scale; // prior sd of what an sd of a covariate adds to a log rate
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
  real location; // mean of the log rates at the means of the covariates
  vector<multiplier=1 ./ sd_x>[K] beta; // what one unit of each covariate adds to a log rate
  real<lower=0> scale; // sd of the log rates about the line
  vector[J] alpha; // log rates
}
transformed parameters {
  vector<lower=0>[J] theta = exp(alpha); // events in one unit of exposure (per year)
  real lprior = 0; // log density of the priors, one line each
  // The rate of a typical group is known to a factor of a hundred or so.
  lprior += normal_lpdf(location | location_mean, location_sd);
  // With 2.5, an sd of a covariate may well multiply the rate by 10, but not by 1000.
  lprior += normal_lpdf(beta | 0, beta_scale ./ sd_x);
  // With 1, the rates of most groups are within a factor of 7 of what their covariates say.
  lprior += normal_lpdf(scale | 0, scale_sd);
}
model {
  target += lprior;
  alpha ~ normal(location + x * beta, scale);
  if (prior_only == 0) {
    events ~ poisson_log(log(exposure) + alpha);
  }
}
generated quantities {
  real<lower=0> mu = exp(location + 0.5 * square(scale)); // mean of the rates at the means of the covariates (per year)
  real<lower=0> tau = mu * sqrt(expm1(square(scale))); // sd between rates there (per year)
  real<lower=0> sigma = sqrt(mu); // sd of the events in one unit of exposure there, on average
  // That of a group not seen yet, at the means of the covariates
  real<lower=0> theta_new = exp(normal_rng(location, scale));
  vector[pointwise * J] log_lik; // log probability of each group's events
  vector[pointwise * J] y_rep; // replicated rates (per year)
  for (j in 1 : pointwise * J) {
    log_lik[j] = poisson_lpmf(events[j] | exposure[j] * theta[j]);
    y_rep[j] = exposure[j] > 0
               ? poisson_rng(exposure[j] * theta[j]) / exposure[j] : 0;
  }
}
