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

TEST_CASE("results do not depend on the size of the blocks") {
  const auto gradients = [](Index block_rows) {
    PassBench bench(test::small_config(), on_prompts(), false, backends::Reference{.block_rows = block_rows});
    bench.disturb(2);
    bench.differentiate(test::tiny_batch(bench.model.config, test::detail::ragged, 3));
    return bench.gradients(bench.attached);
  };
  const auto expected = gradients(128);
  for (const Index block_rows : {1, 2, 7, 20, 21}) {
    CAPTURE(block_rows);
    test::detail::check_equal(gradients(block_rows), expected, 1e-12);
  }
}

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

TEST_CASE("an edit of prompt positions changes its rows and those that can look back at them, no earlier ones") {
  const Edits last{{.rank = 2}, {.layers = only_layers({0}), .positions = ends(0, 1), .sites = site::residual}};
  PassBench bench(test::small_config(), test::only(last), false);
  bench.disturb(2);
  const auto hidden = [&](Index adapter) {
    bench.forward(test::tiny_batch(bench.model.config, {{9, 5, adapter}}, 3), {}, false);
    return bench.hidden();
  };
  const auto with = hidden(1);
  const auto without = hidden(0);
  for (Index t = 0; t < 9; ++t) {
    CAPTURE(t);
    const double change = test::relative_error(with.view().middle_rows(t, 1), without.view().middle_rows(t, 1));
    CHECK((change > 0) == (t >= 4));  // position 4 is the prompt's last
  }
}
