// Partial pooling of estimates, for runs that compare priors: the family of tau's prior is data.
// As in hierarchical_marginal.stan, mu and the effects are integrated out and drawn afterwards, and tau
// is stretched, so that no prior makes sampling hard.
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
  // About the smallest difference from tau that estimates of the variances v show: the root of the
  // standard error of tau^2, or of the variance total where they show nothing.
  real tau_seen(real tau, vector v, vector J_k, real total) {
    vector[size(v)] w = inv(square(tau) + v);
    vector[size(v)] others = 1 - w / dot_product(J_k, w);
    real known = dot_product(J_k, square(w .* others));
    return (known + inv_square(total)) ^ -0.25;
  }
  // Precision of mu given tau, from its prior and from all estimates of each standard error, whose
  // mean has precision w.
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
  int<lower=1> K; // number of distinct standard errors
  vector<lower=0>[K] se_k; // each of them, in the unit of the data (points)
  vector<lower=1>[K] J_k; // number of estimates that have it
  vector[K] y_k; // mean of these estimates (points)
  vector<lower=0>[K] ssb_k; // their sum of squares about it (points squared)
  
  real mu_location; // prior mean of mu (points)
  real<lower=0> mu_scale; // prior sd of mu (points)
  int<lower=1, upper=6> tau_family; // family of the prior of tau, as numbered above
  vector<lower=0>[2] tau_prior; // its settings, in the order of a and b
  real<lower=0> tau_upper; // upper bound of tau (points), infinite but for the uniform prior
  
  real<lower=0> prior_power; // exponent of the priors: 1, or another to see how much they decide
  real<lower=0> likelihood_power; // exponent of the likelihood, likewise
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
  vector[J_drawn] estimate_drawn; // their estimates (points)
  vector<lower=0>[J_drawn] se_drawn; // and standard errors (points)
}
transformed data {
  // The likelihood to a power is that of estimates with smaller standard errors, given theta.
  vector[K] v_k = square(se_k) / likelihood_power;
  vector[J_drawn] v_drawn = square(se_drawn) / likelihood_power;
  real center = dot_product(J_k, y_k) / sum(J_k); // mean of all estimates (points)
  vector[K] d = y_k - center; // counted from there, a large offset costs no digits
  vector[K] ms = square(d) + ssb_k ./ J_k; // mean square of the estimates about it
  real mu_sd = mu_scale / sqrt(prior_power); // the prior of mu to that power is normal, too
  // Rough sizes, of which no more is asked than that they are not far off
  real total = dot_product(J_k, ms + v_k) / sum(J_k); // a variance (points squared)
  real tau_small = tau_family == 6 ? 0 : tau_seen(0, v_k, J_k, total); // inverse-gamma priors keep tau off 0
  real tau_rough = sqrt(total); // a tau that suits them (points)
  for (step in 1 : 20) {
    // By moments, with the weights that estimates have where tau is as the last step found it
    vector[K] w = J_k ./ (square(tau_rough) + v_k);
    vector[K] apart = d - dot_product(w, d) / sum(w);
    real left = dot_product(w, square(apart) + ssb_k ./ J_k - v_k) / sum(w);
    tau_rough = hypot(sqrt(fmax(0, left)),
                      tau_seen(tau_rough, v_k, J_k, total));
  }
}
parameters {
  real tau_stretched; // stands for tau: see hierarchical_marginal.stan
}
transformed parameters {
  real<lower=0> tau = sd_jacobian(tau_stretched, tau_rough, tau_small,
                                  tau_upper); // sd between effects (points)
  real lprior = 0; // log density of the priors, one line each; that of mu is integrated over
  lprior += sd_lpdf(tau | tau_family, tau_prior[1], tau_prior[2]);
}
model {
  target += prior_power * lprior;
  // An estimate is normal(mu, sqrt(tau^2 + v)); mu is normal too.
  vector[K] w = J_k ./ (square(tau) + v_k);
  real precision = mu_precision(w, mu_sd);
  real weighted = mu_weighted(w, d, center, mu_location, mu_sd);
  target += 0.5 * (dot_product(J_k, log(w)) - dot_product(w, ms));
  target += 0.5 * (square(weighted) / precision - log(precision));
}
generated quantities {
  real lprior_mu; // log density of the prior of mu, which the model block integrates over
  real mu; // mean of the effects (points)
  vector[J_drawn] theta; // effects (points)
  {
    vector[K] w = J_k ./ (square(tau) + v_k);
    real precision = mu_precision(w, mu_sd);
    real weighted = mu_weighted(w, d, center, mu_location, mu_sd);
    mu = center + normal_rng(weighted / precision, inv_sqrt(precision));
    lprior_mu = normal_lpdf(mu | mu_location, mu_scale);
    for (j in 1 : J_drawn) {
      // How far the effect is pulled towards mu: 1 all the way, 0 not at all
      real lambda = v_drawn[j] / (v_drawn[j] + square(tau));
      theta[j] = normal_rng(
                            estimate_drawn[j]
                            + lambda * (mu - estimate_drawn[j]),
                            tau * sqrt(lambda));
    }
  }
}
