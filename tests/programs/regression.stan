// A linear regression through the QR decomposition, with known sigma and flat priors: the
// posterior of beta is normal, with the mean and covariance of least squares.
data {
  int<lower=0> N;
  int<lower=1> K;
  matrix[N, K] x;
  vector[N] y;
  real<lower=0> sigma;
}
transformed data {
  matrix[N, K] q = qr_thin_Q(x) * sqrt(N - 1.0);
  matrix[K, K] r_inverse = inverse(qr_thin_R(x) / sqrt(N - 1.0));
}
parameters {
  vector[K] b;
}
transformed parameters {
  vector[K] beta = r_inverse * b;
}
model {
  profile("likelihood") {
    y ~ normal(q * b, sigma);
  }
}
generated quantities {
  vector[N] y_rep;
  profile("replications") {
    y_rep = to_vector(normal_rng(q * b, sigma));
  }
}
