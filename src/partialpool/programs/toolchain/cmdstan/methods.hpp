// What every method of the command line shares: its inputs, its output files, its entry point.
#ifndef COMMAND_LINE_METHODS_HPP
#define COMMAND_LINE_METHODS_HPP

#include "arguments.hpp"
#include "autodiff.hpp"
#include "names.hpp"

#include <stan/callbacks/interrupt.hpp>
#include <stan/callbacks/json_writer.hpp>
#include <stan/callbacks/logger.hpp>
#include <stan/callbacks/unique_stream_writer.hpp>
#include <stan/io/var_context.hpp>
#include <stan/model/model_base.hpp>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace command_line {

// The output files of a run. They outlive the writers, so that close() can tell what went wrong.
class Outputs {
 public:
  // Throws Error when the file cannot be written.
  std::ofstream* open(const std::string& file);
  // Throws Error when anything that was written did not get into its file.
  void close();

 private:
  struct Output {
    std::string file;
    std::ofstream stream;
  };
  std::vector<std::unique_ptr<Output>> outputs_;
};

struct NoDelete {
  void operator()(std::ofstream*) const {}
};

// Writes what Stan's own writer does, and rows of draws several times as fast: that writer spends
// more time on the digits of a small model's draws than the model takes to make them. Fastest of
// all are rows without digits, which go to a file of doubles where there is one.
class CsvWriter final : public stan::callbacks::writer {
 public:
  CsvWriter() = default;
  CsvWriter(std::unique_ptr<std::ofstream, NoDelete>&& stream, const std::string& comment_prefix)
      : writer_(std::move(stream), comment_prefix) {}

  void write_rows_to(std::ofstream& doubles) { doubles_ = &doubles; }

  void operator()(const std::vector<double>& values) override;
  void operator()(const std::vector<std::string>& names) override { writer_(names); }
  void operator()(const Eigen::MatrixXd& values) override { writer_(values); }
  void operator()(const Eigen::VectorXd& values) override { writer_(values); }
  void operator()(const Eigen::RowVectorXd& values) override { writer_(values); }
  void operator()(const std::string& message) override { writer_(message); }
  void operator()() override { writer_(); }

  bool is_valid() const noexcept override { return writer_.is_valid(); }
  std::ofstream& get_stream() { return writer_.get_stream(); }

 private:
  stan::callbacks::unique_stream_writer<std::ofstream, NoDelete> writer_;
  std::ofstream* doubles_ = nullptr;
  std::string row_;
};
using JsonWriter = stan::callbacks::json_writer<std::ofstream, NoDelete>;
using Context = std::shared_ptr<stan::io::var_context>;

// Everything that a method gets to know.
struct Run {
  const Argument& tree;
  stan::model::model_base& model;
  std::string start_time;
  unsigned int seed;
  unsigned int id;  // of the first chain or path
  int refresh;
  stan::callbacks::logger& logger;
  stan::callbacks::interrupt& interrupt;
  Outputs& outputs;

  const Argument& method() const { return tree["method"].chosen(); }
  const Argument& output() const { return tree["output"]; }
};

// Reads a file of variables: JSON where its name ends in .json, R dump where it ends in .R. An empty
// name is an empty context.
Context read_context(const std::string& file);
// The inverse metric alone: a file that save_metric wrote names the metric's type as well.
Context read_metric(const std::string& file);

// Initial values: contexts for `count` chains and the radius of random ones.
struct Initial {
  std::vector<Context> contexts;
  double radius;
};
Initial initial_values(const Run& run, std::size_t count);

// The values of a file of variables on the unconstrained scale.
Eigen::VectorXd unconstrained(const Run& run, const stan::io::var_context& context);

// Draws of the model's parameters in a CSV file of an earlier run, one a row.
Eigen::MatrixXd read_parameters(const Run& run, const std::string& file);

// Files that begin with the configuration. Without a name, writers that write nothing.
CsvWriter open_csv(const Run& run, const std::string& file);
std::vector<CsvWriter> open_csvs(const Run& run, std::size_t count);
std::vector<CsvWriter> open_diagnostics(const Run& run, std::size_t count);
JsonWriter open_json(const Run& run, const std::string& file);

// Writers that write nothing, `count` of them.
std::vector<stan::callbacks::writer> no_writers(std::size_t count);

// The methods: 0 when all went well, else a code of stan::services::error_codes.
int sample(Run& run);
int generate_quantities(Run& run);
int optimize(Run& run);
int laplace(Run& run);
int pathfinder(Run& run);
int variational(Run& run);
int log_prob(Run& run);
int diagnose(Run& run);

}  // namespace command_line

#endif
