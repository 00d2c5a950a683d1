// No pooling with weights: each group has a mean and a variance of its own.
data {
  int<lower=1> N; // number of observations
  int<lower=1> J; // number of groups
  array[N] int<lower=1, upper=J> group; // group of each observation
  vector[N] y; // outcome, in the unit of the data (hours a week)
  vector<lower=0>[N] weight; // weight w of each outcome, whose variance is sigma^2 / w
  
  real theta_location; // prior mean of every theta (hours)
  real<lower=0> theta_scale; // prior sd of every theta (hours)
  real<lower=0> sigma2_shape; // shape of the inverse-gamma prior of every sigma2
  real<lower=0> sigma2_scale; // its scale (hours squared)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
parameters {
  vector[J] theta; // group means (hours)
  vector<lower=0>[J] sigma2; // variances within the groups (hours squared)
}
transformed parameters {
  vector<lower=0>[J] sigma = sqrt(sigma2); // sds within the groups at weight 1 (hours)
  real lprior = 0; // log density of the priors, one line each
  // Homework: each theta is likely between 0 and 40 hours, whatever the other schools do.
  lprior += normal_lpdf(theta | theta_location, theta_scale);
  // Homework: shape and scale 0.01 say next to nothing, as long as sigma2 is not near zero.
  lprior += inv_gamma_lpdf(sigma2 | sigma2_shape, sigma2_scale);
}
model {
  target += lprior;
  if (prior_only == 0) {
    y ~ normal(theta[group], sigma[group] .* inv_sqrt(weight));
  }
}
generated quantities {
  vector[pointwise * N] log_lik; // log density of each observation
  vector[pointwise * N] y_rep; // replicated observations (hours)
  for (n in 1 : pointwise * N) {
    log_lik[n] = normal_lpdf(y[n] | theta[group[n]], sigma[group[n]] * inv_sqrt(weight[n]));
    y_rep[n] = normal_rng(theta[group[n]], sigma[group[n]] * inv_sqrt(weight[n]));
  }
}
