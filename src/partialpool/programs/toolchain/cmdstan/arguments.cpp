#include "arguments.hpp"

#include <stan/callbacks/structured_writer.hpp>

#include <algorithm>
#include <cctype>
#include <iomanip>
#include <sstream>

namespace command_line {

// --- Values -------------------------------------------------------------------------------------

namespace {

using Children = std::vector<Argument>;

const char* type_name(Kind kind) {
  switch (kind) {
    case Kind::choice:
      return "<list element>";
    case Kind::boolean:
      return "<boolean>";
    case Kind::integer:
      return "<int>";
    case Kind::natural:
      return "<unsigned int>";
    case Kind::big_integer:
      return "<long long int>";
    case Kind::real:
      return "<double>";
    case Kind::text:
      return "<string>";
    default:
      return "";
  }
}

std::string joined_names(const Children& children) {
  std::string names;
  for (const Argument& child : children) {
    names += (names.empty() ? "" : ", ") + child.name;
  }
  return names;
}

std::string valid_values(const Argument& argument) {
  switch (argument.kind) {
    case Kind::choice:
      return joined_names(argument.children);
    case Kind::boolean:
      return "[0, 1, false, true]";
    default:
      return argument.range.stated;
  }
}

[[noreturn]] void refuse(const Argument& argument, const std::string& given) {
  throw Error("Error: \"" + given + "\" is no value for " + argument.name +
              ".\n  Valid values: " + valid_values(argument));
}

// The number that `given` spells in full, or refusal.
double to_number(const Argument& argument, const std::string& given) {
  const bool whole = argument.kind != Kind::real;
  std::size_t used = 0;
  double number = 0;
  try {
    number = whole ? static_cast<double>(std::stoll(given, &used)) : std::stod(given, &used);
  } catch (const std::logic_error&) {
    refuse(argument, given);
  }
  const Range& range = argument.range;
  const bool inside = (range.open ? number > range.lower : number >= range.lower) &&
                      number <= range.upper && !(range.without_zero && number == 0);
  if (used != given.size() || std::isspace(static_cast<unsigned char>(given.front())) || !inside) {
    refuse(argument, given);
  }
  return number;
}

}  // namespace

const Argument& Argument::operator[](const std::string& child) const {
  for (const Argument& candidate : children) {
    if (candidate.name == child) return candidate;
  }
  throw std::logic_error(name + " has no argument " + child);
}

Argument& Argument::operator[](const std::string& child) {
  return const_cast<Argument&>(static_cast<const Argument&>(*this)[child]);
}

void Argument::set(const std::string& given) {
  switch (kind) {
    case Kind::choice:
      if (std::none_of(children.begin(), children.end(),
                       [&](const Argument& child) { return child.name == given; })) {
        refuse(*this, given);
      }
      value = given;
      break;
    case Kind::boolean:
      if (given == "1" || given == "true") {
        value = "true";
      } else if (given == "0" || given == "false") {
        value = "false";
      } else {
        refuse(*this, given);
      }
      break;
    case Kind::real: {
      number = to_number(*this, given);
      std::ostringstream shortest;
      shortest << number;
      value = shortest.str();
      break;
    }
    case Kind::integer:
    case Kind::natural:
    case Kind::big_integer:
      value = std::to_string(static_cast<long long>(to_number(*this, given)));
      break;
    default:
      value = given;
  }
}

// --- Help ---------------------------------------------------------------------------------------

namespace {

void print_help(const Argument& argument, int depth, bool whole, std::ostream& out) {
  const std::string indent(2 * depth, ' ');
  out << indent << argument.name;
  if (argument.kind != Kind::category && argument.kind != Kind::mark) {
    out << "=" << type_name(argument.kind);
  }
  out << "\n" << indent << "  " << argument.meaning << "\n";
  if (argument.kind == Kind::category) {
    if (!argument.children.empty()) {
      out << indent << "  Valid subarguments: " << joined_names(argument.children) << "\n";
    }
  } else if (argument.kind != Kind::mark) {
    out << indent << "  Valid values: " << valid_values(argument) << "\n"
        << indent << "  Defaults to " << argument.initial << "\n";
  }
  out << "\n";
  if (whole) {
    for (const Argument& child : argument.children) print_help(child, depth + 1, true, out);
  }
}

void print_row(const std::string& name, const std::string& meaning, std::ostream& out) {
  out << "  " << std::left << std::setw(20) << name << " " << meaning << "\n";
}

}  // namespace

void print_usage(const Argument& tree, const std::string& program, std::ostream& out) {
  const Argument& method = tree["method"];
  out << "Usage: " << program << " METHOD [ARGUMENT...] [GROUP ARGUMENT...]...\n\nMethods:\n";
  for (const Argument& child : method.children) print_row(child.name, child.meaning, out);
  out << "\nHelp:\n";
  print_row("help", "Explains the word before it", out);
  print_row("help-all", "Explains that word and everything below it", out);
  print_row("info", "Prints how the program was compiled", out);
  out << "\nArguments of every method:\n";
  for (const Argument& child : tree.children) {
    if (child.name != method.name) print_row(child.name, child.meaning, out);
  }
  out << "\nFor one of them: " << program << " WORD help\n";
}

// --- Parsing ------------------------------------------------------------------------------------

namespace {

struct Parser {
  Argument& tree;
  const std::vector<std::string>& words;
  const std::string& program;
  std::ostream& out;
  std::size_t next = 0;
  Wish wish = Wish::run;

