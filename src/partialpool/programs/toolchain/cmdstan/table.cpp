// The table of all arguments: names, meanings, defaults and valid values.
#include "arguments.hpp"
#include "options.hpp"

#include <limits>

namespace command_line {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double largest_int = std::numeric_limits<int>::max();

using Children = std::vector<Argument>;

// --- How entries of the table are written -------------------------------------------------------

Argument entry(Kind kind, const char* name, const char* meaning, const std::string& initial = "",
               Range range = {-infinity, false, infinity, "All"}, Children children = {}) {
  Argument argument{kind, name, meaning, initial, std::move(range), std::move(children), ""};
  if (kind != Kind::category && kind != Kind::mark) {
    argument.set(initial);
    argument.initial = argument.value;
  }
  return argument;
}

Argument category(const char* name, const char* meaning, Children children) {
  return entry(Kind::category, name, meaning, "", {}, std::move(children));
}

Argument choice(const char* name, const char* meaning, const char* initial, Children children) {
  return entry(Kind::choice, name, meaning, initial, {}, std::move(children));
}

Argument mark(const char* name, const char* meaning) { return entry(Kind::mark, name, meaning); }

Argument boolean(const char* name, const char* meaning, bool initial) {
  return entry(Kind::boolean, name, meaning, initial ? "true" : "false");
}

Argument text(const char* name, const char* meaning, const char* initial = "",
              const char* stated = "All") {
  return entry(Kind::text, name, meaning, initial, {-infinity, false, infinity, stated});
}

// `0 < name` is how the manual states it for counts that may be zero as well.
Argument count(const char* name, const char* meaning, int initial, Kind kind = Kind::integer) {
  return entry(kind, name, meaning, std::to_string(initial),
               {0, false, largest_int, std::string("0 < ") + name});
}

Argument positive_integer(const char* name, const char* meaning, int initial) {
  return entry(Kind::integer, name, meaning, std::to_string(initial),
               {0, true, largest_int, std::string("0 < ") + name});
}

Argument positive(const char* name, const char* meaning, const char* initial) {
  return entry(Kind::real, name, meaning, initial,
               {0, true, infinity, std::string("0 < ") + name});
}

Argument tolerance(const char* name, const char* meaning, const char* initial) {
  return entry(Kind::real, name, meaning, initial,
               {0, false, infinity, std::string("0 <= ") + name});
}

Argument between(const char* name, const char* meaning, const char* initial, double lower,
                 double upper) {
  return entry(Kind::real, name, meaning, initial,
               {lower, false, upper,
                std::to_string(lower) + " <= " + name + " <= " + std::to_string(upper)});
}

// --- The table ----------------------------------------------------------------------------------

Children quasi_newton_arguments() {
  return {positive("init_alpha", "First step size of the line search", "0.001"),
          tolerance("tol_obj", "Stop when the objective changes by less, absolutely", "1e-12"),
          tolerance("tol_rel_obj", "Stop when the objective changes by less, relatively", "10000"),
          tolerance("tol_grad", "Stop when the norm of the gradient is less", "1e-08"),
          tolerance("tol_rel_grad", "Stop when the relative gradient is less", "1e+07"),
          tolerance("tol_param", "Stop when the parameters change by less", "1e-08")};
}

Children lbfgs_arguments() {
  Children children = quasi_newton_arguments();
  children.push_back(
      positive_integer("history_size", "Updates kept to approximate the Hessian", 5));
  return children;
}

Argument sample_arguments() {
  Argument adapt = category(
      "adapt", "How warmup tunes the sampler",
      {boolean("engaged", "Tune step size and metric in warmup", true),
       positive("gamma", "Regularization scale of the step size", "0.05"),
       between("delta", "Acceptance statistic to aim for", "0.8", 0.1, 1),
       positive("kappa", "Relaxation exponent of the step size", "0.75"),
       positive("t0", "Iteration offset of the step size", "10"),
       count("init_buffer", "Iterations before the metric is first estimated", 75, Kind::natural),
       count("term_buffer", "Iterations after the metric is last estimated", 50, Kind::natural),
       count("window", "Iterations of the first window that estimates the metric", 25,
             Kind::natural),
       boolean("save_metric", "Write step size and metric to a JSON file", false)});
  Argument engine = choice(
      "engine", "How trajectories end", "nuts",
      {category("static", "After a fixed time",
                {positive("int_time", "Length of a trajectory in time (2 pi unless set)",
                          "6.28319")}),
       category("nuts", "At a U-turn (the No-U-Turn sampler)",
                {positive_integer("max_depth", "Largest depth of the tree", 10)})});
  // The printed default of int_time is rounded: trajectories last 2 pi exactly.
  engine["static"]["int_time"].number = 6.283185307179586;
  Argument metric = choice("metric", "Shape of the Euclidean metric", "diag_e",
                           {mark("unit_e", "Identity matrix"), mark("diag_e", "Diagonal matrix"),
                            mark("dense_e", "Full matrix")});
  Argument hmc = category(
      "hmc", "Hamiltonian Monte Carlo",
      {engine, metric, text("metric_file", "File with the inverse metric to start from"),
       positive("stepsize", "Step size to start from", "1"),
       between("stepsize_jitter", "Share of the step size that varies at random", "0", 0, 1)});
  Argument draws_file = text(
      "draws_file", "File for the draws as doubles, row after row, in place of the CSV file's rows");
  draws_file.ours = true;
  return category(
      "sample", "Draw from the posterior by Markov chain Monte Carlo",
      {count("num_samples", "Iterations after warmup", 1000),
       count("num_warmup", "Iterations of warmup", 1000),
       boolean("save_warmup", "Write the warmup draws too", false),
       positive_integer("thin", "Write every so manieth draw", 1), adapt,
       choice("algorithm", "Sampler", "hmc",
              {hmc, mark("fixed_param", "Parameters stay at their initial values")}),
       positive_integer("num_chains", "Chains to run", 1), draws_file});
}

Argument optimize_arguments() {
  return category(
      "optimize", "Find the mode",
      {choice("algorithm", "Optimizer", "lbfgs",
              {category("bfgs", "BFGS with line search", quasi_newton_arguments()),
               category("lbfgs", "Limited-memory BFGS with line search", lbfgs_arguments()),
               category("newton", "Newton's method", {})}),
       boolean("jacobian", "Add the Jacobian of the constraining transform", false),
       positive_integer("iter", "Most iterations", 2000),
       boolean("save_iterations", "Write every iteration", false)});
}

Argument variational_arguments() {
  return category(
      "variational", "Fit an approximation by automatic differentiation variational inference",
      {choice("algorithm", "Family of the approximation", "meanfield",
              {category("meanfield", "Independent normals", {}),
               category("fullrank", "Multivariate normal", {})}),
       positive_integer("iter", "Most iterations", 10000),
       positive_integer("grad_samples", "Draws for an estimate of the gradient", 1),
       positive_integer("elbo_samples", "Draws for an estimate of the ELBO", 100),
       positive("eta", "Scale of the step size", "1"),
       category("adapt", "How the step size is tuned",
                {boolean("engaged", "Tune eta", true),
                 positive_integer("iter", "Iterations for each candidate of eta", 50)}),
       positive("tol_rel_obj", "Stop when the ELBO changes by less, relatively", "0.01"),
       positive_integer("eval_elbo", "Iterations between estimates of the ELBO", 100),
       positive_integer("output_samples", "Draws from the approximation to write", 1000)});
}

Argument diagnose_arguments() {
  return category("diagnose", "Compare gradients with finite differences",
                  {choice("test", "What to check", "gradient",
                          {category("gradient", "The gradient at the initial values",
                                    {positive("epsilon", "Step of the differences", "1e-06"),
                                     positive("error", "Largest error allowed", "1e-06")})})});
}

Argument generate_quantities_arguments() {
  return category("generate_quantities", "Run the generated quantities block on draws at hand",
                  {text("fitted_params", "CSV file with draws of the parameters", "",
                        "Path to existing file"),
                   positive_integer("num_chains", "Files of draws, one a chain", 1)});
}

Argument pathfinder_arguments() {
  Children children = lbfgs_arguments();
  for (Argument& argument :
       Children{positive_integer("num_psis_draws", "Draws to keep from all paths", 1000),
                positive_integer("num_paths", "Paths to run", 4),
                boolean("save_single_paths", "Write each path to files of its own", false),
                boolean("psis_resample", "Resample by Pareto-smoothed importance weights", true),
                boolean("calculate_lp", "Evaluate the log density of every draw", true),
                positive_integer("max_lbfgs_iters", "Most L-BFGS iterations of a path", 1000),
                positive_integer("num_draws", "Draws from the approximation of a path", 1000),
                positive_integer("num_elbo_draws", "Draws for an estimate of the ELBO", 25)}) {
    children.push_back(argument);
  }
  return category("pathfinder", "Fit an approximation by Pathfinder", children);
}

Argument log_prob_arguments() {
  return category("log_prob", "Log density and its gradient at given parameters",
                  {text("unconstrained_params", "File with `params_r`, unconstrained values", "",
                        "Path to existing file"),
                   text("constrained_params", "File with values of the parameters", "",
                        "Path to existing file"),
                   boolean("jacobian", "Add the Jacobian of the constraining transform", true)});
}

Argument laplace_arguments() {
  return category(
      "laplace", "Draw from the normal approximation at the mode",
      {text("mode", "File (CSV or JSON) with the mode", "", "Path to existing file"),
       boolean("jacobian", "Add the Jacobian of the constraining transform", true),
       count("draws", "Draws from the approximation", 1000),
       boolean("calculate_lp", "Evaluate the log density of every draw", true)});
}

}  // namespace

