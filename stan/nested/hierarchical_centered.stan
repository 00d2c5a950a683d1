// Partial pooling of groups within groups, centered: means come from those of outer groups.
data {
  int<lower=1> N; // number of observations
  int<lower=1> J; // number of groups
  array[N] int<lower=1, upper=J> group; // group of each observation
  vector[N] y; // outcome, in the unit of the data (hours a week)
  int<lower=1> K; // number of outer groups
  array[J] int<lower=1, upper=K> outer; // outer group of each group
  
  real mu_location; // prior mean of mu (hours)
  real<lower=0> mu_scale; // prior sd of mu (hours)
  real<lower=0> omega_df; // degrees of freedom of the half-t prior of omega; 1 makes it half-Cauchy
  real<lower=0> omega_scale; // its scale (hours)
  real<lower=0> tau_df; // degrees of freedom of the half-t prior of tau; 1 makes it half-Cauchy
  real<lower=0> tau_scale; // its scale (hours)
  real<lower=0> sigma_upper; // upper bound of sigma (hours)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
transformed data {
  // Mean and spread of the observations: what is sampled is counted in these, whatever the unit.
  real center = mean(y);
  real spread = sd(y);
}
parameters {
  real<offset=center, multiplier=spread> mu; // mean of the outer groups (hours)
  real<lower=0> omega; // sd between outer groups (hours)
  real<lower=0> tau; // sd between the groups of one outer group (hours)
  real<lower=0, upper=sigma_upper> sigma; // sd within groups (hours)
  vector<offset=center, multiplier=spread>[K] phi; // means of the outer groups (hours)
  vector<offset=center, multiplier=spread>[J] theta; // group means (hours)
}
transformed parameters {
  real lprior = 0; // log density of the priors, one line each
  // Wherever the observations lie, a mean there is about as likely as any other near them.
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  // Half of each prior lies below about its scale, and its tail admits any spread.
  lprior += student_t_lpdf(omega | omega_df, 0, omega_scale);
  lprior += student_t_lpdf(tau | tau_df, 0, tau_scale);
  lprior += uniform_lpdf(sigma | 0, sigma_upper);
}
model {
  target += lprior;
  phi ~ normal(mu, omega);
  theta ~ normal(phi[outer], tau);
  if (prior_only == 0) {
    y ~ normal(theta[group], sigma);
  }
}
generated quantities {
  real<lower=0> omega2 = square(omega); // variance between outer groups (hours squared)
  real<lower=0> tau2 = square(tau); // variance between the groups of one outer group (hours squared)
  real<lower=0> sigma2 = square(sigma); // variance within groups (hours squared)
  real phi_new = normal_rng(mu, omega); // mean of an outer group not seen yet (hours)
  real theta_new = normal_rng(phi_new, tau); // mean of a group in it (hours)
  real y_new = normal_rng(theta_new, sigma); // an observation in that group (hours)
  vector[pointwise * N] log_lik; // log density of each observation
  vector[pointwise * N] y_rep; // replicated observations (hours)
  for (n in 1 : pointwise * N) {
    log_lik[n] = normal_lpdf(y[n] | theta[group[n]], sigma);
    y_rep[n] = normal_rng(theta[group[n]], sigma);
  }
}
