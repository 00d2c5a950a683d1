// No pooling with adjustment: each group has a mean of its own, and all share slopes and one variance.
// Slopes are learned from deviations within groups alone; from sums by group.
data {
  int<lower=1> J; // number of groups
  vector<lower=0>[J] n; // observations in each group
  vector[J] ybar; // sample means, in the unit of the data (hours a week)
  int<lower=1> K; // number of covariates
  // What deviations from the group means say of the slopes, summed up in a few rows: as much as all
  // of them, y_within = x_within * (slopes for an sd) + error with sd sigma.
  int<lower=1> M; // number of these rows
  matrix[M, K] x_within; // covariates, in sds
  vector[M] y_within; // outcomes (hours)
  real<lower=0> ssw; // sum of squares that these slopes leave within groups
  
  real theta_location; // prior mean of every theta (hours)
  real<lower=0> theta_scale; // prior sd of every theta (hours)
  real<lower=0> beta_scale; // prior sd of what an sd of a covariate adds (hours)
  real<lower=0> sigma2_shape; // shape of the inverse-gamma prior of sigma2
  real<lower=0> sigma2_scale; // its scale (hours squared)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
}
transformed data {
  real df = sum(n) - J - M; // degrees of freedom that are left within groups
  // The slopes are normal given sigma, so they are integrated out.
  matrix[M, M] of_slopes = square(beta_scale) * tcrossprod(x_within);
}
parameters {
  vector[J] theta; // mean of each group, at its own covariates (hours)
  real<lower=0> sigma2; // variance within every group (hours squared)
}
transformed parameters {
  real<lower=0> sigma = sqrt(sigma2); // sd within groups (hours)
  real lprior = 0; // log density of the priors, one line each
  // Homework: each theta is likely between 0 and 40 hours, whatever the other schools do.
  lprior += normal_lpdf(theta | theta_location, theta_scale);
  // Homework: shape and scale 0.01 say next to nothing, as long as sigma2 is not near zero.
  lprior += inv_gamma_lpdf(sigma2 | sigma2_shape, sigma2_scale);
}
model {
  target += lprior;
  if (prior_only == 0) {
    ybar ~ normal(theta, sigma ./ sqrt(n));
    y_within ~ multi_normal(zeros_vector(M), add_diag(of_slopes, sigma2));
    target += -0.5 * ssw / sigma2 - df * log(sigma);
  }
}

