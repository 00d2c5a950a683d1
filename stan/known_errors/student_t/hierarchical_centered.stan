// Partial pooling of estimates, centered,
// Student-t population: a few effects may lie far from the others.
data {
  int<lower=1> J; // number of groups, each with one estimate
  vector[J] y; // estimates, in the unit of the data (points)
  vector<lower=0>[J] se; // their standard errors, known (points)
  
  real mu_location; // prior mean of mu (points)
  real<lower=0> mu_scale; // prior sd of mu (points)
  real<lower=0> tau_df; // degrees of freedom of the half-t prior of tau; 1 makes it half-Cauchy
  real<lower=0> tau_scale; // its scale (points)
  real<lower=0> nu_fixed; // degrees of freedom of the population; 0 where they are learnt
  real<lower=0> nu_shape; // shape of their gamma prior
  real<lower=0> nu_rate; // its rate
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
transformed data {
  // Mean and spread of the estimates: what is sampled is counted in these, whatever the unit.
  real center = mean(y);
  real spread = sqrt(variance(y) + mean(square(se)));
}
parameters {
  real<offset=center, multiplier=spread> mu; // mean of the effects (points)
  real<lower=0> tau; // scale of the population of effects (points)
  vector<offset=center, multiplier=spread>[J] theta; // effects (points)
  vector<lower=0>[nu_fixed > 0 ? 0 : 1] nu_learnt; // degrees of freedom of the population
}
transformed parameters {
  real<lower=0> nu = nu_fixed > 0 ? nu_fixed : nu_learnt[1]; // degrees of freedom of the population
  real lprior = 0; // log density of the priors, one line each
  // Eight schools: mean effects beyond 100 points would surprise, on a test with an sd of 100.
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  // Eight schools: half of the prior lies below 25 points, and its tail admits any spread.
  lprior += student_t_lpdf(tau | tau_df, 0, tau_scale);
  // Nu is likely between 2 and 50: from heavy tails to a population that is all but normal.
  if (nu_fixed == 0) {
    lprior += gamma_lpdf(nu | nu_shape, nu_rate);
  }
}
model {
  target += lprior;
  theta ~ student_t(nu, mu, tau);
  if (prior_only == 0) {
    y ~ normal(theta, se);
  }
}
generated quantities {
  // How much wider than tau the population is for each group: the larger, the further out it lies
  vector<lower=0>[J] scale;
  for (j in 1 : J) {
    scale[j] = inv_sqrt(
                        gamma_rng(0.5 * (nu + 1),
                                  0.5 * (nu + square((theta[j] - mu) / tau))));
  }
  real<lower=0> tau2 = square(tau); // its square (points squared)
  real theta_new = student_t_rng(nu, mu, tau); // effect in a group not seen yet (points)
  vector[pointwise * J] log_lik; // log density of each estimate
  vector[pointwise * J] y_rep; // replicated estimates (points)
  for (j in 1 : pointwise * J) {
    log_lik[j] = normal_lpdf(y[j] | theta[j], se[j]);
    y_rep[j] = normal_rng(theta[j], se[j]);
  }
}