  bool done() const { return next == words.size() || wish == Wish::help; }

  // Takes the next word if it is a plea for help on `level`.
  bool take_help(const Argument& level) {
    const bool whole = words[next] == "help-all";
    if (!whole && words[next] != "help") return false;
    if (!level.name.empty()) {
      print_help(level, 0, whole, out);
    } else if (whole) {
      for (const Argument& child : level.children) print_help(child, 0, true, out);
    }
    print_usage(tree, program, out);
    wish = Wish::help;
    return true;
  }

  // Takes the next word if it belongs to `level`, with all that follows and belongs below it.
  // Its index among the level's children, or -1.
  int take_argument(Argument& level) {
    const std::string& word = words[next];
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    for (std::size_t i = 0; i < level.children.size(); ++i) {
      Argument& child = level.children[i];
      if (child.name != name || (child.kind == Kind::category) != (equals == std::string::npos)) {
        continue;
      }
      ++next;
      if (child.kind == Kind::category) {
        take_level(child);
      } else {
        child.set(word.substr(equals + 1));
        if (child.kind == Kind::choice) take_level(child[child.value]);
      }
      return static_cast<int>(i);
    }
    return -1;
  }

  void take_level(Argument& level) {
    while (!done() && (take_help(level) || take_argument(level) >= 0)) {
    }
  }

  // The method's name alone stands for method=NAME.
  bool take_method() {
    Argument& method = tree["method"];
    for (Argument& child : method.children) {
      if (child.name != words[next]) continue;
      method.set(child.name);
      ++next;
      take_level(child);
      return true;
    }
    return false;
  }

  void take_everything() {
    std::vector<bool> given(tree.children.size(), false);
    while (!done()) {
      const std::string word = words[next];
      if (take_help(tree)) continue;
      int index = take_argument(tree);
      if (index < 0 && take_method()) index = 0;
      if (index < 0) {
        throw Error("Error: \"" + word + "\" is not known, or not at this place." + places(word));
      }
      if (given[index]) {
        throw Error("Error: \"" + word + "\" comes when its group was already closed.");
      }
      given[index] = true;
    }
    if (wish == Wish::run && !given[0]) {
      throw Error("Error: no method is given.\n  Name one of: " +
                  joined_names(tree["method"].children));
    }
  }

  // Where in the tree an argument of that name would have been right.
  std::string places(const std::string& word) const {
    std::string found;
    collect_places(tree, word.substr(0, word.find('=')), "", found);
    return found.empty() ? "" : "\n  It belongs to:" + found;
  }

  static void collect_places(const Argument& level, const std::string& name,
                             const std::string& path, std::string& found) {
    for (const Argument& child : level.children) {
      const std::string here =
          level.kind == Kind::choice ? path + "=" + child.name : path + " " + child.name;
      if (child.name == name && !path.empty()) found += "\n   " + path;
      collect_places(child, name, here, found);
    }
  }
};

}  // namespace

Wish parse(Argument& tree, const std::vector<std::string>& words, const std::string& program,
           std::ostream& out) {
  Parser parser{tree, words, program, out};
  parser.take_everything();
  return parser.wish;
}

// --- Echo ---------------------------------------------------------------------------------------

void echo(const Argument& tree, const std::string& prefix, std::ostream& out) {
  for (const Argument& child : tree.children) {
    if (child.ours && child.is_default()) continue;
    out << prefix << child.name;
    if (child.kind == Kind::category) {
      out << "\n";
      echo(child, prefix + "  ", out);
      continue;
    }
    out << " = " << child.value << (child.is_default() ? " (Default)" : "") << "\n";
    if (child.kind == Kind::choice && child.chosen().kind == Kind::category) {
      out << prefix << "  " << child.value << "\n";
      echo(child.chosen(), prefix + "    ", out);
    }
  }
}

void echo(const Argument& tree, stan::callbacks::structured_writer& writer) {
  for (const Argument& child : tree.children) {
    if (child.ours && child.is_default()) continue;
    switch (child.kind) {
      case Kind::category:
        writer.begin_record(child.name);
        echo(child, writer);
        writer.end_record();
        break;
      case Kind::choice:
        writer.begin_record(child.name);
        writer.write("value", child.value);
        if (child.chosen().kind == Kind::category) {
          writer.begin_record(child.value);
          echo(child.chosen(), writer);
          writer.end_record();
        }
        writer.end_record();
        break;
      case Kind::boolean:
        writer.write(child.name, child.flag());
        break;
      case Kind::integer:
        writer.write(child.name, child.integer());
        break;
      case Kind::natural:
      case Kind::big_integer:
        writer.write(child.name, child.natural());
        break;
      case Kind::real:
        writer.write(child.name, child.real());
        break;
      default:
        writer.write(child.name, child.value);
    }
  }
}

}  // namespace command_line
