// Partial pooling with adjustment, for runs that compare priors: the families of the priors of tau and sigma are data.
// As in hierarchical_marginal.stan, the line and the group means are integrated out and drawn afterwards, and
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
  // Precision of mu and beta given tau and sigma, from their prior, from sample means of precision w
  // and from deviations within groups of precision v.
  matrix line_precision(vector w, matrix X, real v, matrix X_within,
                        vector prior_sd) {
    return diag_matrix(inv_square(prior_sd))
           + crossprod(diag_pre_multiply(sqrt(w), X))
           + v * crossprod(X_within);
  }
  // That precision times the mean of mu and beta; means are counted from center, as d is.
  vector line_weighted(vector w,
                       matrix X,
                       vector d,
                       real v,
                       matrix X_within,
                       vector y_within,
                       vector prior_mean,
                       vector prior_sd) {
    return prior_mean ./ square(prior_sd) + X' * (w .* d)
           + v * (X_within' * y_within);
  }
}
data {
  int<lower=1> J; // number of groups
  vector<lower=0>[J] n; // observations in each group
  vector[J] ybar; // sample means, in the unit of the data (hours a week)
  int<lower=1> K; // number of covariates
  matrix[J, K] covariates; // mean of each covariate in each group, in its unit
  vector[K] middle; // mean of each covariate, where mu is
  vector<lower=0>[K] sd_x; // sd of each covariate
  // What deviations from the group means say of the slopes, summed up in a few rows: as much as all
  // of them, y_within = X_within * (slopes for an sd) + error with sd sigma.
  int<lower=1> M; // number of these rows
  matrix[M, K] x_within; // covariates, in sds
  vector[M] y_within; // outcomes (hours)
  real<lower=0> ssw; // sum of squares that these slopes leave within groups
  
  real mu_location; // prior mean of mu (hours)
  real<lower=0> mu_scale; // prior sd of mu (hours)
  real<lower=0> beta_scale; // prior sd of what an sd of a covariate adds to a group mean (hours)
  int<lower=1, upper=6> tau_family; // family of the prior of tau, as numbered above
  vector<lower=0>[2] tau_prior; // its settings, in the order of a and b
  real<lower=0> tau_upper; // upper bound of tau (hours), infinite but for the uniform prior
  int<lower=1, upper=6> sigma_family; // family of the prior of sigma
  vector<lower=0>[2] sigma_prior; // its settings
  real<lower=0> sigma_upper; // upper bound of sigma (hours), infinite but for the uniform prior
  
  real<lower=0> prior_power; // exponent of the priors: 1, or another to see how much they decide
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
}
transformed data {
  real df = sum(n) - J; // degrees of freedom within groups
  real center = mean(ybar); // mean of all sample means (hours)
  vector[J] d = ybar - center; // counted from there, a large offset costs no digits
  vector[J] inv_n = inv(n);
  // A column of ones, and the covariates in sds from their means, where mu is.
  matrix[J, K + 1] X = append_col(ones_vector(J),
                                  diag_post_multiply(
                                    covariates - rep_matrix(middle', J),
                                    inv(sd_x)));
  matrix[M, K + 1] X_within = append_col(zeros_vector(M), x_within);
  vector[K + 1] prior_mean = append_row(mu_location - center,
                                        zeros_vector(K));
  // The prior of mu and beta to a power is normal, too.
  vector[K + 1] prior_sd = append_row(mu_scale, rep_vector(beta_scale, K))
                           / sqrt(prior_power);
  // Rough sizes, of which no more is asked than that they are not far off (hours)
  vector[K + 1] wide = rep_vector(1e4, K + 1);
  vector[K + 1] rough = mdivide_left_spd(
                                         line_precision(n, X, 1, X_within,
                                                        wide),
                                         line_weighted(n, X, d, 1, X_within,
                                                       y_within,
                                                       zeros_vector(K + 1),
                                                       wide));
  vector[J] apart = d - X * rough;
  real ms = dot_self(apart) / fmax(1, J - K - 1); // mean square about a line by least squares
  real sigma_rough = sqrt(ssw > 0 ? ssw / fmax(1, df) : mean(square(d)));
  real se_rough = sigma_rough * sqrt(mean(inv_n)); // error of a sample mean
  // The more groups and observations, the less varies what stands for tau and sigma below
  real tau_step = J ^ -0.25;
  real sigma_step = fmax(1, df) ^ -0.25;
  real resolved = se_rough * tau_step; // a tau that as many groups just tell from 0
  real tau2_rough = ms - square(se_rough); // may be below 0 (hours squared)
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
                                  tau_upper); // sd of the group means about the line (hours)
  real<lower=0> sigma = sd_jacobian(sigma_stretched, sigma_rough,
                                    sigma_small, sigma_upper); // sd within groups (hours)
  real lprior = 0; // log density of the priors, one line each; that of mu and beta is integrated over
  lprior += sd_lpdf(tau | tau_family, tau_prior[1], tau_prior[2]);
  lprior += sd_lpdf(sigma | sigma_family, sigma_prior[1], sigma_prior[2]);
}
model {
  target += prior_power * lprior;
  // A sample mean of n observations is normal(X b, sqrt(tau^2 + sigma^2 / n)); b, mu and the slopes
  // for an sd, is normal too.
  vector[J] w = inv(square(tau) + square(sigma) * inv_n);
  matrix[K + 1, K + 1] L = cholesky_decompose(
                             line_precision(w, X, inv_square(sigma),
                                            X_within, prior_sd));
  vector[K + 1] z = mdivide_left_tri_low(L,
                      line_weighted(w, X, d, inv_square(sigma), X_within,
                                    y_within, prior_mean, prior_sd));
  target += 0.5 * (sum(log(w)) - dot_product(w, square(d)));
  target += 0.5 * dot_self(z) - sum(log(diagonal(L)));
  target += -0.5 * (ssw + dot_self(y_within)) / square(sigma)
            - df * log(sigma);
}
generated quantities {
  real lprior_mu; // log density of the priors of mu and beta, which the model block integrates over
  real mu; // mean of the group means at the means of the covariates (hours)
  vector[K] beta; // what one unit of each covariate adds (hours a unit)
  vector[J_drawn] theta; // mean of each group, at its own covariates (hours)
  {
    vector[J] w = inv(square(tau) + square(sigma) * inv_n);
    matrix[K + 1, K + 1] L = cholesky_decompose(
                               line_precision(w, X, inv_square(sigma),
                                              X_within, prior_sd));
    vector[K + 1] b = mdivide_left_tri_low(L,
                        line_weighted(w, X, d, inv_square(sigma), X_within,
                                      y_within, prior_mean, prior_sd));
    for (k in 1 : K + 1) {
      b[k] += std_normal_rng();
    }
    b = mdivide_right_tri_low(b', L)';
    mu = center + b[1];
    beta = b[2 : K + 1] ./ sd_x;
    lprior_mu = normal_lpdf(mu | mu_location, mu_scale)
                + normal_lpdf(beta | 0, beta_scale ./ sd_x);
    for (j in 1 : J_drawn) {
      // How far the group's mean is pulled towards the line: 1 all the way, 0 not at all
      real lambda = square(sigma) / (square(sigma) + n[j] * square(tau));
      theta[j] = center
                 + normal_rng(d[j] + lambda * (X[j] * b - d[j]),
                              tau * sqrt(lambda));
    }
  }
}

