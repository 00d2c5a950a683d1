// Partial pooling with weights, for runs that compare priors: the families of the priors of tau and sigma are data.
// As in hierarchical_marginal.stan, mu and the group means are integrated out and drawn afterwards, and
// tau and sigma are stretched, so that no prior makes sampling hard.
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
  // Sd that any real number u stands for: scale at u = 0, growing like u^3 and falling like 1 / |u|.
  // Below small it falls like 1 / u^4, and it bends off before bound.
  real sd_jacobian(real u, real scale, real small, real bound) {
    real r = sqrt(1 + square(u));
    real p = square(r - u) / r; // scale over the sd, but for small and bound
    real slope = (2 * r + u) / square(r); // of -log(p)
    if (small > 0) {
      real q = small / scale * p;
      q *= square(q);
      slope *= (1 + 4 * q) / (1 + q);
      p *= 1 + q;
    }
    real p2 = square(p);
    real bent = p2 + square(scale / bound);
    real sd = scale * inv_sqrt(bent);
    jacobian += log(sd * p2 / bent * slope); // its derivative by u
    return sd;
  }
  // Mean over all groups of what is given for each total weight.
  real mean_of(vector x, vector J_k) {
    return dot_product(J_k, x) / sum(J_k);
  }
  // Precision of mu given tau and sigma, from its prior and from all group means of each total,
  // whose mean has precision w.
  real mu_precision(vector w, real mu_scale) {
    return inv_square(mu_scale) + sum(w);
  }
  // That precision times mu's mean; means are counted from center, as d is.
  real mu_weighted(vector w, vector d, real center, real mu_location,
                   real mu_scale) {
    return inv_square(mu_scale) * (mu_location - center) + dot_product(w, d);
  }
}
data {
  int<lower=1> K; // number of distinct total weights of groups
  vector<lower=0>[K] total_k; // each of them: the sum of the weights in a group
  vector<lower=1>[K] J_k; // number of groups of that total
  vector[K] ybar_k; // mean of their weighted means, in the unit of the data (hours a week)
  vector<lower=0>[K] ssb_k; // sum of squares of their weighted means about it (hours squared)
  real<lower=0> ssw; // weighted sum of squares of all observations about their group's mean
  real df; // degrees of freedom within groups: observations less groups
  
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
  vector<lower=0>[J_drawn] total_drawn; // their total weights
  vector[J_drawn] ybar_drawn; // their weighted means (hours)
}
transformed data {
  real center = mean_of(ybar_k, J_k); // mean of all weighted means (hours)
  vector[K] d = ybar_k - center; // counted from there, a large offset costs no digits
  vector[K] ms = square(d) + ssb_k ./ J_k; // mean square of the weighted means about it
  vector[K] inv_total = inv(total_k);
  real mu_sd = mu_scale / sqrt(prior_power); // the prior of mu to that power is normal, too
  // Rough sizes, of which no more is asked than that they are not far off (hours)
  real sigma_rough = sqrt(ssw > 0 ? ssw / fmax(1, df) : mean_of(ms, J_k));
  real se_rough = sigma_rough * sqrt(mean_of(inv_total, J_k)); // error of a weighted mean
  // The more groups and observations, the less varies what stands for tau and sigma below
  real tau_step = sum(J_k) ^ -0.25;
  real sigma_step = fmax(1, df) ^ -0.25;
  real resolved = se_rough * tau_step; // a tau that as many groups just tell from 0
  real tau2_rough = mean_of(ms, J_k) - square(se_rough); // may be below 0 (hours squared)
  real tau_rough = sqrt(fmax(square(resolved), tau2_rough));
  // Data with ssw above 0, and inverse-gamma priors, keep an sd off 0 by themselves.
  real tau_small = tau_family == 6 ? 0 : resolved;
  real sigma_small = ssw > 0 || sigma_family == 6 ? 0 : sigma_rough;
}
parameters {
  real<multiplier=tau_step> tau_stretched; // stands for tau: see hierarchical_marginal.stan
  real<multiplier=sigma_step> sigma_stretched; // stands for sigma
}
transformed parameters {
  real<lower=0> tau = sd_jacobian(tau_stretched, tau_rough, tau_small,
                                  tau_upper); // sd between group means (hours)
  real<lower=0> sigma = sd_jacobian(sigma_stretched, sigma_rough,
                                    sigma_small, sigma_upper); // sd within groups at weight 1 (hours)
  real lprior = 0; // log density of the priors, one line each; that of mu is integrated over
  lprior += sd_lpdf(tau | tau_family, tau_prior[1], tau_prior[2]);
  lprior += sd_lpdf(sigma | sigma_family, sigma_prior[1], sigma_prior[2]);
}
model {
  target += prior_power * lprior;
  // A mean of total weight W is normal(mu, sqrt(tau^2 + sigma^2 / W)); mu is normal too.
  vector[K] w = J_k ./ (square(tau) + square(sigma) * inv_total);
  real precision = mu_precision(w, mu_sd);
  real weighted = mu_weighted(w, d, center, mu_location, mu_sd);
  target += 0.5 * (dot_product(J_k, log(w)) - dot_product(w, ms));
  target += 0.5 * (square(weighted) / precision - log(precision));
  target += -0.5 * ssw / square(sigma) - df * log(sigma);
}
generated quantities {
  real lprior_mu; // log density of the prior of mu, which the model block integrates over
  real mu; // mean of the group means (hours)
  vector[J_drawn] theta; // group means (hours)
  {
    vector[K] w = J_k ./ (square(tau) + square(sigma) * inv_total);
    real precision = mu_precision(w, mu_sd);
    real weighted = mu_weighted(w, d, center, mu_location, mu_sd);
    mu = center + normal_rng(weighted / precision, inv_sqrt(precision));
    lprior_mu = normal_lpdf(mu | mu_location, mu_scale);
    for (j in 1 : J_drawn) {
      // How far the group's mean is pulled towards mu: 1 all the way, 0 not at all
      real lambda = square(sigma)
                    / (square(sigma) + total_drawn[j] * square(tau));
      theta[j] = normal_rng(ybar_drawn[j] + lambda * (mu - ybar_drawn[j]),
                            tau * sqrt(lambda));
    }
  }
}
