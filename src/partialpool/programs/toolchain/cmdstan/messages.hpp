// What a program prints while it is evaluated. Stan makes a stream for every evaluation, which takes
// as long as half the gradient of a small model; here is one a thread.
#ifndef COMMAND_LINE_MESSAGES_HPP
#define COMMAND_LINE_MESSAGES_HPP

#include <stan/callbacks/logger.hpp>

#include <sstream>

namespace command_line {

// The messages of one evaluation, which go to the logger when it ends, whichever way.
class Messages {
 public:
  explicit Messages(stan::callbacks::logger& logger) : logger_(logger) {}
  Messages(const Messages&) = delete;
  Messages& operator=(const Messages&) = delete;
  ~Messages() {
    std::stringstream& said = stream();
    if (said.tellp() <= 0) return;
    logger_.info(said);
    said.str("");
  }

  static std::stringstream& stream() {
    thread_local std::stringstream said;
    return said;
  }

 private:
  stan::callbacks::logger& logger_;
};

}  // namespace command_line

#endif
