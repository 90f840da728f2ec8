// SPDX-License-Identifier: Apache-2.0
// Phases and sums at the sites are proved by the contract; here are the questions that a layer asks, and the corners.
#include <graft/adapters/graft_site.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"

using namespace graft;

namespace {
using SiteEdits = test::OnStream<adapters::LoReft<>>;
using SiteBench = test::Bench<double, backends::Reference, test::EveryMethod>;
}  // namespace

TEST_CASE("who sums block by block needs no input of all rows; who trains the weight itself does") {
  const backends::Reference be;
  auto model = test::tiny_llama<Uniform<double>, backends::Reference>(test::small_config(), 1);
  using Both = Stack<At<site::query, adapters::Lora<>>, At<site::value, adapters::Full>>;
  auto attached = attach(be, model, Both{}, 1);
  GraftPass<decltype(attached)> pass;
  auto* const member = &attached;
  Ragged batch;
  batch.push(5, 3);
  pass.begin(std::span(&member, 1), batch, 128, Random(0));
  const auto query = pass.layer(0).at(site::query);
  const auto value = pass.layer(0).at(site::value);
  const auto key = pass.layer(0).at(site::key);
  CHECK((query.needs_input() && value.needs_input() && !key.needs_input()));
  CHECK((!query.needs_all_inputs() && value.needs_all_inputs() && !key.needs_all_inputs()));
  CHECK((!query.needs_all_output_gradients() && value.needs_all_output_gradients()));
}

TEST_CASE("results do not depend on the size of the blocks") {
  const auto gradients = [](Index block_rows) {
    SiteBench bench(test::small_config(),
                    test::only(test::OnLinear<adapters::Lora<>>{{.rank = 2}},
                               SiteEdits{{.rank = 2}, {.positions = ends(2, 2), .sites = site::residual}}),
                    false, backends::Reference{.block_rows = block_rows});
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

TEST_CASE("an edit of prompt positions changes its rows and those that can look back at them, no earlier ones") {
  const SiteEdits last{{.rank = 2}, {.layers = only_layers({0}), .positions = ends(0, 1), .sites = site::residual}};
  SiteBench bench(test::small_config(), test::only(last), false);
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
