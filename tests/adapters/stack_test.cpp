// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/stack.hpp>

#include <graft/adapters/lora.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/subspace.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"

using namespace graft;

TEST_CASE("LoRA, PMSS and LoReFT on the same sites keep the adapter contract together") {
  const Index lora = 2 * 2 * (2 * (7 + 8) + 2 * (4 + 7) + 3 * (5 + 7));
  const Index pmss = 2 * 7 * 2 * 2;
  const Index reft = 2 * 3 * (2 * 7 * 2 + 2);
  const Placement prompts{.positions = ends(2, 2), .sites = site::residual | site::attention | site::feed_forward};
  test::adapter_contract(
      test::only(test::OnLinear<adapters::Lora<>>{{.rank = 2}}, test::OnLinear<adapters::Pmss<>>{{.rank = 2}},
                 test::OnStream<adapters::LoReft<>>{{.rank = 2}, prompts}),
      {.trained = lora + pmss + reft});
}

TEST_CASE("adapters on one linear map act alike in any order") {
  using Low = At<site::linear, adapters::Lora<2>>;
  using Skeletons = At<site::linear, adapters::Pmss<2>>;
  using MixedBench = test::Bench<double, backends::Reference, Stack<Low, Skeletons, Low>>;
  const Placement nowhere{.sites = site::none};
  MixedBench first(test::small_config(), {Low{}, Skeletons{}, Low{{}, nowhere}}, false);
  MixedBench second(test::small_config(), {Low{{}, nowhere}, Skeletons{}, Low{}}, false);
  std::vector<std::pair<std::string, View<double>>> values;
  first.disturb(2);
  first.attached.for_each_parameter(
      [&](const std::string& name, Parameter<double>& p) { values.emplace_back(name, p.value); });
  second.attached.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
    const auto same = std::find_if(values.begin(), values.end(), [&](const auto& v) { return v.first == name; });
    REQUIRE(same != values.end());
    second.be.copy(same->second, p.value);
  });
  const train::Batch batch = test::tiny_batch(first.model.config, test::detail::ragged, 3);
  first.differentiate(batch);
  second.differentiate(batch);
  CHECK(test::relative_error(second.run.hidden(), first.run.hidden()) < 1e-14);
  second.attached.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
    first.attached.for_each_parameter([&](const std::string& other, Parameter<double>& q) {
      if (name == other) {
        CAPTURE(name);
        CHECK(test::relative_error(p.gradient.view(), q.gradient.view()) < 1e-12);
      }
    });
  });
}
