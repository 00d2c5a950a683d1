// Partial pooling of groups within groups, marginal: all means are integrated out, then drawn exactly.
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
  int<lower=1> J; // number of groups
  vector<lower=0>[J] n; // observations in each
  vector[J] ybar; // their sample means, in the unit of the data (hours a week)
  real<lower=0> ssw; // sum of squares of all observations about their group's sample mean
  int<lower=1> K; // number of outer groups
  array[J] int<lower=1, upper=K> outer; // outer group of each group
  
  real mu_location; // prior mean of mu (hours)
  real<lower=0> mu_scale; // prior sd of mu (hours)
  real<lower=0> omega_df; // degrees of freedom of the half-t prior of omega; 1 makes it half-Cauchy
  real<lower=0> omega_scale; // its scale (hours)
  real<lower=0> tau_df; // degrees of freedom of the half-t prior of tau; 1 makes it half-Cauchy
  real<lower=0> tau_scale; // its scale (hours)
  real<lower=0> sigma_upper; // upper bound of sigma (hours)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
  int<lower=0> N_drawn; // observations with log_lik and y_rep: all, or 0 for none
  array[N_drawn] int<lower=1, upper=J_drawn> group_drawn; // their groups
  vector[N_drawn] y_drawn; // their outcomes (hours)
}
transformed data {
  real center = mean(ybar); // mean of all sample means (hours)
  vector[J] d = ybar - center; // counted from there, a large offset costs no digits
  real df = sum(n - 1); // degrees of freedom within groups
  real sigma_rough = sqrt(ssw > 0 ? ssw / fmax(1, df) : mean(square(d))); // an sd that suits them (hours)
  real sigma_step = fmax(1, df) ^ -0.25;
  real sigma_small = prior_only == 1 ? sigma_rough : 0; // the data keep sigma off 0 by themselves
  vector[J] v = square(sigma_rough) ./ n; // about the variances of the sample means
  // Rough sizes, of which no more is asked than that they are not far off
  real total = mean(square(d) + v); // a variance (hours squared)
  real tau_small = sd_seen(0, v, outer, K, total); // tau below which the data see none (hours)
  real tau_rough = sd_rough(d, v, outer, K, total); // a tau that suits them (hours)
  real omega_small; // the same of omega, of which the weighted means of outer groups tell
  real omega_rough;
  {
    vector[J] w = inv(square(tau_rough) + v);
    vector[K] W = sum_by(w, outer, K);
    vector[K] m = sum_by(w .* d, outer, K) ./ W;
    array[K] int whole = rep_array(1, K);
    omega_small = sd_seen(0, inv(W), whole, 1, total);
    omega_rough = sd_rough(m, inv(W), whole, 1, total);
  }
}
parameters {
  // Sds are sampled as real numbers that stand for them. In the log of an sd the likelihood is a cliff
  // where it gets too small for the data, and a long slope where it gets large, and no slope at all
  // towards 0: steps that suit the one are too long for the other.
  real omega_stretched; // stands for omega
  real tau_stretched; // stands for tau
  real<multiplier=sigma_step> sigma_stretched; // stands for sigma
}
transformed parameters {
  real<lower=0> omega = sd_jacobian(omega_stretched, omega_rough,
                                    omega_small, positive_infinity()); // sd between outer groups (hours)
  real<lower=0> tau = sd_jacobian(tau_stretched, tau_rough, tau_small,
                                  positive_infinity()); // sd between the groups of one outer group (hours)
  real<lower=0> sigma = sd_jacobian(sigma_stretched, sigma_rough,
                                    sigma_small, sigma_upper); // sd within groups (hours)
  real lprior = 0; // log density of the priors, one line each; that of mu must stay normal
  // Half of each prior lies below about its scale, and its tail admits any spread.
  lprior += student_t_lpdf(omega | omega_df, 0, omega_scale);
  lprior += student_t_lpdf(tau | tau_df, 0, tau_scale);
  lprior += uniform_lpdf(sigma | 0, sigma_upper);
}
model {
  target += lprior;
  if (prior_only == 0) {
    // Sample means of one outer group have the weighted mean m, normal(mu, sqrt(omega^2 + 1 / W)).
    vector[J] w = inv(square(tau) + square(sigma) ./ n);
    vector[K] W = sum_by(w, outer, K);
    vector[K] m = sum_by(w .* d, outer, K) ./ W;
    vector[K] p = inv(square(omega) + inv(W));
    real precision = inv_square(mu_scale) + sum(p);
    real weighted = inv_square(mu_scale) * (mu_location - center)
                    + dot_product(p, m);
    target += 0.5
              * (sum(log(w)) - dot_product(w, square(d - m[outer]))
                 - sum(log(W)));
    target += 0.5 * (sum(log(p)) - dot_product(p, square(m)));
    target += 0.5 * (square(weighted) / precision - log(precision));
    target += -0.5 * ssw / square(sigma) - df * log(sigma);
  }
}
generated quantities {
  real lprior_mu; // log density of the prior of mu, which the model block integrates over
  real mu; // mean of the outer groups (hours)
  vector[K] phi; // means of the outer groups (hours)
  vector[J_drawn] theta; // group means (hours)
  {
    int seen = 1 - prior_only; // 0 takes the data out of what follows
    vector[J] w = inv(square(tau) + square(sigma) ./ n);
    vector[K] W = sum_by(w, outer, K);
    vector[K] m = sum_by(w .* d, outer, K) ./ W;
    vector[K] p = seen * inv(square(omega) + inv(W));
    real precision = inv_square(mu_scale) + sum(p);
    real weighted = inv_square(mu_scale) * (mu_location - center)
                    + dot_product(p, m);
    mu = center + normal_rng(weighted / precision, inv_sqrt(precision));
    lprior_mu = normal_lpdf(mu | mu_location, mu_scale);
    for (k in 1 : K) {
      // How far the outer group is pulled towards mu: 1 all the way, 0 not at all
      real lambda = 1 / (1 + seen * square(omega) * W[k]);
      phi[k] = normal_rng(center + m[k] + lambda * (mu - center - m[k]),
                          omega * sqrt(lambda));
    }
    for (j in 1 : J_drawn) {
      // How far the group is pulled towards its outer group: 1 all the way, 0 not at all
      real lambda = 1 / (1 + seen * square(tau) / (square(sigma) / n[j]));
      theta[j] = normal_rng(ybar[j] + lambda * (phi[outer[j]] - ybar[j]),
                            tau * sqrt(lambda));
    }
  }
  real<lower=0> omega2 = square(omega); // variance between outer groups (hours squared)
  real<lower=0> tau2 = square(tau); // variance between the groups of one outer group (hours squared)
  real<lower=0> sigma2 = square(sigma); // variance within groups (hours squared)
  real phi_new = normal_rng(mu, omega); // mean of an outer group not seen yet (hours)
  real theta_new = normal_rng(phi_new, tau); // mean of a group in it (hours)
  real y_new = normal_rng(theta_new, sigma); // an observation in that group (hours)
  vector[N_drawn] log_lik; // log density of each observation
  vector[N_drawn] y_rep; // replicated observations (hours)
  for (i in 1 : N_drawn) {
    log_lik[i] = normal_lpdf(y_drawn[i] | theta[group_drawn[i]], sigma);
    y_rep[i] = normal_rng(theta[group_drawn[i]], sigma);
  }
}
