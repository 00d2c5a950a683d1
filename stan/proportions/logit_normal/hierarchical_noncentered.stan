// Partial pooling of proportions, non-centered: their logits come from a normal population.
functions {
  // Mean and sd of the probabilities in a population of logits, and the mean sd of a trial within a
  // group: sums over normal numbers z in steps of 1/4, which are as good as integrals here.
  vector moments(real location, real scale) {
    vector[65] z = linspaced_vector(65, -8, 8);
    vector[65] p = inv_logit(location + scale * z);
    vector[65] weight = softmax(-0.5 * square(z));
    real mean_p = dot_product(weight, p);
    return [mean_p, sqrt(dot_product(weight, square(p - mean_p))),
            sqrt(dot_product(weight, p .* (1 - p)))]';
  }
}
data {
  int<lower=1> J; // number of groups
  array[J] int<lower=0> successes; // successes in each group
  array[J] int<lower=0> trials; // trials in each group
  
  real location_mean; // prior mean of location
  real<lower=0> location_sd; // its prior sd
  real<lower=0> scale_sd; // the prior of scale is half-normal with this sd
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep
}
parameters {
  real location; // mean of the logits
  real<lower=0> scale; // sd between them
  vector[J] eta; // how many scales each alpha lies above location
}
transformed parameters {
  vector[J] alpha = location + scale * eta; // logits of the probabilities
  vector<lower=0, upper=1>[J] theta = inv_logit(alpha); // probabilities of success
  real lprior = 0; // log density of the priors, one line each
  // Batting: the typical player's chance of a hit is anything from next to 0 to next to 1.
  lprior += normal_lpdf(location | location_mean, location_sd);
  // Batting: with 1, most players' odds of a hit are within a factor of 7 of the typical one's.
  lprior += normal_lpdf(scale | 0, scale_sd);
}
model {
  target += lprior;
  eta ~ std_normal();
  if (prior_only == 0) {
    successes ~ binomial_logit(trials, alpha);
  }
}
generated quantities {
  real<lower=0, upper=1> mu; // mean of the probabilities
  real<lower=0> tau; // sd between probabilities
  real<lower=0> sigma; // sd of a trial within a group, on average
  {
    vector[3] population = moments(location, scale);
    mu = population[1];
    tau = population[2];
    sigma = population[3];
  }
  // That of a group not seen yet
  real<lower=0, upper=1> theta_new = inv_logit(normal_rng(location, scale));
  vector[pointwise * J] log_lik; // log probability of each group's successes
  vector[pointwise * J] y_rep; // replicated proportions
  for (j in 1 : pointwise * J) {
    log_lik[j] = binomial_logit_lpmf(successes[j] | trials[j], alpha[j]);
    y_rep[j] = binomial_rng(trials[j], theta[j]) / fmax(1, trials[j]);
  }
}

