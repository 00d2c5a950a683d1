#include "names.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace command_line {

namespace {

namespace fs = std::filesystem;

bool is_file(const std::string& file) { return std::ifstream(file).good(); }

// Where the suffix of a file's name begins.
std::size_t suffix_position(const std::string& file) {
  const std::size_t slash = file.find_last_of("/\\");
  const std::size_t dot = file.find_last_of('.');
  const bool in_name = dot != std::string::npos && (slash == std::string::npos || dot > slash);
  return in_name ? dot : file.size();
}

// `file` marked with the ids of `count` chains.
std::vector<std::string> numbered(const std::string& file, std::size_t count,
                                  unsigned int first_id) {
  std::vector<std::string> files;
  const std::string suffix = file.substr(suffix_position(file));
  for (std::size_t i = 0; i < count; ++i) {
    files.push_back(marked(file, std::to_string(first_id + i), suffix));
  }
  return files;
}

// The files of a list, which has one for each chain.
std::vector<std::string> listed(const std::string& names, std::size_t count) {
  std::vector<std::string> files;
  std::istringstream list(names);
  for (std::string file; std::getline(list, file, ',');) files.push_back(file);
  if (files.size() != count) {
    throw Error("Error: " + std::to_string(files.size()) + " files given for " +
                std::to_string(count) + " chains (" + names +
                "). Give one file, or one for each chain.");
  }
  return files;
}

bool has_comma(const std::string& name) { return name.find(',') != std::string::npos; }

// Whether `name` lists files. With one chain it does not, nor where its commas belong to a folder.
bool is_list_of_outputs(const std::string& name, std::size_t count) {
  if (count == 1 || !has_comma(name)) return false;
  const fs::path folder = fs::path(name).parent_path();
  std::error_code ignored;
  return !(has_comma(folder.string()) && fs::is_directory(folder, ignored));
}

}  // namespace

bool is_number(const std::string& text) {
  char* end = nullptr;
  std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0';
}

std::string marked(const std::string& file, const std::string& mark, const std::string& suffix) {
  return file.substr(0, suffix_position(file)) + "_" + mark + suffix;
}

std::vector<std::string> output_files(const std::string& file, std::size_t count,
                                      unsigned int first_id) {
  if (count == 1 || file.empty()) return std::vector<std::string>(count, file);
  if (is_list_of_outputs(file, count)) return listed(file, count);
  return numbered(file, count, first_id);
}

std::vector<std::string> metric_files(const std::string& csv, std::size_t count,
                                      unsigned int first_id) {
  if (!is_list_of_outputs(csv, count)) {
    return output_files(marked(csv, "metric", ".json"), count, first_id);
  }
  std::vector<std::string> files;
  for (const std::string& file : listed(csv, count)) {
    files.push_back(marked(file, "metric", ".json"));
  }
  return files;
}

std::string configuration_file(const std::string& csv, std::size_t count) {
  const bool list = is_list_of_outputs(csv, count);
  return marked(list ? listed(csv, count).front() : csv, "config", ".json");
}

std::vector<std::string> chain_files(const std::string& name, std::size_t count,
                                     unsigned int first_id) {
  const bool whole = !has_comma(name) || is_file(name);
  if (count == 1) return whole ? std::vector<std::string>{name} : listed(name, count);
  const std::vector<std::string> fellows = numbered(name, count, first_id);
  if (is_file(fellows.front())) return fellows;
  return whole ? std::vector<std::string>(count, name) : listed(name, count);
}

std::size_t chain_count(const Argument& tree) {
  const std::string& method = tree["method"].value;
  const bool chains = method == "sample" || method == "generate_quantities";
  return chains ? tree["method"].chosen()["num_chains"].natural() : 1;
}

// --- No output takes the place of an input ------------------------------------------------------

namespace {

void add(std::vector<NamedFile>& files, const std::string& argument,
         const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (!name.empty()) files.push_back({argument, name});
  }
}

