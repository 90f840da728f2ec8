// SPDX-License-Identifier: Apache-2.0
#include <graft/base/require.hpp>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("an error says its id, its sentence and its place, and keeps id and place apart") {
  const Error error("io.225", "tensor \"a\" is missing", "model.safetensors");
  CHECK(std::string(error.what()) == "io.225: tensor \"a\" is missing [model.safetensors]");
  CHECK(error.id() == "io.225");
  CHECK(error.where() == "model.safetensors");
}

TEST_CASE("an error without a place has no brackets") {
  const Error error("shape.120", "gemm_nt: a(M,K) and b(N,K) disagree on K");
  CHECK(std::string(error.what()) == "shape.120: gemm_nt: a(M,K) and b(N,K) disagree on K");
  CHECK(error.where().empty());
}

TEST_CASE("fail always throws an Error, which is a runtime_error") {
  CHECK_THROWS_AS(fail("io.201", "cannot open", "x"), Error);
  CHECK_THROWS_AS(fail("io.201", "cannot open", "x"), std::runtime_error);
  CHECK_THROWS_WITH(fail("io.201", "cannot open", "x"), "io.201: cannot open [x]");
}

TEST_CASE("require throws its id and text only where the condition does not hold") {
  CHECK_NOTHROW(require(true, "shape.101", "never said"));
  CHECK_THROWS_WITH(require(false, "shape.101", "rows disagree"), "shape.101: rows disagree");
}
