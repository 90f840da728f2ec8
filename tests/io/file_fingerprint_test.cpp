// SPDX-License-Identifier: Apache-2.0
#include <graft/io/file_fingerprint.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;

TEST_CASE("a file's fingerprint follows every byte of a short file, and the ends of a long one") {
  const test::TempFolder home;
  const auto of = [&](const std::string& bytes) { return io::file_fingerprint(home.write("x", bytes)); };
  CHECK(of("foobar") == "6-85944171f73967e8");
  CHECK(of("") == "0-cbf29ce484222325");
  CHECK(of("foobaz") != of("foobar"));
  std::string large(std::size_t{5} << 20, 'a');
  const std::string whole = of(large);
  CHECK(of(large) == whole);
  CHECK(of(large + "a") != whole);
  large.back() = 'b';
  const std::string other_end = of(large);
  large.back() = 'a';
  large.front() = 'b';
  CHECK(other_end != whole);
  CHECK(of(large) != whole);
  CHECK(of(large) != other_end);
  CHECK(test::error_of([&] { (void)io::file_fingerprint(home.path("none")); }).id() == "io.201");
}