// Whether two paths lead to one file on the disk, there already or not. Terminals, pipes and
// /dev/null are no files to lose.
bool same_file(const std::string& one, const std::string& other) {
  std::error_code error;
  if (fs::exists(one, error) && !fs::is_regular_file(one, error)) return false;
  if (fs::equivalent(one, other, error)) return true;
  const fs::path first = fs::weakly_canonical(fs::absolute(one, error), error);
  return !error && first == fs::weakly_canonical(fs::absolute(other, error), error);
}

}  // namespace

std::vector<NamedFile> outputs(const Argument& tree) {
  const std::string& name = tree["method"].value;
  const Argument& method = tree["method"].chosen();
  const Argument& output = tree["output"];
  const std::string& csv = output["file"].value;
  const std::size_t chains = chain_count(tree);
  const unsigned int id = tree["id"].natural();
  std::vector<NamedFile> files;
  add(files, "output file", output_files(csv, chains, id));
  if (output["save_cmdstan_config"].flag()) {
    add(files, "save_cmdstan_config", {configuration_file(csv, chains)});
  }
  if (!output["profile_file"].is_default()) {
    add(files, "profile_file", {output["profile_file"].value});
  }
  if (name == "sample" || name == "variational" || name == "laplace") {
    add(files, "diagnostic_file", output_files(output["diagnostic_file"].value, chains, id));
  }
  if (name == "sample") {
    add(files, "draws_file", output_files(method["draws_file"].value, chains, id));
    if (method["adapt"]["engaged"].flag() && method["adapt"]["save_metric"].flag()) {
      add(files, "save_metric", metric_files(csv, chains, id));
    }
  }
  if (name == "pathfinder" && method["save_single_paths"].flag()) {
    const std::size_t paths = method["num_paths"].natural();
    for (const char* suffix : {".csv", ".json"}) {
      add(files, "save_single_paths", output_files(marked(csv, "path", suffix), paths, id));
    }
  }
  return files;
}

std::vector<NamedFile> inputs(const Argument& tree) {
  const std::string& name = tree["method"].value;
  const Argument& method = tree["method"].chosen();
  const std::size_t chains = chain_count(tree);
  const unsigned int id = tree["id"].natural();
  std::vector<NamedFile> files;
  add(files, "data file", {tree["data"]["file"].value});
  const bool starts = name != "generate_quantities" && name != "laplace" && name != "log_prob";
  const std::string& init = tree["init"].value;
  if (starts && !init.empty() && !is_number(init)) {
    const bool paths = name == "pathfinder";
    add(files, "init", chain_files(init, paths ? method["num_paths"].natural() : chains, id));
  }
  if (name == "sample") {
    const std::string& metric = method["algorithm"]["hmc"]["metric_file"].value;
    if (!metric.empty()) add(files, "metric_file", chain_files(metric, chains, id));
  } else if (name == "generate_quantities") {
    const std::string& fitted = method["fitted_params"].value;
    if (!fitted.empty()) add(files, "fitted_params", chain_files(fitted, chains, id));
  } else if (name == "laplace") {
    add(files, "mode", {method["mode"].value});
  } else if (name == "log_prob") {
    for (const char* argument : {"unconstrained_params", "constrained_params"}) {
      add(files, argument, {method[argument].value});
    }
  }
  return files;
}

void refuse_conflicts(const NamedFile& output, const std::vector<NamedFile>& others) {
  for (const NamedFile& other : others) {
    if (same_file(output.file, other.file)) {
      throw Error("Error: " + output.argument + " and " + other.argument +
                  " are the same file, \"" + other.file +
                  "\", which would be overwritten. Name another one.");
    }
  }
}

void refuse_conflicts(const Argument& tree) {
  std::vector<NamedFile> taken = inputs(tree);
  for (const NamedFile& output : outputs(tree)) {
    refuse_conflicts(output, taken);
    taken.push_back(output);
  }
}

}  // namespace command_line
