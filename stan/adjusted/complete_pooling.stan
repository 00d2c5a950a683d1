// Complete pooling with adjustment: every group mean lies on a regression line, from sums by group.
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
  real<lower=0> sigma2_shape; // shape of the inverse-gamma prior of sigma2
  real<lower=0> sigma2_scale; // its scale (hours squared)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
}
transformed data {
  matrix[J, K] x = covariates - rep_matrix(middle', J); // means of the groups, counted from there
  matrix[M, K] deviations = diag_post_multiply(x_within, sd_x); // within groups, in their units
  real df = sum(n) - J - M; // degrees of freedom that are left within groups
}
parameters {
  real mu; // mean of a group at the means of the covariates (hours)
  vector<multiplier=beta_scale ./ sd_x>[K] beta; // what one unit of each covariate adds (hours a unit)
  real<lower=0> sigma2; // variance of the observations (hours squared)
}
transformed parameters {
  vector[J] theta = mu + x * beta; // mean of each group, at its own covariates (hours)
  real<lower=0> sigma = sqrt(sigma2); // sd of the observations (hours)
  real lprior = 0; // log density of the priors, one line each
  // Homework: mu is likely between 0 and 40 hours, so this prior decides little.
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  // An sd of a covariate hardly moves the group means by more than a few times their own spread.
  lprior += normal_lpdf(beta | 0, beta_scale ./ sd_x);
  // Homework: shape and scale 0.01 say next to nothing, as long as sigma2 is not near zero.
  lprior += inv_gamma_lpdf(sigma2 | sigma2_shape, sigma2_scale);
}
model {
  target += lprior;
  if (prior_only == 0) {
    ybar ~ normal(theta, sigma ./ sqrt(n));
    y_within ~ normal(deviations * beta, sigma);
    target += -0.5 * ssw / sigma2 - df * log(sigma);
  }
}

