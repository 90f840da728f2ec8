// SPDX-License-Identifier: Apache-2.0
#include <graft/io/hash.hpp>

#include <string_view>

#include "support/catch.hpp"

using namespace graft;

namespace {
std::uint64_t hash(std::string_view text) {
  return io::fnv1a(std::as_bytes(std::span(text)));
}
}  // namespace

TEST_CASE("fnv1a gives the values that its authors published") {  // isthe.com/chongo/src/fnv/test_fnv.c
  CHECK(hash("") == 0xcbf29ce484222325u);
  CHECK(hash("a") == 0xaf63dc4c8601ec8cu);
  CHECK(hash("foobar") == 0x85944171f73967e8u);
}

TEST_CASE("a hash can be continued, and is written with its leading zeros") {
  CHECK(io::fnv1a(std::as_bytes(std::span(std::string_view("bar"))), hash("foo")) == hash("foobar"));
  CHECK(io::hash_text(hash("foobar")) == "85944171f73967e8");
  CHECK(io::hash_text(0x0b) == "000000000000000b");
}
