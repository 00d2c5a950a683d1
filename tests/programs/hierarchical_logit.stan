// Groups of binary outcomes with a normal distribution of log odds, non-centered; the likelihood
// is summed in parallel.
functions {
  real partial_sum(array[] int y, int start, int end, vector alpha, array[] int group) {
    return bernoulli_logit_lpmf(y | alpha[group[start : end]]);
  }
}
data {
  int<lower=0> N;
  int<lower=1> J;
  array[N] int<lower=1, upper=J> group;
  array[N] int<lower=0, upper=1> y;
}
parameters {
  real mu;
  real<lower=0> tau;
  vector[J] eta;
}
transformed parameters {
  vector[J] alpha = mu + tau * eta;
}
model {
  mu ~ normal(0, 2);
  tau ~ normal(0, 1);
  eta ~ std_normal();
  target += reduce_sum(partial_sum, y, 1, alpha, group);
}
