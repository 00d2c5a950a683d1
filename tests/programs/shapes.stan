// Everything that a program may write: scalars, vectors, matrices, integers, tuples, nothing.
data {
  int<lower=1> J; // number of groups
  tuple(real, array[2] int) setting; // a tuple among the inputs
}
parameters {
  vector[J] eta;
  cholesky_factor_corr[2] L;
}
transformed parameters {
  vector[J] theta = setting.1 + eta;
}
model {
  eta ~ std_normal();
  L ~ lkj_corr_cholesky(2);
}
generated quantities {
  real lprior = std_normal_lpdf(eta);
  corr_matrix[2] Omega = multiply_lower_tri_self_transpose(L);
  int first = theta[1] > theta[2];
  int never = theta[1] > setting.1 + 9;
  tuple(real, array[2] int) pair = (theta[1], setting.2);
  complex z = to_complex(theta[1], theta[2]);
  array[2] matrix[1, 2] table = {[[1, theta[1]]], [[theta[2], 2]]};
  vector[3] log_lik = [theta[1], theta[2], 0]';
  vector[0] nothing;
  matrix[0, 3] flat;
}
