// Input and output files.
#include "methods.hpp"

#include <stan/io/dump.hpp>
#include <stan/io/empty_var_context.hpp>
#include <stan/io/ends_with.hpp>
#include <stan/io/json/json_data.hpp>
#include <stan/io/stan_csv_reader.hpp>
#include <stan/version.hpp>

#include <algorithm>
#include <iostream>

namespace command_line {

namespace {

bool is_file(const std::string& file) { return std::ifstream(file).good(); }

std::ifstream open_input(const std::string& file) {
  std::ifstream stream(file);
  if (!stream.good()) throw Error("Error: cannot open the file \"" + file + "\".");
  return stream;
}

std::unique_ptr<std::ofstream, NoDelete> open_output(const Run& run, const std::string& file) {
  std::unique_ptr<std::ofstream, NoDelete> stream(run.outputs.open(file));
  const int digits = run.output()["sig_figs"].integer();
  if (digits >= 0) stream->precision(digits);
  return stream;
}

// Where the suffix of a file's name begins.
std::size_t suffix_position(const std::string& file) {
  const std::size_t slash = file.find_last_of("/\\");
  const std::size_t dot = file.find_last_of('.');
  const bool in_name = dot != std::string::npos && (slash == std::string::npos || dot > slash);
  return in_name ? dot : file.size();
}

}  // namespace

std::ofstream* Outputs::open(const std::string& file) {
  outputs_.push_back(std::make_unique<Output>(Output{file, std::ofstream(file)}));
  if (!outputs_.back()->stream.good()) {
    throw Error("Error: cannot write to the file \"" + file + "\".");
  }
  return &outputs_.back()->stream;
}

void Outputs::close() {
  for (const auto& output : outputs_) {
    output->stream.close();
    if (!output->stream.good()) {
      throw Error("Error: the file \"" + output->file + "\" is incomplete. Is the disk full?");
    }
  }
}

Context read_context(const std::string& file) {
  if (file.empty()) return std::make_shared<stan::io::empty_var_context>();
  std::ifstream stream = open_input(file);
  if (stan::io::ends_with(".R", file)) return std::make_shared<stan::io::dump>(stream);
  return std::make_shared<stan::json::json_data>(stream);
}

std::string marked(const std::string& file, const std::string& mark, const std::string& suffix) {
  return file.substr(0, suffix_position(file)) + "_" + mark + suffix;
}

std::vector<std::string> output_files(const std::string& file, std::size_t count,
                                      unsigned int first_id) {
  if (count == 1 || file.empty()) return std::vector<std::string>(count, file);
  std::vector<std::string> files;
  const std::string suffix = file.substr(suffix_position(file));
  for (std::size_t i = 0; i < count; ++i) {
    files.push_back(marked(file, std::to_string(first_id + i), suffix));
  }
  return files;
}

std::vector<std::string> chain_files(const std::vector<std::string>& names, std::size_t count,
                                     unsigned int first_id) {
  if (names.empty()) return std::vector<std::string>(count);
  if (names.size() == count && count > 1) return names;
  if (names.size() > 1) {
    throw Error("Error: " + std::to_string(names.size()) + " files given for " +
                std::to_string(count) + " chains. Give one file, or one for each chain.");
  }
  const std::vector<std::string> fellows = output_files(names[0], count, first_id);
  return is_file(fellows[0]) ? fellows : std::vector<std::string>(count, names[0]);
}

std::vector<Context> read_contexts(const Argument& files, std::size_t count,
                                   unsigned int first_id) {
  std::vector<Context> contexts;
  for (const std::string& file : chain_files(files.names(), count, first_id)) {
    contexts.push_back(read_context(file));
  }
  return contexts;
}

Initial initial_values(const Run& run, std::size_t count) {
  const Argument& init = run.tree["init"];
  char* end = nullptr;
  const double radius = std::strtod(init.value.c_str(), &end);
  if (!init.value.empty() && *end == '\0') {
    if (!(radius >= 0)) throw Error("Error: init=" + init.value + " must not be negative.");
    return {std::vector<Context>(count, read_context("")), radius};
  }
  return {read_contexts(init, count, run.id), std::stod(init.initial)};
}

Eigen::MatrixXd read_parameters(const Run& run, const std::string& file) {
  std::ifstream stream = open_input(file);
  const stan::io::stan_csv csv = stan::io::stan_csv_reader::parse(stream, nullptr);
  std::vector<std::string> names;
  run.model.constrained_param_names(names, false, false);
  Eigen::MatrixXd draws(csv.samples.rows(), static_cast<Eigen::Index>(names.size()));
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::string name = names[i];
    stan::io::prettify_stan_csv_name(name);
    const auto column = std::find(csv.header.begin(), csv.header.end(), name);
    if (column == csv.header.end()) {
      throw Error("Error: the file \"" + file + "\" has no column for the parameter " + name + ".");
    }
    draws.col(static_cast<Eigen::Index>(i)) = csv.samples.col(column - csv.header.begin());
  }
  return draws;
}

namespace {

void write_version(const Run& run, std::ostream& out) {
  out << "# stan_version_major = " << stan::MAJOR_VERSION << "\n"
      << "# stan_version_minor = " << stan::MINOR_VERSION << "\n"
      << "# stan_version_patch = " << stan::PATCH_VERSION << "\n"
      << "# model = " << run.model.model_name() << "\n";
}

}  // namespace

CsvWriter open_csv(const Run& run, const std::string& file) {
  if (file.empty()) return CsvWriter();
  CsvWriter writer(open_output(run, file), "# ");
  std::ofstream& out = writer.get_stream();
  write_version(run, out);
  out << "# start_datetime = " << run.start_time << "\n";
  echo(run.tree, "# ", out);
  for (const std::string& line : run.model.model_compile_info()) out << "# " << line << "\n";
  return writer;
}

std::vector<CsvWriter> open_csvs(const Run& run, std::size_t count) {
  std::vector<CsvWriter> writers;
  for (const std::string& file : output_files(run.output()["file"].value, count, run.id)) {
    writers.push_back(open_csv(run, file));
  }
  return writers;
}

std::vector<CsvWriter> open_diagnostics(const Run& run, std::size_t count) {
  std::vector<CsvWriter> writers;
  const std::string name = run.output()["diagnostic_file"].value;
  for (const std::string& file : output_files(name, count, run.id)) {
    if (file.empty()) {
      writers.emplace_back();
      continue;
    }
    writers.emplace_back(open_output(run, file), "# ");
    write_version(run, writers.back().get_stream());
    echo(run.tree, "# ", writers.back().get_stream());
  }
  return writers;
}

JsonWriter open_json(const Run& run, const std::string& file) {
  return file.empty() ? JsonWriter() : JsonWriter(open_output(run, file));
}

std::vector<stan::callbacks::writer> no_writers(std::size_t count) {
  return std::vector<stan::callbacks::writer>(count);
}

}  // namespace command_line
