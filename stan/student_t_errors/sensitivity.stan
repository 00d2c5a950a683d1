// Partial pooling, Student-t errors, for runs that compare priors: the families of the priors of tau
// and sigma are data. As in hierarchical_marginal.stan of normal errors, tau and sigma are stretched;
// group means that the data tell well are centered, and the others are not.
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
  // Group means that z stands for: between centered, where own is 1, and non-centered, where it is 0
  // (Papaspiliopoulos, Roberts and Sköld 2007).
  vector means_jacobian(vector z, real mu, real tau, vector own, real center,
                        real tau_rough) {
    vector[num_elements(z)] unit = tau_rough * (tau / tau_rough) ^ (1 - own);
    jacobian += sum(log(unit)); // its derivative by z
    return center + (1 - own) * (mu - center) + unit .* z;
  }
}
data {
  int<lower=1> N; // number of observations
  int<lower=1> J; // number of groups
  array[N] int<lower=1, upper=J> group; // group of each observation
  vector[N] y; // outcome, in the unit of the data (hours a week)
  vector<lower=1>[J] n; // observations in each group
  vector[J] ybar; // sample means (hours)
  vector<lower=0>[J] ss; // sums of squares of the observations about them (hours squared)
  
  real mu_location; // prior mean of mu (hours)
  real<lower=0> mu_scale; // prior sd of mu (hours)
  int<lower=1, upper=6> tau_family; // family of the prior of tau, as numbered above
  vector<lower=0>[2] tau_prior; // its settings, in the order of a and b
  real<lower=0> tau_upper; // upper bound of tau (hours), infinite but for the uniform prior
  int<lower=1, upper=6> sigma_family; // family of the prior of sigma
  vector<lower=0>[2] sigma_prior; // its settings
  real<lower=0> sigma_upper; // upper bound of sigma (hours), infinite but for the uniform prior
  real<lower=0> nu_fixed; // degrees of freedom of the errors; 0 where they are learnt
  real<lower=0> nu_shape; // shape of their gamma prior
  real<lower=0> nu_rate; // its rate
  
  real<lower=0> prior_power; // exponent of the priors: 1, or another to see how much they decide
  real<lower=0> likelihood_power; // the same of the likelihood
}
transformed data {
  real df = sum(n) - J; // degrees of freedom within groups
  real center = mean(ybar); // mean of all sample means (hours)
  vector[J] d = ybar - center; // counted from there, a large offset costs no digits
  // Rough sizes, of which no more is asked than that they are not far off (hours)
  real sigma_rough = sqrt(
                          sum(ss) > 0 ? sum(ss) / fmax(1, df)
                          : mean(square(d)));
  real se_rough = sigma_rough * sqrt(mean(inv(n))); // error of a sample mean
  real resolved = se_rough * J ^ -0.25; // a tau that as many groups just tell from 0
  real tau2_rough = mean(square(d)) - square(se_rough); // may be below 0 (hours squared)
  real tau_rough = 0.7 * sqrt(fmax(square(resolved), tau2_rough)); // below it, the long slope is short
  real mu_rough = sqrt((square(tau_rough) + square(se_rough)) / J); // error of mu
  real tau_step = J ^ -0.25;
  real sigma_step = fmax(1, df) ^ -0.25;
  // Inverse-gamma priors keep an sd off 0 by themselves.
  real tau_small = tau_family == 6 ? 0 : resolved;
  real sigma_small = sigma_family == 6 ? 0 : sigma_rough;
  // The weight of a group's own observations in its mean, roughly
  vector[J] own = square(tau_rough)
                  ./ (square(tau_rough) + square(sigma_rough) ./ n);
}
parameters {
  real<offset=center, multiplier=mu_rough> mu; // mean of the group means (hours)
  real<multiplier=tau_step> tau_stretched; // stands for tau
  real<multiplier=sigma_step> sigma_stretched; // stands for sigma
  vector[J] theta_shifted; // stands for theta
  vector<lower=0>[nu_fixed > 0 ? 0 : 1] nu_learnt; // degrees of freedom of the errors
}
transformed parameters {
  real<lower=0> nu = nu_fixed > 0 ? nu_fixed : nu_learnt[1]; // degrees of freedom of the errors
  real<lower=0> tau = sd_jacobian(tau_stretched, tau_rough, tau_small,
                                  tau_upper); // sd between group means (hours)
  real<lower=0> sigma = sd_jacobian(sigma_stretched, sigma_rough,
                                    sigma_small, sigma_upper); // scale of the errors (hours)
  vector[J] theta = means_jacobian(theta_shifted, mu, tau, own, center,
                                   tau_rough); // group means (hours)
  real lprior = 0; // log density of the priors, one line each
  lprior += normal_lpdf(mu | mu_location, mu_scale);
  lprior += sd_lpdf(tau | tau_family, tau_prior[1], tau_prior[2]);
  lprior += sd_lpdf(sigma | sigma_family, sigma_prior[1], sigma_prior[2]);
  if (nu_fixed == 0) {
    lprior += gamma_lpdf(nu | nu_shape, nu_rate);
  }
}
model {
  target += prior_power * lprior;
  theta ~ normal(mu, tau);
  target += likelihood_power * student_t_lpdf(y | nu, theta[group], sigma);
}

