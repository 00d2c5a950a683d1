// Partial pooling of proportions, marginal: the probabilities are integrated out, then drawn exactly.
functions {
  // Log density, up to a constant, of a size x above least that falls like a power.
  real power_lpdf(real x, real least, real shift, real power) {
    return x < least ? negative_infinity() : -power * log(x + shift);
  }
  // Sum of log(x + i) over the whole numbers i below each of many counts: node and weight stand for i
  // and for how many of the counts exceed it.
  real log_rising(real x, vector node, vector weight) {
    return dot_product(weight, log(x + node));
  }
}
data {
  int<lower=0> S; // nodes of the successes: the numbers 0, 1, 2 ... or fewer that stand for them
  vector<lower=0>[S] success_node; // each number
  vector[S] success_weight; // in how many groups there are more successes
  int<lower=0> F; // the same of the failures
  vector<lower=0>[F] failure_node;
  vector[F] failure_weight;
  int<lower=0> T; // the same of the trials
  vector<lower=0>[T] trial_node;
  vector[T] trial_weight;
  
  real<lower=0> mu_alpha; // the prior of mu is worth so many successes
  real<lower=0> mu_beta; // and so many failures
  real<lower=0> size_lower; // least size
  real<lower=0> size_shift; // its prior density is (size + size_shift) ^ -size_power
  real<lower=1> size_power;
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
  array[J_drawn] int<lower=0> successes_drawn; // their successes
  array[J_drawn] int<lower=0> trials_drawn; // and trials
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep of these groups
}
parameters {
  real<lower=0, upper=1> mu; // mean of the probabilities
  real<lower=size_lower> size; // how many trials the population is worth to a group
}
transformed parameters {
  real<lower=0> tau = sqrt(mu * (1 - mu) / (1 + size)); // sd between probabilities
  real<lower=0> sigma = tau * sqrt(size); // sd of a trial within a group, on average
  real lprior = 0; // log density of the priors, one line each
  // Batting: with 1 and 1, any mean of the probabilities of a hit is as likely as any other.
  lprior += beta_lpdf(mu | mu_alpha, mu_beta);
  // Batting: sizes above 1, half of them below 1.6; the tail admits players that are all alike.
  lprior += power_lpdf(size | size_lower, size_shift, size_power);
}
model {
  target += lprior;
  if (prior_only == 0) {
    // The successes of a group are beta-binomial(trials, mu * size, (1 - mu) * size).
    target += log_rising(mu * size, success_node, success_weight);
    target += log_rising((1 - mu) * size, failure_node, failure_weight);
    target += -log_rising(size, trial_node, trial_weight);
  }
}
generated quantities {
  vector<lower=0, upper=1>[J_drawn] theta; // probabilities of success
  for (j in 1 : J_drawn) {
    int seen = 1 - prior_only; // 0 takes the data out of what follows
    theta[j] = beta_rng(mu * size + seen * successes_drawn[j],
                        (1 - mu) * size
                        + seen * (trials_drawn[j] - successes_drawn[j]));
  }
  real<lower=0, upper=1> theta_new = beta_proportion_rng(mu, size); // that of a group not seen yet
  vector[pointwise * J_drawn] log_lik; // log probability of each group's successes
  vector[pointwise * J_drawn] y_rep; // replicated proportions
  for (j in 1 : pointwise * J_drawn) {
    log_lik[j] = binomial_lpmf(successes_drawn[j] | trials_drawn[j],
                               theta[j]);
    y_rep[j] = binomial_rng(trials_drawn[j], theta[j])
               / fmax(1, trials_drawn[j]);
  }
}
