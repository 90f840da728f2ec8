// SPDX-License-Identifier: Apache-2.0
#include <graft/text/word_memory.hpp>

#include "support/catch.hpp"

using graft::text::WordMemory;

TEST_CASE("a word that was remembered comes back as the same ids, another does not", "[text]") {
  WordMemory memory;
  std::vector<std::int32_t> ids{1, 2, 3};
  CHECK_FALSE(memory.recall("word", ids));
  memory.remember("word", 1, 3);
  CHECK(memory.recall("word", ids));
  CHECK(ids == std::vector<std::int32_t>{1, 2, 3, 2, 3});
  CHECK_FALSE(memory.recall("wore", ids));
}
