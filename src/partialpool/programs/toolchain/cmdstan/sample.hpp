// What the samplers share.
#ifndef COMMAND_LINE_SAMPLE_HPP
#define COMMAND_LINE_SAMPLE_HPP

#include "evaluations.hpp"
#include "methods.hpp"

#include <string>
#include <vector>

namespace command_line {

// The settings of method `sample` and the files of its chains.
struct Sampling {
  int num_warmup;
  int num_samples;
  int thin;
  bool save_warmup;
  bool adapt;
  std::size_t chains;
  Initial initial;
  std::vector<stan::callbacks::writer> no_init;  // nobody asks for the initial values
  std::vector<CsvWriter> draws;
  std::vector<CsvWriter> diagnostics;
  std::vector<JsonWriter> metrics;  // where adaptation ended
};

// The inverse metric for each chain to start from; the identity without a file.
std::vector<Context> start_metrics(const Run& run, std::size_t chains);

int sample_nuts(Run& run, Sampling& sampling);
int sample_static(Run& run, Sampling& sampling);

}  // namespace command_line

#endif
