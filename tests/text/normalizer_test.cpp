// SPDX-License-Identifier: Apache-2.0
#include <graft/text/normalizer.hpp>

#include "support/catch.hpp"

using graft::text::Normalizer;

TEST_CASE("the steps of a normaliser act in their order, and nothing is put before nothing", "[text]") {
  Normalizer first;
  CHECK(first.empty());
  first.prepend("_");
  first.replace("_", "ab");
  first.compose();
  CHECK(first("e\u0301_") == "ab\u00E9ab");
  CHECK(first("") == "");
  Normalizer second;
  second.replace("_", "ab");
  second.prepend("_");
  CHECK(second("x_") == "_xab");
}
