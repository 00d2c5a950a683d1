// Input and output files.
#include "methods.hpp"

#include <stan/io/dump.hpp>
#include <stan/io/empty_var_context.hpp>
#include <stan/io/ends_with.hpp>
#include <stan/io/json/json_data.hpp>
#include <stan/io/stan_csv_reader.hpp>
#include <stan/version.hpp>

#include <rapidjson/document.h>
#include <rapidjson/istreamwrapper.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace command_line {

namespace {

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

// Writes a number as printf's %.*g does, and returns the position after it.
char* write_number(char* begin, std::size_t size, int digits, double value) {
#ifdef __cpp_lib_to_chars
  return std::to_chars(begin, begin + size, value, std::chars_format::general, digits).ptr;
#else
  return begin + std::snprintf(begin, size, "%.*g", digits, value);
#endif
}

}  // namespace

void CsvWriter::operator()(const std::vector<double>& values) {
  if (!is_valid() || values.empty()) return;
  if (doubles_ != nullptr) {
    doubles_->write(reinterpret_cast<const char*>(values.data()),
                    static_cast<std::streamsize>(values.size() * sizeof(double)));
    return;
  }
  const int digits = static_cast<int>(get_stream().precision());
  const std::size_t width = static_cast<std::size_t>(digits) + 10;  // sign, point, exponent, comma
  row_.resize(values.size() * width);
  char* end = row_.data();
  for (const double value : values) {
    end = write_number(end, width, digits, value);
    *end++ = ',';
  }
  end[-1] = '\n';
  get_stream().write(row_.data(), end - row_.data());
}

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

namespace {

// Opens a file of variables, whose name says by its end how they are written.
std::ifstream open_variables(const std::string& file) {
  if (!stan::io::ends_with(".json", file) && !stan::io::ends_with(".R", file)) {
    throw Error("Error: the name of the file \"" + file +
                "\" must end in .json (JSON) or .R (R dump): no other format is read.");
  }
  return open_input(file);
}

}  // namespace

Context read_context(const std::string& file) {
  if (file.empty()) return std::make_shared<stan::io::empty_var_context>();
  std::ifstream stream = open_variables(file);
  if (stan::io::ends_with(".R", file)) return std::make_shared<stan::io::dump>(stream);
  return std::make_shared<stan::json::json_data>(stream);
}

Context read_metric(const std::string& file) {
  if (stan::io::ends_with(".R", file)) return read_context(file);
  std::ifstream stream = open_variables(file);
  rapidjson::IStreamWrapper input(stream);
  rapidjson::Document document;
  document.ParseStream(input);
  if (document.HasParseError() || !document.IsObject() || !document.HasMember("inv_metric")) {
    throw Error("Error: the file \"" + file + "\" must be JSON with a member inv_metric.");
  }
  rapidjson::StringBuffer text;
  rapidjson::Writer<rapidjson::StringBuffer> writer(text);
  document["inv_metric"].Accept(writer);
  std::istringstream inv_metric(std::string("{\"inv_metric\": ") + text.GetString() + "}");
  return std::make_shared<stan::json::json_data>(inv_metric);
}

Initial initial_values(const Run& run, std::size_t count) {
  const Argument& init = run.tree["init"];
  Initial initial{{}, std::stod(init.initial)};
  if (init.value.empty() || is_number(init.value)) {
    if (!init.value.empty()) initial.radius = std::strtod(init.value.c_str(), nullptr);
    if (!(initial.radius >= 0)) throw Error("Error: init=" + init.value + " must not be negative.");
    initial.contexts.assign(count, read_context(""));
    return initial;
  }
  for (const std::string& file : chain_files(init.value, count, run.id)) {
    initial.contexts.push_back(read_context(file));
  }
  return initial;
}

namespace {

// Header and all rows of a CSV file of an earlier run: CmdStanPy counts on warmup draws, and on the
// mean that method variational writes first.
struct Table {
  std::vector<std::string> header;
  Eigen::MatrixXd rows;
};

Table read_table(const std::string& file) {
  using stan::io::stan_csv_reader;
  std::ifstream stream = open_input(file);
  Table table;
  stan::io::stan_csv_metadata about;
  stan_csv_reader::read_metadata(stream, about);
  if (!stan_csv_reader::read_header(stream, table.header, false)) {
    throw Error("Error: the file \"" + file + "\" has no line with the names of columns.");
  }
  stan::io::stan_csv_adaptation adaptation;
  stan_csv_reader::read_adaptation(stream, adaptation);
  stan::io::stan_csv_timing timing;
  stan_csv_reader::read_samples(stream, table.rows, timing);
  return table;
}

}  // namespace

Eigen::VectorXd unconstrained(const Run& run, const stan::io::var_context& context) {
  Eigen::VectorXd values(run.model.num_params_r());
  std::ostringstream messages;
  run.model.transform_inits(context, values, &messages);
  if (!messages.str().empty()) run.logger.info(messages.str());
  return values;
}

Eigen::MatrixXd read_parameters(const Run& run, const std::string& file) {
  const Table table = read_table(file);
  std::vector<std::string> names;
  run.model.constrained_param_names(names, false, false);
  Eigen::MatrixXd draws(table.rows.rows(), static_cast<Eigen::Index>(names.size()));
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto column = std::find(table.header.begin(), table.header.end(), names[i]);
    if (column == table.header.end()) {
      throw Error("Error: the file \"" + file + "\" has no column " + names[i] +
                  ", a parameter of the model.");
    }
    draws.col(static_cast<Eigen::Index>(i)) = table.rows.col(column - table.header.begin());
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
