// Partial pooling, non-centered, Student-t errors: a few observations may lie far from the mean
// of their group, and then say little of it.
data {
  int<lower=1> N; // number of observations
  int<lower=1> J; // number of groups
  array[N] int<lower=1, upper=J> group; // group of each observation
  vector[N] y; // outcome, in the unit of the data (hours a week)
  
  real mu_location; // prior mean of mu (hours)
  real<lower=0> mu_scale; // prior sd of mu (hours)
  real<lower=0> tau_df; // degrees of freedom of a half-t prior of tau; 0 for a uniform one
  real<lower=0> tau_scale; // scale of the half-t prior (hours)
  real<lower=0> tau_upper; // upper bound of the uniform one (hours)
  real<lower=0> sigma_upper; // upper bound of sigma (hours)
  real<lower=0> nu_fixed; // degrees of freedom of the errors; 0 where they are learnt
  real<lower=0> nu_shape; // shape of their gamma prior
  real<lower=0> nu_rate; // its rate
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
transformed data {
  real tau_most = tau_df > 0 ? positive_infinity() : tau_upper; // bound of tau (hours)
}
parameters {
  real mu; // mean of the group means (hours)
  real<lower=0, upper=tau_most> tau; // sd between group means (hours)
  real<lower=0, upper=sigma_upper> sigma; // scale of the errors (hours)
  vector[J] eta; // how many taus each group mean lies above mu
  vector<lower=0>[nu_fixed > 0 ? 0 : 1] nu_learnt; // degrees of freedom of the errors
}
transformed parameters {
  real<lower=0> nu = nu_fixed > 0 ? nu_fixed : nu_learnt[1]; // degrees of freedom of the errors
  vector[J] theta = mu + tau * eta; // group means (hours)
  real lprior = 0; // log density of the priors, one line each
  // Homework: mu is likely between 0 and 40 hours, so this prior decides little.
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  // Tau is half-t or uniform. Homework: every sd up to 1000 hours is as likely as any other; a week
  // has 168.
  if (tau_df > 0) {
    lprior += student_t_lpdf(tau | tau_df, 0, tau_scale);
  } else {
    lprior += uniform_lpdf(tau | 0, tau_upper);
  }
  lprior += uniform_lpdf(sigma | 0, sigma_upper);
  // Nu is likely between 2 and 50: from heavy tails to errors that are all but normal.
  if (nu_fixed == 0) {
    lprior += gamma_lpdf(nu | nu_shape, nu_rate);
  }
}
model {
  target += lprior;
  eta ~ std_normal();
  if (prior_only == 0) {
    y ~ student_t(nu, theta[group], sigma);
  }
}
generated quantities {
  real<lower=0> tau2 = square(tau); // variance between group means (hours squared)
  real<lower=0> sigma2 = square(sigma); // square of the errors' scale (hours squared)
  real theta_new = normal_rng(mu, tau); // mean of a group not seen yet (hours)
  real y_new = student_t_rng(nu, theta_new, sigma); // an observation in that group (hours)
  vector[pointwise * N] log_lik; // log density of each observation
  vector[pointwise * N] y_rep; // replicated observations (hours)
  for (n in 1 : pointwise * N) {
    log_lik[n] = student_t_lpdf(y[n] | nu, theta[group[n]], sigma);
    y_rep[n] = student_t_rng(nu, theta[group[n]], sigma);
  }
}
