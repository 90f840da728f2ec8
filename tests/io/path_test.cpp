// SPDX-License-Identifier: Apache-2.0
#include <graft/io/path.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;

TEST_CASE("a folder is told from a file, and both from nothing") {
  const test::TempFolder folder;
  const std::string file = folder.write("a", "x");
  CHECK((io::exists(file) && !io::is_directory(file)));
  CHECK((io::exists(folder.path()) && io::is_directory(folder.path())));
  CHECK_FALSE((io::exists(folder.path("b")) || io::is_directory(folder.path("b"))));
}

TEST_CASE("a folder is made once, and not where a file or nothing lies in the way") {
  const test::TempFolder folder;
  CHECK(io::make_folder(folder.path("a")));
  CHECK_FALSE(io::make_folder(folder.path("a")));
  CHECK(io::is_directory(folder.path("a")));
  CHECK(test::error_of([&] { (void)io::make_folder(folder.write("b", "x")); }).id() == "io.202");
  CHECK(test::error_of([&] { (void)io::make_folder(folder.path("c/d")); }).id() == "io.202");
}

TEST_CASE("joining a folder and a name puts exactly one slash between them") {
  CHECK(io::join("a", "b") == "a/b");
  CHECK(io::join("a/", "b") == "a/b");
  CHECK(io::join("", "b") == "b");
}
