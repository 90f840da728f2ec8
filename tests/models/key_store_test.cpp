// SPDX-License-Identifier: Apache-2.0
// That cached equals uncached is proved per adapter by the contract; here is where rows go, and what is refused.
#include <graft/models/key_store.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;

namespace {
models::LlamaConfig config() {
  models::LlamaConfig c;
  c.layers = 2;
  c.kv_heads = 3;
  c.head_dim = 4;
  return c;
}
}  // namespace

TEST_CASE("each sequence has its own room, and its tokens fill it by position") {
  const models::KeyStore<float> store(config(), 2, 10);
  CHECK(store.k.size() == 2);
  CHECK((store.k[1].rows() == 20 && store.v[1].cols() == 12));
  Ragged batch;
  batch.push(2, 4, 5);
  batch.push(1, 4, 7);
  CHECK(store.rows(batch) == std::vector<Index>{5, 6, 17});
  const auto spans = store.spans(batch);
  REQUIRE(spans.size() == 2);
  CHECK((spans[0].query_begin == 0 && spans[0].query_rows == 2 && spans[0].key_begin == 0 && spans[0].key_rows == 7));
  CHECK((spans[1].query_begin == 2 && spans[1].query_rows == 1 && spans[1].key_begin == 10 && spans[1].key_rows == 8));
}

TEST_CASE("sequences that are left keep their rooms when others have ended") {
  models::KeyStore<float> store(config(), 4, 10);
  store.slots = {1, 3};
  Ragged batch;
  batch.push(1, 4, 5);
  batch.push(2, 4, 7);
  CHECK(store.rows(batch) == std::vector<Index>{15, 37, 38});
  CHECK(store.spans(batch)[1].key_begin == 30);
}

TEST_CASE("a sequence that outgrows its room is refused") {
  const models::KeyStore<float> store(config(), 1, 10);
  Ragged batch;
  batch.push(2, 4, 9);
  CHECK(test::error_of([&] { (void)store.spans(batch); }).id() == "model.540");
}
