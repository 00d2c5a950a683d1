// Exponential decay by an ODE solver of Sundials, and every kind of variable: tuple, complex,
// arrays without elements.
functions {
  vector decay(real t, vector z, real k) {
    return -k * z;
  }
}
data {
  int<lower=0> T;
  array[T] real<lower=0> t;
  vector[T] y;
  int<lower=0> M;
}
parameters {
  real<lower=0> k;
  vector[M] nothing;
}
transformed parameters {
  array[T] vector[1] z = ode_bdf(decay, [1.0]', 0, t, k);
  tuple(real, array[2] vector[2]) pair = (k, {[k, 2 * k]', [3 * k, 4 * k]'});
  complex w = to_complex(k, -k);
  complex_vector[2] v = [w, 2 * w]';
  array[M, 2] real none;
}
model {
  k ~ lognormal(0, 1);
  for (i in 1 : T) {
    y[i] ~ normal(z[i, 1], 0.1);
  }
}
