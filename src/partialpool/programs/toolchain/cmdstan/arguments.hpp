// The arguments of the command line as one tree of data: it parses, checks, explains and echoes
// itself. Names, defaults and valid values are those of CmdStan's manual.
#ifndef COMMAND_LINE_ARGUMENTS_HPP
#define COMMAND_LINE_ARGUMENTS_HPP

#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace stan::callbacks {
class structured_writer;
}

namespace command_line {

// What is wrong with the arguments or with a file that they name.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Kind {
  category,  // a word that opens a group: `adapt`
  choice,    // name=value with one of the children's names as value: `algorithm=hmc`
  mark,      // a value of a choice without arguments of its own: `diag_e`
  boolean,
  integer,
  natural,  // a non-negative integer
  big_integer,
  real,
  text
};

// Numbers from `lower` (itself allowed unless `open`) to `upper`, and how the help states it.
struct Range {
  double lower;
  bool open;
  double upper;
  std::string stated;
  bool without_zero = false;
};

struct Argument {
  Kind kind;
  std::string name;
  std::string meaning;
  std::string initial;  // the default, as the echo prints it
  Range range;
  std::vector<Argument> children;
  std::string value;  // always normalised: true/false, shortest form of numbers

  const Argument& operator[](const std::string& child) const;
  Argument& operator[](const std::string& child);
  const Argument& chosen() const { return (*this)[value]; }
  bool is_default() const { return value == initial; }

  bool flag() const { return value == "true"; }
  int integer() const { return std::stoi(value); }
  unsigned int natural() const { return static_cast<unsigned int>(std::stoull(value)); }
  double real() const { return number; }

  void set(const std::string& given);

  double number = 0;  // the value of a real in full precision
  bool ours = false;  // CmdStan has no such argument: the echo has it only where it is given
};

// The whole tree, every value at its default.
Argument all_arguments();

enum class Wish { run, help };

// Reads the words of the command line into the tree. Throws Error for what it cannot place.
// Wish::help when a help word was met (and answered on `out`).
Wish parse(Argument& tree, const std::vector<std::string>& words, const std::string& program,
           std::ostream& out);

void print_usage(const Argument& tree, const std::string& program, std::ostream& out);

// The effective configuration, a `key = value` a line, each line after `prefix`.
void echo(const Argument& tree, const std::string& prefix, std::ostream& out);

// The same as members of the JSON object that `writer` has open.
void echo(const Argument& tree, stan::callbacks::structured_writer& writer);

}  // namespace command_line

#endif
