// No pooling of estimates: each group has an effect of its own, and learns nothing from the others.
data {
  int<lower=1> J; // number of groups, each with one estimate
  vector[J] y; // estimates, in the unit of the data (points)
  vector<lower=0>[J] se; // their standard errors, known (points)
  
  real theta_location; // prior mean of every theta (points)
  real<lower=0> theta_scale; // prior sd of every theta (points)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
transformed data {
  // Where data and prior put each theta, and how closely: what is sampled is counted in these.
  vector[J] sd = inv_sqrt(
                          (1 - prior_only) * inv_square(se)
                          + inv_square(theta_scale));
  vector[J] center = square(sd)
                     .* ((1 - prior_only) * y ./ square(se)
                         + theta_location / square(theta_scale));
}
parameters {
  vector<offset=center, multiplier=sd>[J] theta; // effects (points)
}
transformed parameters {
  real lprior = 0; // log density of the priors, one line each
  // Eight schools: any effect that coaching could have is about as likely as any other.
  lprior += normal_lpdf(theta | theta_location, theta_scale);
}
model {
  target += lprior;
  if (prior_only == 0) {
    y ~ normal(theta, se);
  }
}
generated quantities {
  vector[pointwise * J] log_lik; // log density of each estimate
  vector[pointwise * J] y_rep; // replicated estimates (points)
  for (j in 1 : pointwise * J) {
    log_lik[j] = normal_lpdf(y[j] | theta[j], se[j]);
    y_rep[j] = normal_rng(theta[j], se[j]);
  }
}
