// The options that the model was compiled with.
#ifndef COMMAND_LINE_OPTIONS_HPP
#define COMMAND_LINE_OPTIONS_HPP

namespace command_line {

extern const bool with_threads;
extern const bool without_range_checks;
extern const bool with_cpp_optims;

}  // namespace command_line

#endif
