// A normal mu, and trouble on demand: each input asks for one kind of it.
data {
  int<lower=0> steps; // sines that each gradient costs: thousands make a chain last for minutes
  real scale; // sd of mu; a negative one is rejected
  real limit; // a chain that comes above it ends with a fatal error
  int<lower=0> width; // numbers that each draw writes besides
}
parameters {
  real mu;
}
model {
  if (mu > limit) {
    fatal_error("mu has left the table at ", mu);
  }
  mu ~ normal(0, scale);
  real sines = 0;
  for (i in 1 : steps) {
    sines += sin(1e-3 * i);
  }
  target += 1e-30 * sines;
}
generated quantities {
  vector[width] noise;
  for (i in 1 : width) {
    noise[i] = normal_rng(0, 1);
  }
}
