// Partial pooling of estimates with covariates, centered: effects scatter about a regression line.
data {
  int<lower=1> J; // number of groups, each with one estimate
  vector[J] y; // estimates, in the unit of the data (points)
  vector<lower=0>[J] se; // their standard errors, known (points)
  int<lower=1> K; // number of covariates
  matrix[J, K] covariates; // what is known of each group, a column a covariate
  
  real mu_location; // prior mean of mu (points)
  real<lower=0> mu_scale; // prior sd of mu (points)
  real<lower=0> beta_scale; // prior sd of what an sd of a covariate adds to an effect (points)
  real<lower=0> tau_df; // degrees of freedom of the half-t prior of tau; 1 makes it half-Cauchy
  real<lower=0> tau_scale; // its scale (points)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
transformed data {
  // Covariates are counted from their means over the groups, where mu is.
  matrix[J, K] x; // covariates less these means
  vector<lower=0>[K] sd_x; // their sds over the groups
  for (k in 1 : K) {
    x[ : , k] = covariates[ : , k] - mean(covariates[ : , k]);
    sd_x[k] = sd(covariates[ : , k]);
  }
  // Mean and spread of the estimates: what is sampled is counted in these, whatever the unit.
  real center = mean(y);
  real spread = sqrt(variance(y) + mean(square(se)));
}
parameters {
  real<offset=center, multiplier=spread> mu; // mean of the effects at the means of the covariates (points)
  vector<multiplier=spread ./ sd_x>[K] beta; // what one unit of each covariate adds (points a unit)
  real<lower=0> tau; // sd of the effects about the line (points)
  vector<offset=center, multiplier=spread>[J] theta; // effects (points)
}
transformed parameters {
  real lprior = 0; // log density of the priors, one line each
  // Wherever the estimates lie, a mean there is about as likely as any other near them.
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  // An sd of a covariate hardly moves the effects by more than a few times their own spread.
  lprior += normal_lpdf(beta | 0, beta_scale ./ sd_x);
  // Half of the prior lies below about tau_scale, and its tail admits any spread.
  lprior += student_t_lpdf(tau | tau_df, 0, tau_scale);
}
model {
  target += lprior;
  theta ~ normal(mu + x * beta, tau);
  if (prior_only == 0) {
    y ~ normal(theta, se);
  }
}
generated quantities {
  real<lower=0> tau2 = square(tau); // variance about the line (points squared)
  real theta_new = normal_rng(mu, tau); // effect in a new group at the means of the covariates (points)
  vector[pointwise * J] log_lik; // log density of each estimate
  vector[pointwise * J] y_rep; // replicated estimates (points)
  for (j in 1 : pointwise * J) {
    log_lik[j] = normal_lpdf(y[j] | theta[j], se[j]);
    y_rep[j] = normal_rng(theta[j], se[j]);
  }
}
