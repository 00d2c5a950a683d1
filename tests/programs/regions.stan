// A regression with effects of regions and a known sd: the posterior is normal. The data block names
// columns: rows, labels of one column, values by label, a matrix of two columns, a single number.
data {
  int<lower=0> rows;
  int<lower=1> K;
  int<lower=1> R;
  matrix[rows, K] X;
  array[rows] int<lower=1, upper=R> region;
  vector[R] depth;
  vector[rows] score;
  real<lower=0> noise;
}
parameters {
  vector[K] beta;
  vector[R] alpha;
}
model {
  beta ~ normal(0, 5);
  alpha ~ normal(depth, 1);
  score ~ normal(X * beta + alpha[region], noise);
}
generated quantities {
  matrix[R, K] slopes = rep_matrix(beta', R);
}
