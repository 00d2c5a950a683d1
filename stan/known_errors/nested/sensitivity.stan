// Partial pooling of estimates in groups within groups, for runs that compare priors: families of the
// priors of sds are data. As in hierarchical_marginal.stan, all means are integrated out and drawn
// afterwards, and sds are stretched, so that no prior makes sampling hard.
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
  // Sum over the inner groups of each outer one.
  vector sum_by(vector x, array[] int outer, int K) {
    vector[K] total = zeros_vector(K);
    for (j in 1 : size(x)) {
      total[outer[j]] += x[j];
    }
    return total;
  }
  // About the smallest difference from an sd between the members of each of K groups that their
  // estimates, of the variances v, show: the root of the standard error of its square, or of the
  // variance total where they show nothing.
  real sd_seen(real sd, vector v, array[] int outer, int K, real total) {
    vector[size(v)] w = inv(square(sd) + v);
    vector[size(v)] others = 1 - w ./ sum_by(w, outer, K)[outer];
    return (sum(square(w .* others)) + inv_square(total)) ^ -0.25;
  }
  // An sd between the members of each of K groups that suits their estimates d, by moments.
  real sd_rough(vector d, vector v, array[] int outer, int K, real total) {
    real sd = sqrt(total);
    for (step in 1 : 20) {
      // With the weights that estimates have where the sd is as the last step found it
      vector[size(v)] w = inv(square(sd) + v);
      vector[K] W = sum_by(w, outer, K);
      vector[size(v)] apart = d - (sum_by(w .* d, outer, K) ./ W)[outer];
      vector[size(v)] others = 1 - w ./ W[outer];
      real spare = dot_product(w, others);
      real left = spare > 0
                  ? dot_product(w, square(apart) - others .* v) / spare : 0;
      sd = hypot(sqrt(fmax(0, left)), sd_seen(sd, v, outer, K, total));
    }
    return sd;
  }
}
data {
  int<lower=1> J; // number of groups, each with one estimate
  vector[J] y; // estimates, in the unit of the data (points)
  vector<lower=0>[J] se; // their standard errors, known (points)
  int<lower=1> K; // number of outer groups
  array[J] int<lower=1, upper=K> outer; // outer group of each group
  
  real mu_location; // prior mean of mu (points)
  real<lower=0> mu_scale; // prior sd of mu (points)
  int<lower=1, upper=6> omega_family; // family of the prior of omega, as numbered above
  vector<lower=0>[2] omega_prior; // its settings, in the order of a and b
  real<lower=0> omega_upper; // upper bound of omega (points), infinite but for the uniform prior
  int<lower=1, upper=6> tau_family; // family of the prior of tau, as numbered above
  vector<lower=0>[2] tau_prior; // its settings, in the order of a and b
  real<lower=0> tau_upper; // upper bound of tau (points), infinite but for the uniform prior
  
  real<lower=0> prior_power; // exponent of the priors: 1, or another to see how much they decide
  real<lower=0> likelihood_power; // exponent of the likelihood, likewise
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
}
transformed data {
  // The likelihood to a power is that of estimates with smaller standard errors, given theta.
  vector[J] v = square(se) / likelihood_power;
  real mu_sd = mu_scale / sqrt(prior_power); // the prior of mu to that power is normal, too
  real center = mean(y); // mean of all estimates (points)
  vector[J] d = y - center; // counted from there, a large offset costs no digits
  // Rough sizes, of which no more is asked than that they are not far off
  real total = mean(square(d) + v); // a variance (points squared)
  real tau_small = tau_family == 6 ? 0 : sd_seen(0, v, outer, K, total); // tau below which the data see none (points)
  real tau_rough = sd_rough(d, v, outer, K, total); // a tau that suits them (points)
  real omega_small; // the same of omega, of which the weighted means of outer groups tell
  real omega_rough;
  {
    vector[J] w = inv(square(tau_rough) + v);
    vector[K] W = sum_by(w, outer, K);
    vector[K] m = sum_by(w .* d, outer, K) ./ W;
    array[K] int whole = rep_array(1, K);
    omega_small = omega_family == 6 ? 0 : sd_seen(0, inv(W), whole, 1, total);
    omega_rough = sd_rough(m, inv(W), whole, 1, total);
  }
}
parameters {
  // Sds are sampled as real numbers that stand for them. In the log of an sd the likelihood is a cliff
  // where it gets too small for the data, and a long slope where it gets large, and no slope at all
  // towards 0: steps that suit the one are too long for the other.
  real omega_stretched; // stands for omega
  real tau_stretched; // stands for tau
}
transformed parameters {
  real<lower=0> omega = sd_jacobian(omega_stretched, omega_rough,
                                    omega_small, omega_upper); // sd between outer groups (points)
  real<lower=0> tau = sd_jacobian(tau_stretched, tau_rough, tau_small,
                                  tau_upper); // sd between the groups of one outer group (points)
  real lprior = 0; // log density of the priors, one line each; that of mu is integrated over
  lprior += sd_lpdf(omega | omega_family, omega_prior[1], omega_prior[2]);
  lprior += sd_lpdf(tau | tau_family, tau_prior[1], tau_prior[2]);
}
model {
  target += prior_power * lprior;
  // Estimates of one outer group have the weighted mean m, normal(mu, sqrt(omega^2 + 1 / W)).
  vector[J] w = inv(square(tau) + v);
  vector[K] W = sum_by(w, outer, K);
  vector[K] m = sum_by(w .* d, outer, K) ./ W;
  vector[K] p = inv(square(omega) + inv(W));
  real precision = inv_square(mu_sd) + sum(p);
  real weighted = inv_square(mu_sd) * (mu_location - center)
                  + dot_product(p, m);
  target += 0.5
            * (sum(log(w)) - dot_product(w, square(d - m[outer]))
               - sum(log(W)));
  target += 0.5 * (sum(log(p)) - dot_product(p, square(m)));
  target += 0.5 * (square(weighted) / precision - log(precision));
}
generated quantities {
  real lprior_mu; // log density of the prior of mu, which the model block integrates over
  real mu; // mean of the outer groups (points)
  vector[K] phi; // means of the outer groups (points)
  vector[J_drawn] theta; // effects (points)
  {
    vector[J] w = inv(square(tau) + v);
    vector[K] W = sum_by(w, outer, K);
    vector[K] m = sum_by(w .* d, outer, K) ./ W;
    vector[K] p = inv(square(omega) + inv(W));
    real precision = inv_square(mu_sd) + sum(p);
    real weighted = inv_square(mu_sd) * (mu_location - center)
                    + dot_product(p, m);
    mu = center + normal_rng(weighted / precision, inv_sqrt(precision));
    lprior_mu = normal_lpdf(mu | mu_location, mu_scale);
    for (k in 1 : K) {
      // How far the outer group is pulled towards mu: 1 all the way, 0 not at all
      real lambda = 1 / (1 + square(omega) * W[k]);
      phi[k] = normal_rng(center + m[k] + lambda * (mu - center - m[k]),
                          omega * sqrt(lambda));
    }
    for (j in 1 : J_drawn) {
      // How far the group is pulled towards its outer group: 1 all the way, 0 not at all
      real lambda = 1 / (1 + square(tau) / v[j]);
      theta[j] = normal_rng(y[j] + lambda * (phi[outer[j]] - y[j]),
                            tau * sqrt(lambda));
    }
  }
}
