// Partial pooling of estimates in groups within groups, non-centered: effects come from those of outer groups.
data {
  int<lower=1> J; // number of groups, each with one estimate
  vector[J] y; // estimates, in the unit of the data (points)
  vector<lower=0>[J] se; // their standard errors, known (points)
  int<lower=1> K; // number of outer groups
  array[J] int<lower=1, upper=K> outer; // outer group of each group
  
  real mu_location; // prior mean of mu (points)
  real<lower=0> mu_scale; // prior sd of mu (points)
  real<lower=0> omega_df; // degrees of freedom of the half-t prior of omega; 1 makes it half-Cauchy
  real<lower=0> omega_scale; // its scale (points)
  real<lower=0> tau_df; // degrees of freedom of the half-t prior of tau; 1 makes it half-Cauchy
  real<lower=0> tau_scale; // its scale (points)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
transformed data {
  // Mean and spread of the estimates: what is sampled is counted in these, whatever the unit.
  real center = mean(y);
  real spread = sqrt(variance(y) + mean(square(se)));
}
parameters {
  real<offset=center, multiplier=spread> mu; // mean of the outer groups (points)
  real<lower=0> omega; // sd between outer groups (points)
  real<lower=0> tau; // sd between the groups of one outer group (points)
  vector[K] zeta; // how many omegas each outer group lies above mu
  vector[J] eta; // how many taus each group lies above its outer group
}
transformed parameters {
  vector[K] phi = mu + omega * zeta; // means of the outer groups (points)
  vector[J] theta = phi[outer] + tau * eta; // effects (points)
  real lprior = 0; // log density of the priors, one line each
  // Wherever the estimates lie, a mean there is about as likely as any other near them.
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  // Half of each prior lies below about its scale, and its tail admits any spread.
  lprior += student_t_lpdf(omega | omega_df, 0, omega_scale);
  lprior += student_t_lpdf(tau | tau_df, 0, tau_scale);
}
model {
  target += lprior;
  zeta ~ std_normal();
  eta ~ std_normal();
  if (prior_only == 0) {
    y ~ normal(theta, se);
  }
}
generated quantities {
  real<lower=0> omega2 = square(omega); // variance between outer groups (points squared)
  real<lower=0> tau2 = square(tau); // variance between the groups of one outer group (points squared)
  real phi_new = normal_rng(mu, omega); // mean of an outer group not seen yet (points)
  real theta_new = normal_rng(phi_new, tau); // effect of a group in it (points)
  vector[pointwise * J] log_lik; // log density of each estimate
  vector[pointwise * J] y_rep; // replicated estimates (points)
  for (j in 1 : pointwise * J) {
    log_lik[j] = normal_lpdf(y[j] | theta[j], se[j]);
    y_rep[j] = normal_rng(theta[j], se[j]);
  }
}
