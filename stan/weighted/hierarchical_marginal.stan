// Partial pooling with weights, marginal: mu and the group means are integrated out, then drawn exactly.
functions {
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
  real<lower=0> tau_df; // degrees of freedom of a half-t prior of tau; 0 for a uniform one
  real<lower=0> tau_scale; // scale of the half-t prior (hours)
  real<lower=0> tau_upper; // upper bound of the uniform one (hours)
  real<lower=0> sigma_upper; // upper bound of sigma (hours)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
  vector<lower=0>[J_drawn] total_drawn; // their total weights
  vector[J_drawn] ybar_drawn; // their weighted means (hours)
  int<lower=0> N_drawn; // observations with log_lik and y_rep: all, or 0 for none
  array[N_drawn] int<lower=1, upper=J_drawn> group_drawn; // their groups
  vector[N_drawn] y_drawn; // their outcomes (hours)
  vector<lower=0>[N_drawn] weight_drawn; // and weights
}
transformed data {
  real tau_most = tau_df > 0 ? positive_infinity() : tau_upper; // bound of tau (hours)
  real center = mean_of(ybar_k, J_k); // mean of all weighted means (hours)
  vector[K] d = ybar_k - center; // counted from there, a large offset costs no digits
  vector[K] ms = square(d) + ssb_k ./ J_k; // mean square of the weighted means about it
  vector[K] inv_total = inv(total_k);
  // Rough sizes, of which no more is asked than that they are not far off (hours)
  real sigma_rough = sqrt(ssw > 0 ? ssw / df : mean_of(ms, J_k));
  real se_rough = sigma_rough * sqrt(mean_of(inv_total, J_k)); // error of a weighted mean
  // The more groups and observations, the less varies what stands for tau and sigma below
  real tau_step = sum(J_k) ^ -0.25;
  real sigma_step = fmax(1, df) ^ -0.25;
  real resolved = se_rough * tau_step; // a tau that as many groups just tell from 0
  real tau2_rough = mean_of(ms, J_k) - square(se_rough); // may be below 0 (hours squared)
  real tau_rough = 0.7 * sqrt(fmax(square(resolved), tau2_rough)); // below it, the long slope is short
  real sigma_small = prior_only == 1 ? sigma_rough : 0; // the data keep sigma off 0 by themselves
}
parameters {
  // Tau and sigma are sampled as real numbers that stand for them. In log(tau) or log(sigma), the
  // likelihood is a cliff where the sd gets too small for the data, and a long slope where it gets
  // large, of few groups up to its bound: steps that suit the one are too long for the other.
  real<multiplier=tau_step> tau_stretched; // stands for tau
  real<multiplier=sigma_step> sigma_stretched; // stands for sigma
}
transformed parameters {
  real<lower=0> tau = sd_jacobian(tau_stretched, tau_rough, resolved,
                                  tau_most); // sd between group means (hours)
  real<lower=0> sigma = sd_jacobian(sigma_stretched, sigma_rough,
                                    sigma_small, sigma_upper); // sd within groups at weight 1 (hours)
  real lprior = 0; // log density of the priors, one line each; that of mu must stay normal
  // Tau is half-t or uniform. Homework: every sd up to 1000 hours is as likely as any other; a week
  // has 168.
  if (tau_df > 0) {
    lprior += student_t_lpdf(tau | tau_df, 0, tau_scale);
  } else {
    lprior += uniform_lpdf(tau | 0, tau_upper);
  }
  lprior += uniform_lpdf(sigma | 0, sigma_upper);
}
model {
  target += lprior;
  if (prior_only == 0) {
    // A mean of total weight W is normal(mu, sqrt(tau^2 + sigma^2 / W)); mu is normal too.
    vector[K] w = J_k ./ (square(tau) + square(sigma) * inv_total);
    real precision = mu_precision(w, mu_scale);
    real weighted = mu_weighted(w, d, center, mu_location, mu_scale);
    target += 0.5 * (dot_product(J_k, log(w)) - dot_product(w, ms));
    target += 0.5 * (square(weighted) / precision - log(precision));
    target += -0.5 * ssw / square(sigma) - df * log(sigma);
  }
}
generated quantities {
  real lprior_mu; // log density of the prior of mu, which the model block integrates over
  real mu; // mean of the group means (hours)
  vector[J_drawn] theta; // group means (hours)
  real<lower=0> tau2 = square(tau); // variance between group means (hours squared)
  real<lower=0> sigma2 = square(sigma); // variance within groups (hours squared)
  {
    int seen = 1 - prior_only; // 0 takes the data out of what follows
    vector[K] w = seen * J_k ./ (tau2 + sigma2 * inv_total);
    real precision = mu_precision(w, mu_scale);
    real weighted = mu_weighted(w, d, center, mu_location, mu_scale);
    mu = center + normal_rng(weighted / precision, inv_sqrt(precision));
    lprior_mu = normal_lpdf(mu | mu_location, mu_scale);
    for (j in 1 : J_drawn) {
      // How far the group's mean is pulled towards mu: 1 all the way, 0 not at all
      real lambda = sigma2 / (sigma2 + seen * total_drawn[j] * tau2);
      theta[j] = normal_rng(ybar_drawn[j] + lambda * (mu - ybar_drawn[j]),
                            tau * sqrt(lambda));
    }
  }
  real theta_new = normal_rng(mu, tau); // mean of a group not seen yet (hours)
  real y_new = normal_rng(theta_new, sigma); // an observation of weight 1 in that group (hours)
  vector[N_drawn] log_lik; // log density of each observation
  vector[N_drawn] y_rep; // replicated observations (hours)
  for (n in 1 : N_drawn) {
    real sd = sigma * inv_sqrt(weight_drawn[n]);
    log_lik[n] = normal_lpdf(y_drawn[n] | theta[group_drawn[n]], sd);
    y_rep[n] = normal_rng(theta[group_drawn[n]], sd);
  }
}
