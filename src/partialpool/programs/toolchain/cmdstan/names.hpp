// The files of a run: their names, chain by chain, and that no output takes the place of an input.
#ifndef COMMAND_LINE_NAMES_HPP
#define COMMAND_LINE_NAMES_HPP

#include "arguments.hpp"

#include <string>
#include <vector>

namespace command_line {

// Whether all of `text` is a number, as `init=2` is and `init=start.json` is not.
bool is_number(const std::string& text);

// a.csv as a_MARK.csv.
std::string marked(const std::string& file, const std::string& mark, const std::string& suffix);

// The names of `count` output files: `file` itself for one; the files of a list, one a chain; else
// `file` marked with the ids of the chains, from `first_id` on.
std::vector<std::string> output_files(const std::string& file, std::size_t count,
                                      unsigned int first_id);

// The files beside those of the draws, `csv`, for the metrics of `count` chains.
std::vector<std::string> metric_files(const std::string& csv, std::size_t count,
                                      unsigned int first_id);

// The file beside those of the draws, `csv`, for the configuration of `count` chains.
std::string configuration_file(const std::string& csv, std::size_t count);

// The input files of `count` chains: `name` lists one file a chain, or is one for all; a.json
// stands for a_ID.json, with the ids of the chains from `first_id` on, where those exist.
std::vector<std::string> chain_files(const std::string& name, std::size_t count,
                                     unsigned int first_id);

// How many chains the method runs, and so how many files of draws there are.
std::size_t chain_count(const Argument& tree);

// A file of a run, and the argument that names it.
struct NamedFile {
  std::string argument;
  std::string file;
};

// The files that the method reads.
std::vector<NamedFile> inputs(const Argument& tree);
// The files that it writes, without the profile unless that has a name of its own: it is written
// only for programs that have one.
std::vector<NamedFile> outputs(const Argument& tree);

// Throws Error if `output` is one of `others`, by whatever paths: writing would destroy it.
void refuse_conflicts(const NamedFile& output, const std::vector<NamedFile>& others);

// The same for all that the method reads and writes.
void refuse_conflicts(const Argument& tree);

}  // namespace command_line

#endif
