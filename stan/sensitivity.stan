// Partial pooling, for runs that compare priors: the families of the priors of tau and sigma are data.
// The group means are integrated out and drawn afterwards, so that no prior makes sampling hard.
functions {
  // Log density of an sd x under a family with the settings a and b; b counts where there are two.
  real sd_lpdf(real x, int family, real a, real b) {
    if (family == 1) {
      return uniform_lpdf(x | 0, a);
    } else if (family == 2) {
      return log(2) + normal_lpdf(x | 0, a); // half-normal
    } else if (family == 3) {
      return log(2) + cauchy_lpdf(x | 0, a); // half-Cauchy
    } else if (family == 4) {
      return log(2) + student_t_lpdf(x | a, 0, b); // half-t
    } else if (family == 5) {
      return exponential_lpdf(x | a);
    } else {
      return log(2) + log(x) + inv_gamma_lpdf(square(x) | a, b); // inverse-gamma on the variance
    }
  }
}
data {
  int<lower=1> K; // number of distinct group sizes
  vector<lower=0>[K] n_k; // each size: observations in a group
  vector<lower=1>[K] J_k; // number of groups of that size
  vector[K] ybar_k; // mean of their sample means, in the unit of the data (hours a week)
  vector<lower=0>[K] ssb_k; // sum of squares of their sample means about it (hours squared)
  real<lower=0> ssw; // sum of squares of all observations about their group's sample mean
  
  real mu_location; // prior mean of mu (hours)
  real<lower=0> mu_scale; // prior sd of mu (hours)
  int<lower=1, upper=6> tau_family; // family of the prior of tau, as numbered above
  vector<lower=0>[2] tau_prior; // its settings, in the order of a and b
  real<lower=0> tau_upper; // upper bound of tau (hours), infinite but for the uniform prior
  int<lower=1, upper=6> sigma_family; // family of the prior of sigma
  vector<lower=0>[2] sigma_prior; // its settings
  real<lower=0> sigma_upper; // upper bound of sigma (hours), infinite but for the uniform prior
  
  real<lower=0> prior_power; // exponent of the priors: 1, or another to see how much they decide
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
  vector<lower=0>[J_drawn] n_drawn; // their sizes
  vector[J_drawn] ybar_drawn; // their sample means (hours)
}
transformed data {
  real df = sum(J_k .* (n_k - 1)); // degrees of freedom within groups
}
parameters {
  real mu; // mean of the group means (hours)
  real<lower=0, upper=tau_upper> tau; // sd between group means (hours)
  real<lower=0, upper=sigma_upper> sigma; // sd within groups (hours)
}
transformed parameters {
  real lprior = 0; // log density of the priors, one line each
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  lprior += sd_lpdf(tau | tau_family, tau_prior[1], tau_prior[2]);
  lprior += sd_lpdf(sigma | sigma_family, sigma_prior[1], sigma_prior[2]);
}
model {
  target += prior_power * lprior;
  vector[K] v = square(tau) + square(sigma) / n_k; // variance of a sample mean about mu
  vector[K] ss = J_k .* square(ybar_k - mu) + ssb_k;
  target += -0.5 * sum(ss ./ v + J_k .* log(v));
  target += -0.5 * ssw / square(sigma) - df * log(sigma);
}
generated quantities {
  vector[J_drawn] theta; // group means (hours)
  for (j in 1 : J_drawn) {
    // How far the group's mean is pulled towards mu: 1 all the way, 0 not at all
    real lambda = square(sigma) / (square(sigma) + n_drawn[j] * square(tau));
    theta[j] = normal_rng(ybar_drawn[j] + lambda * (mu - ybar_drawn[j]),
                          tau * sqrt(lambda));
  }
}
