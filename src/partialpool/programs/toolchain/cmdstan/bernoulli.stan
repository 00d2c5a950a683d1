// Independent trials whose probability of success is unknown: the example of CmdStan's manual.
data {
  int<lower=0> N; // trials
  array[N] int<lower=0, upper=1> y; // 1 for a success, 0 for a failure
}
parameters {
  real<lower=0, upper=1> theta; // probability of success
}
model {
  theta ~ beta(1, 1); // uniform
  y ~ bernoulli(theta);
}
