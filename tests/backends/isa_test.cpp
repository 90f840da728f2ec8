// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/isa.hpp>

#include <cstdlib>

#include "support/catch.hpp"

using namespace graft;

TEST_CASE("the best level is used unless GRAFT_ISA names a lower one") {
  const char* const wish = std::getenv("GRAFT_ISA");  // tests/CMakeLists.txt runs this program at every level
  CHECK(backends::chosen_isa() <= backends::best_isa());
  if (wish != nullptr) {
    CHECK(backends::isa_names[static_cast<std::size_t>(backends::chosen_isa())] == wish);
  } else {
    CHECK(backends::chosen_isa() == backends::best_isa());
  }
}
