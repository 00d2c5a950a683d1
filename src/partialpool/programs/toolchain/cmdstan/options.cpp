// The options that the model was compiled with: the one part of the command line that depends on
// them all.
#include "options.hpp"

namespace command_line {

#ifdef STAN_THREADS
const bool with_threads = true;
#else
const bool with_threads = false;
#endif

#ifdef STAN_NO_RANGE_CHECKS
const bool without_range_checks = true;
#else
const bool without_range_checks = false;
#endif

#ifdef STAN_CPP_OPTIMS
const bool with_cpp_optims = true;
#else
const bool with_cpp_optims = false;
#endif

}  // namespace command_line
