// Bernoulli trials with a uniform prior: the posterior is a beta distribution.
functions {
#include success.stan
}
data {
  int<lower=0> N;
  array[N] int<lower=0, upper=1> y;
}
parameters {
  real<lower=0, upper=1> theta;
}
model {
  y ~ bernoulli(theta);
}
generated quantities {
  int successes = success(y);
  int y_new = bernoulli_rng(theta);
}
