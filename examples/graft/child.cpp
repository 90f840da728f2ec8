// SPDX-License-Identifier: Apache-2.0
#include "child.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>  // strerror
#include <thread>

#include <graft/base/require.hpp>

#include "interrupt.hpp"

namespace graft::program {

namespace {

/// A file for writing that a child inherits.
class OutputFile {
 public:
  OutputFile(const std::string& path, int flags)
      : descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666)) {
    if (descriptor_ < 0) {
      fail("io.202", std::string("cannot create the file: ") + std::strerror(errno), path);
    }
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile() { ::close(descriptor_); }

  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace

int run_self(const std::vector<std::string>& words, const std::string& output, const std::string& log,
             const std::function<void()>& waiting) {
  std::vector<char*> arguments = {const_cast<char*>("graft")};
  for (const std::string& word : words) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  const OutputFile out(output, O_TRUNC), err(log, O_APPEND);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) {
    fail("io.202", std::string("cannot start a process: ") + std::strerror(errno), "graft");
  }
  if (child == 0) {   // only calls that are safe between fork and exec
    ::setpgid(0, 0);  // Ctrl-C goes to the parent alone, which passes it on
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) {
      ::_exit(1);
    }
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(out.descriptor(), STDOUT_FILENO);
    ::dup2(err.descriptor(), STDERR_FILENO);
    ::execv("/proc/self/exe", arguments.data());
    ::_exit(127);
  }
  bool told = false;
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    if (interrupted() && !told) {
      ::kill(child, SIGTERM);
      told = true;
    }
    waiting();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace graft::program
