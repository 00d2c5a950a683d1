// Partial pooling of rates, marginal: the rates are integrated out, then drawn exactly.
data {
  int<lower=0> S; // nodes of the events: the numbers 0, 1, 2 ... or fewer that stand for them
  vector<lower=0>[S] event_node; // each number
  vector[S] event_weight; // in how many groups there are more events
  int<lower=1> E; // nodes of the exposures: each of them, or fewer that stand for them
  vector<lower=0>[E] exposure_node; // each exposure (years)
  vector[E] group_weight; // how many groups have it
  vector[E] count_weight; // and how many events these have
  
  real<lower=0> shape_alpha; // the prior of shape is gamma(shape_alpha, shape_beta)
  real<lower=0> shape_beta;
  real<lower=0> size_alpha; // the prior of size is gamma(size_alpha, size_beta)
  real<lower=0> size_beta;
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
  array[J_drawn] int<lower=0> events_drawn; // their events
  vector<lower=0>[J_drawn] exposure_drawn; // and exposures (years)
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep of these groups
}
parameters {
  real<lower=0> mu; // mean of the rates (per year)
  real<lower=0> shape; // shape of their distribution: the larger, the more alike they are
}
transformed parameters {
  real<lower=0> size = shape / mu; // how much exposure the population is worth to a group (years)
  real<lower=0> tau = mu / sqrt(shape); // sd between rates (per year)
  real<lower=0> sigma = sqrt(mu); // sd of the events in one unit of exposure, on average
  real lprior = 0; // log density of the priors, one line each
  // Pumps: rates that differ by more than they are large are as likely as others.
  lprior += gamma_lpdf(shape | shape_alpha, shape_beta);
  // Pumps: the population is worth little exposure, but its prior admits much.
  lprior += gamma_lpdf(size | size_alpha, size_beta);
}
model {
  target += lprior;
  target += log(size / mu); // as mu is sampled in place of size
  if (prior_only == 0) {
    // The events of a group are negative binomial, with the counts of all groups taken together.
    target += dot_product(event_weight, log(shape + event_node));
    target += -sum(count_weight) * log(size);
    target += -dot_product(shape * group_weight + count_weight,
                           log1p(exposure_node / size));
  }
}
generated quantities {
  vector<lower=0>[J_drawn] theta; // events in one unit of exposure (per year)
  for (j in 1 : J_drawn) {
    int seen = 1 - prior_only; // 0 takes the data out of what follows
    theta[j] = gamma_rng(shape + seen * events_drawn[j],
                         size + seen * exposure_drawn[j]);
  }
  real<lower=0> theta_new = gamma_rng(shape, size); // rate of a group not seen yet (per year)
  vector[pointwise * J_drawn] log_lik; // log probability of each group's events
  vector[pointwise * J_drawn] y_rep; // replicated rates (per year)
  for (j in 1 : pointwise * J_drawn) {
    log_lik[j] = poisson_lpmf(events_drawn[j] | exposure_drawn[j] * theta[j]);
    y_rep[j] = exposure_drawn[j] > 0
               ? poisson_rng(exposure_drawn[j] * theta[j])
                 / exposure_drawn[j]
               : 0;
  }
}
