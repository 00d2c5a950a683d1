// Complete pooling of estimates: one effect for all groups, the common-effect model.
data {
  int<lower=1> J; // number of groups, each with one estimate
  vector[J] y; // estimates, in the unit of the data (points)
  vector<lower=0>[J] se; // their standard errors, known (points)
  
  real theta_location; // prior mean of theta (points)
  real<lower=0> theta_scale; // prior sd of theta (points)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
transformed data {
  // Where data and prior put theta, and how closely: what is sampled is counted in these.
  real sd = inv_sqrt(
                     (1 - prior_only) * sum(inv_square(se))
                     + inv_square(theta_scale));
  real center = square(sd)
                * ((1 - prior_only) * sum(y ./ square(se))
                   + theta_location / square(theta_scale));
}
parameters {
  real<offset=center, multiplier=sd> theta; // effect in every group (points)
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
    log_lik[j] = normal_lpdf(y[j] | theta, se[j]);
    y_rep[j] = normal_rng(theta, se[j]);
  }
}
