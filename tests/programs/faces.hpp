// What dice.stan declares and does not define.
#include <ostream>

namespace dice_model_namespace {

inline int faces(const int& extra, std::ostream* /* messages */) { return 4 + extra; }

}  // namespace dice_model_namespace
