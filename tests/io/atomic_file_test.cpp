// SPDX-License-Identifier: Apache-2.0
#include <graft/io/atomic_file.hpp>

#include <sys/resource.h>

#include <csignal>
#include <string>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;
using test::contains;
using test::error_of;

TEST_CASE("a file has its name only after commit") {
  const test::TempFolder folder;
  {
    io::AtomicFile file(folder.path("a"));
    file.write("hal");
    file.write("f");
    CHECK_FALSE(std::filesystem::exists(folder.path("a")));
    file.commit();
  }
  CHECK(test::slurp(folder.path("a")) == "half");
  CHECK(folder.entries() == 1);
}

TEST_CASE("a file that is not committed leaves the older one as it was, and nothing else") {
  const test::TempFolder folder;
  io::write_text(folder.path("a"), "old");
  {
    io::AtomicFile file(folder.path("a"));
    file.write("new");
  }
  CHECK(io::read_text(folder.path("a")) == "old");
  CHECK(folder.entries() == 1);
  io::write_text(folder.path("a"), "new");
  CHECK(io::read_text(folder.path("a")) == "new");
}

TEST_CASE("a disk that is full ends in one error and no file") {
  const test::TempFolder folder;
  struct rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit tight{.rlim_cur = 1000, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &tight);
  const Error error = error_of([&] { io::write_text(folder.path("a"), std::string(5000, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(error.id() == "io.202");
  CHECK_THAT(error.what(), contains("File too large") && contains(folder.path("a")));
  CHECK(folder.entries() == 0);
}

TEST_CASE("a folder that does not exist and a name that is taken by a folder are io.202") {
  const test::TempFolder folder;
  CHECK(error_of([&] { io::write_text(folder.path("no/a"), "x"); }).id() == "io.202");
  std::filesystem::create_directories(folder.path("taken/inner"));
  CHECK(error_of([&] { io::write_text(folder.path("taken"), "x"); }).id() == "io.202");
  CHECK(folder.entries() == 1);
}
