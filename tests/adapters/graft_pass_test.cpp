// SPDX-License-Identifier: Apache-2.0
// Which rows meet which module is proved by the contract (adapter ids, ragged batches); here are the corners of it.
#include <graft/adapters/graft_pass.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"

using namespace graft;

namespace {
using Edits = test::OnStream<adapters::LoReft<>>;
using PassBench = test::Bench<double, backends::Reference, test::EveryMethod>;
test::EveryMethod on_prompts() {
  return test::only(test::OnLinear<adapters::Lora<>>{{.rank = 2}},
                    Edits{{.rank = 2}, {.positions = ends(2, 2), .sites = site::residual}});
}
}  // namespace

TEST_CASE("a batch in which an adapter has no rows leaves its gradients at nothing") {
  PassBench bench(test::small_config(), on_prompts(), false);
  bench.disturb(2);
  bench.differentiate(test::tiny_batch(bench.model.config, {{5, 4, 0}, {6, 3, 0}}, 3));
  for (const Tensor<double>& gradient : bench.gradients(bench.attached)) {
    CHECK(test::largest(gradient.view()) == 0);
  }
}

TEST_CASE("rows of an adapter that the bank does not hold go through none") {
  PassBench bench(test::small_config(), on_prompts(), false);
  bench.disturb(2);
  bench.forward(test::tiny_batch(bench.model.config, {{5, 4, 2}, {6, 3, 2}}, 3), {}, false);
  const Tensor<double> beyond = bench.hidden();
  bench.forward(test::tiny_batch(bench.model.config, {{5, 4, 0}, {6, 3, 0}}, 3), {}, false);
  CHECK(test::identical(bench.run.hidden(), beyond.view()));
}