Argument all_arguments() {
  Argument method =
      choice("method", "What to do", "sample",
             {sample_arguments(), optimize_arguments(), variational_arguments(),
              diagnose_arguments(), generate_quantities_arguments(), pathfinder_arguments(),
              log_prob_arguments(), laplace_arguments()});
  Argument seed =
      entry(Kind::big_integer, "seed", "Seed of the random number generator", "-1",
            {-1, false, 4294967295.0, "integer from 0 to 4294967295, or -1 to pick one at random"});
  Argument sig_figs = entry(Kind::integer, "sig_figs", "Significant digits in output files", "8",
                            {-1, false, 18, "0 <= sig_figs <= 18, or -1 for the 6 of C++"});
  const Range threads{-1, false, largest_int, "num_threads > 0 || num_threads == -1", true};
  const Range no_threads{1, false, 1,
                         "num_threads == 1 (more in programs made with STAN_THREADS=true)"};
  Argument num_threads = entry(Kind::integer, "num_threads", "Threads that the program may use",
                               "1", with_threads ? threads : no_threads);
  return category(
      "", "",
      {method,
       entry(Kind::integer, "id", "Number that tells this process from others", "1",
             {0, false, largest_int, "id >= 0"}),
       category("data", "Where the data are",
                {text("file", "File (JSON or R dump) with the data", "", "Path to existing file")}),
       text("init",
            "Start at random between -x and x if a number x, at 0 if 0, else at values of a file",
            "2"),
       category("random", "Random numbers", {seed}),
       category("output", "Where output goes, and how much of it",
                {text("file", "File for the draws", "output.csv", "Path to existing file"),
                 text("diagnostic_file", "File for what the algorithm did", "",
                      "Path to existing file"),
                 entry(Kind::integer, "refresh", "Iterations between progress lines", "100",
                       {0, false, largest_int, "0 <= refresh"}),
                 sig_figs,
                 text("profile_file", "File for timings of profile statements", "profile.csv",
                      "Path to existing file"),
                 boolean("save_cmdstan_config", "Write the configuration to a JSON file", false)}),
       num_threads});
}

}  // namespace command_line
