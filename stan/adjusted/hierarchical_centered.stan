// Partial pooling with adjustment, centered: the group means scatter about a regression line.
data {
  int<lower=1> J; // number of groups
  vector<lower=0>[J] n; // observations in each group
  vector[J] ybar; // sample means, in the unit of the data (hours a week)
  int<lower=1> K; // number of covariates
  matrix[J, K] covariates; // mean of each covariate in each group, in its unit
  vector[K] middle; // mean of each covariate, where mu is
  vector<lower=0>[K] sd_x; // sd of each covariate
  // What deviations from the group means say of the slopes, summed up in a few rows: as much as all
  // of them, y_within = x_within * (slopes for an sd) + error with sd sigma.
  int<lower=1> M; // number of these rows
  matrix[M, K] x_within; // covariates, in sds
  vector[M] y_within; // outcomes (hours)
  real<lower=0> ssw; // sum of squares that these slopes leave within groups
  
  real mu_location; // prior mean of mu (hours)
  real<lower=0> mu_scale; // prior sd of mu (hours)
  real<lower=0> beta_scale; // prior sd of what an sd of a covariate adds (hours)
  real<lower=0> tau_df; // degrees of freedom of a half-t prior of tau; 0 for a uniform one
  real<lower=0> tau_scale; // scale of the half-t prior (hours)
  real<lower=0> tau_upper; // upper bound of the uniform one (hours)
  real<lower=0> sigma_upper; // upper bound of sigma (hours)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
}
transformed data {
  matrix[J, K] x = covariates - rep_matrix(middle', J); // means of the groups, counted from there
  matrix[M, K] deviations = diag_post_multiply(x_within, sd_x); // within groups, in their units
  real df = sum(n) - J - M; // degrees of freedom that are left within groups
  real tau_most = tau_df > 0 ? positive_infinity() : tau_upper; // bound of tau (hours)
}
parameters {
  real mu; // mean of the group means at the means of the covariates (hours)
  vector<multiplier=beta_scale ./ sd_x>[K] beta; // what one unit of each covariate adds (hours a unit)
  real<lower=0, upper=tau_most> tau; // sd of the group means about the line (hours)
  real<lower=0, upper=sigma_upper> sigma; // sd within groups (hours)
  vector[J] theta; // mean of each group, at its own covariates (hours)
}
transformed parameters {
  real lprior = 0; // log density of the priors, one line each
  // Homework: mu is likely between 0 and 40 hours, so this prior decides little.
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  // An sd of a covariate hardly moves the group means by more than a few times their own spread.
  lprior += normal_lpdf(beta | 0, beta_scale ./ sd_x);
  // Tau is half-t or uniform. Homework: every sd up to 1000 hours is as likely as any other; a week
  // has 168.
  if (tau_df > 0) {
    lprior += student_t_lpdf(tau | tau_df, 0, tau_scale);
  } else {
    lprior += uniform_lpdf(tau | 0, tau_upper);
  }
  lprior += uniform_lpdf(sigma | 0, sigma_upper);
}
model {
  target += lprior;
  theta ~ normal(mu + x * beta, tau);
  if (prior_only == 0) {
    ybar ~ normal(theta, sigma ./ sqrt(n));
    y_within ~ normal(deviations * beta, sigma);
    target += -0.5 * ssw / square(sigma) - df * log(sigma);
  }
}
generated quantities {
  real<lower=0> tau2 = square(tau); // variance about the line (hours squared)
  real<lower=0> sigma2 = square(sigma); // variance within groups (hours squared)
  real theta_new = normal_rng(mu, tau); // mean of a group not seen yet, at the means of the covariates (hours)
  real y_new = normal_rng(theta_new, sigma); // an observation in that group (hours)
}

