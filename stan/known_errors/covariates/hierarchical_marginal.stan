// Partial pooling of estimates with covariates, marginal: line and effects are integrated out, then drawn exactly.
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
  real tau_seen(real tau, vector v, real total) {
    vector[size(v)] w = inv(square(tau) + v);
    vector[size(v)] others = 1 - w / sum(w);
    return (sum(square(w .* others)) + inv_square(total)) ^ -0.25;
  }
  // Precision of mu and beta given tau, from their prior and from estimates of precision w.
  matrix line_precision(vector w, matrix X, vector prior_sd) {
    return diag_matrix(inv_square(prior_sd))
           + crossprod(diag_pre_multiply(sqrt(w), X));
  }
  // That precision times the mean of mu and beta; means are counted from center, as d is.
  vector line_weighted(vector w, matrix X, vector d, vector prior_mean,
                       vector prior_sd) {
    return prior_mean ./ square(prior_sd) + X' * (w .* d);
  }
}
data {
  int<lower=1> J; // number of groups, each with one estimate
  vector[J] y; // estimates, in the unit of the data (points)
  vector<lower=0>[J] se; // their standard errors, known (points)
  int<lower=1> K; // number of covariates
  matrix[J, K] covariates; // what is known of each group, a column a covariate
  
  real mu_location; // prior mean of mu (points)
  real<lower=0> mu_scale; // prior sd of mu (points)
  real<lower=0> beta_scale; // prior sd of what an sd of a covariate adds to an effect (points)
  real<lower=0> tau_df; // degrees of freedom of the half-t prior of tau; 1 makes it half-Cauchy
  real<lower=0> tau_scale; // its scale (points)
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep of these groups
}
transformed data {
  vector[J] v = square(se);
  real center = mean(y); // mean of all estimates (points)
  vector[J] d = y - center; // counted from there, a large offset costs no digits
  // A column of ones, and the covariates in sds from their means over the groups, where mu is.
  matrix[J, K + 1] X = append_col(ones_vector(J), covariates);
  vector<lower=0>[K] sd_x; // their sds
  for (k in 1 : K) {
    sd_x[k] = sd(covariates[ : , k]);
    X[ : , k + 1] = (covariates[ : , k] - mean(covariates[ : , k])) / sd_x[k];
  }
  vector[K + 1] prior_mean = append_row(mu_location - center,
                                        zeros_vector(K));
  vector[K + 1] prior_sd = append_row(mu_scale, rep_vector(beta_scale, K));
  // Rough sizes, of which no more is asked than that they are not far off
  real total = mean(square(d) + v); // a variance (points squared)
  real tau_small = tau_seen(0, v, total); // tau below which the data see none (points)
  real tau_rough = sqrt(total); // a tau that suits them (points)
  for (step in 1 : 20) {
    // By moments, with the weights that estimates have where tau is as the last step found it
    vector[J] w = inv(square(tau_rough) + v);
    vector[J] apart = d
                      - X
                        * mdivide_left_spd(line_precision(w, X, prior_sd),
                                           line_weighted(w, X, d, prior_mean,
                                                         prior_sd));
    real left = dot_product(w, square(apart) - v) / sum(w);
    tau_rough = hypot(sqrt(fmax(0, left)), tau_seen(tau_rough, v, total));
  }
}
parameters {
  // Tau is sampled as a real number that stands for it. In log(tau) the likelihood is a cliff where
  // tau gets too small for the data, and a long slope where it gets large, and no slope at all
  // towards 0: steps that suit the one are too long for the other.
  real tau_stretched; // stands for tau
}
transformed parameters {
  real<lower=0> tau = sd_jacobian(tau_stretched, tau_rough, tau_small); // sd of the effects about the line (points)
  real lprior = 0; // log density of the priors, one line each; those of mu and beta must stay normal
  // Half of the prior lies below about tau_scale, and its tail admits any spread.
  lprior += student_t_lpdf(tau | tau_df, 0, tau_scale);
}
model {
  target += lprior;
  if (prior_only == 0) {
    // Estimates are normal(X b, sqrt(tau^2 + v)); b, mu and the slopes for an sd, is normal too.
    vector[J] w = inv(square(tau) + v);
    matrix[K + 1, K + 1] L = cholesky_decompose(
                               line_precision(w, X, prior_sd));
    vector[K + 1] z = mdivide_left_tri_low(L,
                        line_weighted(w, X, d, prior_mean, prior_sd));
    target += 0.5 * (sum(log(w)) - dot_product(w, square(d)));
    target += 0.5 * dot_self(z) - sum(log(diagonal(L)));
  }
}
generated quantities {
  real lprior_mu; // log density of the priors of mu and beta, which the model block integrates over
  real mu; // mean of the effects at the means of the covariates (points)
  vector[K] beta; // what one unit of each covariate adds (points a unit)
  vector[J_drawn] theta; // effects (points)
  real<lower=0> tau2 = square(tau); // variance about the line (points squared)
  {
    int seen = 1 - prior_only; // 0 takes the data out of what follows
    vector[J] w = seen * inv(square(tau) + v);
    matrix[K + 1, K + 1] L = cholesky_decompose(
                               line_precision(w, X, prior_sd));
    vector[K + 1] b = mdivide_left_tri_low(L,
                        line_weighted(w, X, d, prior_mean, prior_sd));
    for (k in 1 : K + 1) {
      b[k] += std_normal_rng();
    }
    b = mdivide_right_tri_low(b', L)';
    mu = center + b[1];
    beta = b[2 : K + 1] ./ sd_x;
    lprior_mu = normal_lpdf(mu | mu_location, mu_scale)
                + normal_lpdf(beta | 0, beta_scale ./ sd_x);
    for (j in 1 : J_drawn) {
      // How far the effect is pulled towards the line: 1 all the way, 0 not at all
      real lambda = 1 / (1 + seen * square(tau) / v[j]);
      theta[j] = center
                 + normal_rng(d[j] + lambda * (X[j] * b - d[j]),
                              tau * sqrt(lambda));
    }
  }
  real theta_new = normal_rng(mu, tau); // effect in a new group at the means of the covariates (points)
  vector[pointwise * J_drawn] log_lik; // log density of each estimate
  vector[pointwise * J_drawn] y_rep; // replicated estimates (points)
  for (j in 1 : pointwise * J_drawn) {
    log_lik[j] = normal_lpdf(y[j] | theta[j], se[j]);
    y_rep[j] = normal_rng(theta[j], se[j]);
  }
}
