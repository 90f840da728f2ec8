// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/full.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"

using namespace graft;

namespace {
using Everything = Stack<At<site::everything & ~site::stream, adapters::Full>>;
using BenchType = test::Bench<test::Complex, backends::Reference, Everything>;
}  // namespace

TEST_CASE(
    "full finetuning keeps the adapter contract: every number of the model has the gradient of the complex step") {
  test::adapter_contract(Everything{}, {.trained = models::parameter_count(test::smallest_config())});
}

TEST_CASE("full finetuning trains as many numbers as the model has, tied head or not") {
  for (const auto& config : {test::smallest_config(), test::small_config()}) {
    BenchType bench(config, Everything{}, false);
    CHECK(parameter_count(bench.attached) == models::parameter_count(config));
    CHECK(models::count_trainable(config, Everything{}) == models::parameter_count(config));
  }
}

TEST_CASE("full finetuning learns from the rows that use it, once each, wherever they stand") {
  for (const auto& config : {test::smallest_config(), test::small_config()}) {
    BenchType bench(config, Everything{}, false, backends::Reference{.block_rows = 5});
    auto sequences = test::detail::ragged;
    sequences[2].adapter = 0;
    const train::Batch mixed = test::tiny_batch(config, sequences, 3);
    bench.differentiate(mixed);
    const auto found = bench.gradients(bench.attached);
    train::Batch own;
    for (const std::size_t i : {0u, 1u, 3u}) {
      own.push(test::tiny_example(config, sequences[i], 3 + i));
    }
    bench.differentiate(own, {}, bench.mean(mixed));
    test::detail::check_equal(found, bench.gradients(bench.attached), 1e-12);
  }
}
