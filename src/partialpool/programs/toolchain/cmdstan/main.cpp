// The program: reads the arguments and the data, makes the model, runs the method.
#include "methods.hpp"
#include "options.hpp"

#include <stan/callbacks/stream_logger.hpp>
#include <stan/math/rev/core/profiling.hpp>
#include <stan/services/error_codes.hpp>
#include <stan/version.hpp>

#include <cstdlib>
#include <ctime>
#include <iostream>
#include <map>
#include <random>

// What the translated Stan program defines.
stan::model::model_base& new_model(stan::io::var_context& data, unsigned int seed,
                                   std::ostream* messages);
stan::math::profile_map& get_stan_profile_data();

namespace command_line {

namespace {

const std::map<std::string, int (*)(Run&)> methods = {
    {"sample", sample},         {"generate_quantities", generate_quantities},
    {"optimize", optimize},     {"laplace", laplace},
    {"pathfinder", pathfinder}, {"variational", variational},
    {"log_prob", log_prob},     {"diagnose", diagnose}};

// How the program was compiled, as CmdStanPy reads it.
void print_info(std::ostream& out) {
  const auto flag = [&out](const char* name, bool value) {
    out << name << "=" << (value ? "true" : "false") << "\n";
  };
  out << "stan_version_major = " << stan::MAJOR_VERSION << "\n"
      << "stan_version_minor = " << stan::MINOR_VERSION << "\n"
      << "stan_version_patch = " << stan::PATCH_VERSION << "\n";
  flag("STAN_THREADS", with_threads);
  flag("STAN_MPI", false);
  flag("STAN_OPENCL", false);
  flag("STAN_NO_RANGE_CHECKS", without_range_checks);
  flag("STAN_CPP_OPTIMS", with_cpp_optims);
}

std::string now() {
  const std::time_t time = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", std::gmtime(&time));
  return text;
}

// Defaults that are known only when the program runs.
void set_defaults(Argument& tree) {
  Argument& seed = tree["random"]["seed"];
  if (seed.is_default()) {
    seed.set(std::to_string(std::random_device()()));
    seed.initial = seed.value;
  }
}

// Threads: the argument, or the environment variable that CmdStanPy sets.
void start_threads(Argument& tree) {
  Argument& num_threads = tree["num_threads"];
  const int from_environment = threads_asked_for();
  if (std::getenv("STAN_NUM_THREADS") != nullptr && from_environment != 1) {
    if (!num_threads.is_default() && num_threads.integer() != from_environment) {
      throw Error("Error: num_threads=" + num_threads.value + ", but STAN_NUM_THREADS asks for " +
                  std::to_string(from_environment) + ". Drop one of them.");
    }
    num_threads.set(std::to_string(from_environment));
    num_threads.initial = num_threads.value;
  }
  start_thread_pool(num_threads.integer());
}

void save_configuration(const Run& run) {
  const std::string& file = run.output()["file"].value;
  JsonWriter writer = open_json(run, configuration_file(file, chain_count(run.tree)));
  writer.begin_record();
  writer.write("stan_major_version", stan::MAJOR_VERSION);
  writer.write("stan_minor_version", stan::MINOR_VERSION);
  writer.write("stan_patch_version", stan::PATCH_VERSION);
  writer.write("model_name", run.model.model_name());
  writer.write("start_datetime", run.start_time);
  echo(run.tree, writer);
  writer.write("mpi_enabled", false);
  for (const std::string& line : run.model.model_compile_info()) {
    const std::size_t equals = line.find(" = ");
    writer.write(line.substr(0, equals), line.substr(equals + 3));
  }
  writer.end_record();
}

void save_profile(const Run& run) {
  const stan::math::profile_map& profiles = get_stan_profile_data();
  if (profiles.empty()) return;
  const Argument& file = run.output()["profile_file"];
  if (file.is_default()) {
    refuse_conflicts({"profile_file", file.value}, inputs(run.tree));
    refuse_conflicts({"profile_file", file.value}, outputs(run.tree));
  }
  std::ofstream& out = *run.outputs.open(file.value);
  out << "name,thread_id,total_time,forward_time,reverse_time,chain_stack,no_chain_stack,"
         "autodiff_calls,no_autodiff_calls\n";
  for (const auto& [key, profile] : profiles) {
    out << key.first << "," << key.second << ","
        << profile.get_fwd_time() + profile.get_rev_time() << "," << profile.get_fwd_time() << ","
        << profile.get_rev_time() << "," << profile.get_chain_stack_used() << ","
        << profile.get_nochain_stack_used() << "," << profile.get_num_AD_fwd_passes() << ","
        << profile.get_num_no_AD_fwd_passes() << "\n";
  }
}

int run_method(Argument& tree) {
  refuse_conflicts(tree);
  set_defaults(tree);
  start_threads(tree);
  echo(tree, "", std::cout);
  std::cout << std::endl;

  const unsigned int seed = tree["random"]["seed"].natural();
  const Context data = read_context(tree["data"]["file"].value);
  const std::unique_ptr<stan::model::model_base> model(&new_model(*data, seed, &std::cout));

  stan::callbacks::stream_logger logger(std::cout, std::cout, std::cout, std::cerr, std::cerr);
  stan::callbacks::interrupt interrupt;
  Outputs outputs;
  Run run{tree,
          *model,
          now(),
          seed,
          tree["id"].natural(),
          tree["output"]["refresh"].integer(),
          logger,
          interrupt,
          outputs};
  if (run.output()["save_cmdstan_config"].flag()) save_configuration(run);
  const int code = methods.at(tree["method"].value)(run);
  save_profile(run);
  outputs.close();
  return code;
}

int run_program(const std::string& program, const std::vector<std::string>& words) {
  Argument tree = all_arguments();
  if (words.empty()) {
    print_usage(tree, program, std::cout);
    return stan::services::error_codes::USAGE;
  }
  if (words[0] == "info") {
    print_info(std::cout);
    return stan::services::error_codes::OK;
  }
  if (parse(tree, words, program, std::cout) == Wish::help) return stan::services::error_codes::OK;
  return run_method(tree);
}

}  // namespace
}  // namespace command_line

int main(int argc, char* argv[]) {
  try {
    const int code = command_line::run_program(argv[0], {argv + 1, argv + argc});
    return code == stan::services::error_codes::OK ? EXIT_SUCCESS : EXIT_FAILURE;
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return EXIT_FAILURE;
  }
}
