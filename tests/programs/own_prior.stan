// Complete pooling with a prior that contradicts the homework data, and a power for it.
data {
  int<lower=1> N; // number of observations
  vector[N] y; // outcome (hours a week)
  real<lower=0> prior_power; // exponent of the priors
}
parameters {
  real theta; // mean of every group (hours)
  real<lower=0> sigma; // sd of the observations (hours)
}
transformed parameters {
  real lprior = 0; // log density of the priors, one line each
  lprior += normal_lpdf(theta | 2, 1);
  lprior += exponential_lpdf(sigma | 0.2);
}
model {
  target += prior_power * lprior;
  y ~ normal(theta, sigma);
}
