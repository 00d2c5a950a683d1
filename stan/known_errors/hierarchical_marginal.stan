// Partial pooling of estimates, marginal: mu and the effects are integrated out, then drawn exactly.
functions {
  // Sd that any real number u stands for: scale at u = 0, growing like u^3 and falling like 1 / |u|.
  // Below small it falls like 1 / u^4.
  real sd_jacobian(real u, real scale, real small) {
    real r = sqrt(1 + square(u));
    real p = square(r - u) / r; // scale over the sd, but for small
    real q = small / scale * p;
    q *= square(q);
    real sd = scale / (p * (1 + q));
    // Log of its derivative by u
    jacobian += log(sd * (2 * r + u) / square(r) * (1 + 4 * q) / (1 + q));
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
  real<lower=0> tau_df; // degrees of freedom of the half-t prior of tau; 1 makes it half-Cauchy
  real<lower=0> tau_scale; // its scale (points)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
  vector[J_drawn] estimate_drawn; // their estimates (points)
  vector<lower=0>[J_drawn] se_drawn; // and standard errors (points)
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep of these groups
}
transformed data {
  vector[K] v_k = square(se_k);
  real center = dot_product(J_k, y_k) / sum(J_k); // mean of all estimates (points)
  vector[K] d = y_k - center; // counted from there, a large offset costs no digits
  vector[K] ms = square(d) + ssb_k ./ J_k; // mean square of the estimates about it
  // Rough sizes, of which no more is asked than that they are not far off
  real total = dot_product(J_k, ms + v_k) / sum(J_k); // a variance (points squared)
  real tau_small = tau_seen(0, v_k, J_k, total); // tau below which the data see none (points)
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
  // Tau is sampled as a real number that stands for it. In log(tau) the likelihood is a cliff where
  // tau gets too small for the data, and a long slope where it gets large, and no slope at all
  // towards 0: steps that suit the one are too long for the other.
  real tau_stretched; // stands for tau
}
transformed parameters {
  real<lower=0> tau = sd_jacobian(tau_stretched, tau_rough, tau_small); // sd between effects (points)
  real lprior = 0; // log density of the priors, one line each; that of mu must stay normal
  // Eight schools: half of the prior lies below 25 points, and its tail admits any spread.
  lprior += student_t_lpdf(tau | tau_df, 0, tau_scale);
}
model {
  target += lprior;
  if (prior_only == 0) {
    // An estimate is normal(mu, sqrt(tau^2 + se^2)); mu is normal too.
    vector[K] w = J_k ./ (square(tau) + v_k);
    real precision = mu_precision(w, mu_scale);
    real weighted = mu_weighted(w, d, center, mu_location, mu_scale);
    target += 0.5 * (dot_product(J_k, log(w)) - dot_product(w, ms));
    target += 0.5 * (square(weighted) / precision - log(precision));
  }
}
generated quantities {
  real lprior_mu; // log density of the prior of mu, which the model block integrates over
  real mu; // mean of the effects (points)
  vector[J_drawn] theta; // effects (points)
  real<lower=0> tau2 = square(tau); // variance between effects (points squared)
  {
    int seen = 1 - prior_only; // 0 takes the data out of what follows
    vector[K] w = seen * J_k ./ (tau2 + v_k);
    real precision = mu_precision(w, mu_scale);
    real weighted = mu_weighted(w, d, center, mu_location, mu_scale);
    mu = center + normal_rng(weighted / precision, inv_sqrt(precision));
    lprior_mu = normal_lpdf(mu | mu_location, mu_scale);
    for (j in 1 : J_drawn) {
      // How far the effect is pulled towards mu: 1 all the way, 0 not at all
      real lambda = 1 / (1 + seen * tau2 / square(se_drawn[j]));
      theta[j] = normal_rng(
                            estimate_drawn[j]
                            + lambda * (mu - estimate_drawn[j]),
                            tau * sqrt(lambda));
    }
  }
  real theta_new = normal_rng(mu, tau); // effect in a group not seen yet (points)
  vector[pointwise * J_drawn] log_lik; // log density of each estimate
  vector[pointwise * J_drawn] y_rep; // replicated estimates (points)
  for (j in 1 : pointwise * J_drawn) {
    log_lik[j] = normal_lpdf(estimate_drawn[j] | theta[j], se_drawn[j]);
    y_rep[j] = normal_rng(theta[j], se_drawn[j]);
  }
}
