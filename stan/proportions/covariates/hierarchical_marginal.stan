// Partial pooling of proportions with covariates, marginal: the probabilities are integrated out.
functions {
  // Mean and sd of the probabilities in a population of logits, and the mean sd of a trial within a
  // group: sums over normal numbers z in steps of 1/4, which are as good as integrals here.
  vector moments(real location, real scale) {
    vector[65] z = linspaced_vector(65, -8, 8);
    vector[65] p = inv_logit(location + scale * z);
    vector[65] weight = softmax(-0.5 * square(z));
    real mean_p = dot_product(weight, p);
    return [mean_p, sqrt(dot_product(weight, square(p - mean_p))),
            sqrt(dot_product(weight, p .* (1 - p)))]';
  }
  // Draw the logit of a group with y successes in n trials, given its population. Its log density is
  // concave, and lies below three of its tangents: one is drawn from these, until one is kept.
  real alpha_rng(real y, real n, real location, real scale) {
    real mode = location;
    real bend = inv_square(scale); // minus the second derivative of the log density
    real low = location
               + fmin(0, square(scale) * (y - n * inv_logit(location)));
    real high = location
                + fmax(0, square(scale) * (y - n * inv_logit(location)));
    for (step in 1 : 100) {
      real p = inv_logit(mode);
      real slope = y - n * p - (mode - location) * inv_square(scale);
      bend = n * p * (1 - p) + inv_square(scale);
      if (slope > 0) {
        low = mode;
      } else {
        high = mode;
      }
      real better = mode + slope / bend; // Newton's step, or half of what is left
      better = better > low && better < high ? better : 0.5 * (low + high);
      real change = abs(better - mode) * sqrt(bend);
      mode = better;
      if (change < 1e-6) {
        break;
      }
    }
    real top = y * mode - n * log1p_exp(mode)
               - 0.5 * square((mode - location) / scale);
    array[2] real fall; // slopes of the tangents to the left and to the right
    array[2] real end; // where they reach the height of the one at the mode
    for (side in 1 : 2) {
      real sign = 2 * side - 3;
      real point = mode + sign * inv_sqrt(bend);
      real height = y * point - n * log1p_exp(point)
                    - 0.5 * square((point - location) / scale);
      fall[side] = abs(
                       y - n * inv_logit(point)
                       - (point - location) * inv_square(scale));
      end[side] = point
                  - sign * fmin((top - height) / fall[side], inv_sqrt(bend));
    }
    vector[3] area = [inv(fall[1]), end[2] - end[1], inv(fall[2])]';
    while (1) {
      int piece = categorical_rng(area / sum(area));
      real beyond = exponential_rng(1);
      real x = piece == 2 ? uniform_rng(end[1], end[2])
               : piece == 1 ? end[1] - beyond / fall[1]
                 : end[2] + beyond / fall[2];
      real height = y * x - n * log1p_exp(x)
                    - 0.5 * square((x - location) / scale);
      if (height - top + (piece == 2 ? 0 : beyond) >= -exponential_rng(1)) {
        return x;
      }
    }
    return mode; // never reached
  }
}
data {
  int<lower=1> J; // number of groups
  array[J] int<lower=0> successes; // successes in each group
  array[J] int<lower=0> trials; // trials in each group
  int<lower=1> K; // number of covariates
  matrix[J, K] covariates; // what is known of each group, a column a covariate
  int<lower=0> A; // groups of few successes, or of few failures
  array[A] int<lower=1, upper=J> few; // which these are
  int<lower=0> Q; // nodes: means of normal densities, of which their likelihoods are sums
  vector[Q] node; // each node, on the scale of alpha
  real<lower=0> node_sd; // sd of these densities
  int<lower=0> M; // groups of many
  array[M] int<lower=1, upper=J> many; // which these are
  vector[M] center_m; // where the likelihood of each lies
  vector<lower=0>[M] variance_m; // and its width
  int<lower=1> R; // points of the rule of Gauss and Hermite
  vector[R] point;
  vector[R] log_weight;
  
  real location_mean; // prior mean of location
  real<lower=0> location_sd; // its prior sd
  real<lower=0> beta_scale; // prior sd of what an sd of a covariate adds to a logit
  real<lower=0> scale_sd; // the prior of scale is half-normal with this sd
  
  int<lower=0, upper=1> prior_only; // 1 leaves the likelihood out
  int<lower=0> J_drawn; // groups whose theta is drawn: all, or 0 for none
  int<lower=0, upper=1> pointwise; // 1 generates log_lik and y_rep of these groups
}
transformed data {
  // Covariates are counted from their means over the groups, where location is.
  matrix[J, K] x; // covariates less these means
  vector<lower=0>[K] sd_x; // their sds over the groups
  for (k in 1 : K) {
    x[ : , k] = covariates[ : , k] - mean(covariates[ : , k]);
    sd_x[k] = sd(covariates[ : , k]);
  }
  // A likelihood of few counts is a sum of normal densities on the nodes, each with its share.
  vector[A] y_few = to_vector(successes[few]);
  vector[A] n_few = to_vector(trials[few]);
  vector[A] peak; // largest log likelihood on the nodes
  matrix[A, Q] share;
  if (A > 0) {
    matrix[Q, Q] density;
    for (q in 1 : Q) {
      density[ : , q] = exp(-0.5 * square((node - node[q]) / node_sd))
                        / node_sd;
    }
    matrix[A, Q] likelihood;
    for (a in 1 : A) {
      vector[Q] log_likelihood = y_few[a] * node - n_few[a] * log1p_exp(node);
      peak[a] = max(log_likelihood);
      likelihood[a] = exp(log_likelihood - peak[a])';
    }
    share = mdivide_right_spd(likelihood, density);
  }
  vector[M] y_m = to_vector(successes[many]);
  vector[M] n_m = to_vector(trials[many]);
}
parameters {
  real location; // mean of the logits at the means of the covariates
  vector<multiplier=1 ./ sd_x>[K] beta; // what one unit of each covariate adds to a logit
  real<lower=0> scale; // sd of the logits about the line
}
transformed parameters {
  real lprior = 0; // log density of the priors, one line each
  // The chance of a typical group is anything from next to 0 to next to 1.
  lprior += normal_lpdf(location | location_mean, location_sd);
  // With 2.5, an sd of a covariate may well multiply the odds by 10, but not by 1000.
  lprior += normal_lpdf(beta | 0, beta_scale ./ sd_x);
  // With 1, the odds of most groups are within a factor of 7 of what their covariates say.
  lprior += normal_lpdf(scale | 0, scale_sd);
}
model {
  target += lprior;
  if (prior_only == 0) {
    vector[J] line = location + x * beta;
    // The sum of two normal numbers is normal: so much wider are the densities on the nodes.
    real wide = hypot(scale, node_sd);
    for (a in 1 : A) {
      real m = line[few[a]];
      real mean_likelihood = share[a] * exp(-0.5 * square((node - m) / wide))
                             / wide;
      if (mean_likelihood > 1e-9) {
        target += log(mean_likelihood);
      } else {
        // So far from the counts the sum has no digits left: points about the line have.
        vector[R] alpha = m + scale * point;
        target += log_sum_exp(
                              log_weight + y_few[a] * alpha
                              - n_few[a] * log1p_exp(alpha))
                  - peak[a];
      }
    }
    if (M > 0) {
      // Many counts: points about the product of two normal densities, corrected for what it is not.
      vector[M] variance = inv(inv_square(scale) + inv(variance_m));
      vector[M] middle = (center_m - line[many]) .* variance ./ variance_m; // counted from the line
      vector[M] sd = sqrt(variance);
      matrix[M, R] log_term;
      for (r in 1 : R) {
        vector[M] apart = middle + sd * point[r];
        vector[M] alpha = line[many] + apart;
        log_term[ : , r] = log_weight[r] + y_m .* alpha
                           - n_m .* log1p_exp(alpha)
                           + 0.5 * (square(point[r]) - square(apart / scale));
      }
      for (m in 1 : M) {
        target += log_sum_exp(log_term[m]) + log(sd[m] / scale);
      }
    }
  }
}
generated quantities {
  real<lower=0, upper=1> mu; // mean of the probabilities at the means of the covariates
  real<lower=0> tau; // sd between probabilities there
  real<lower=0> sigma; // sd of a trial within a group there, on average
  {
    vector[3] population = moments(location, scale);
    mu = population[1];
    tau = population[2];
    sigma = population[3];
  }
  vector<lower=0, upper=1>[J_drawn] theta; // probabilities of success
  for (j in 1 : J_drawn) {
    int seen = 1 - prior_only; // 0 takes the data out of what follows
    theta[j] = inv_logit(
                         alpha_rng(seen * successes[j], seen * trials[j],
                                   location + x[j] * beta, scale));
  }
  // That of a group not seen yet, at the means of the covariates
  real<lower=0, upper=1> theta_new = inv_logit(normal_rng(location, scale));
  vector[pointwise * J_drawn] log_lik; // log probability of each group's successes
  vector[pointwise * J_drawn] y_rep; // replicated proportions
  for (j in 1 : pointwise * J_drawn) {
    log_lik[j] = binomial_lpmf(successes[j] | trials[j], theta[j]);
    y_rep[j] = binomial_rng(trials[j], theta[j]) / fmax(1, trials[j]);
  }
}
