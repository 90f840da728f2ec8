// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/red.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"

using namespace graft;
using test::rows_of;

TEST_CASE("RED keeps the adapter contract, at all positions and at the ends of the prompt") {
  const Index d = 7;
  const auto red = [](const Placement& placement) { return test::only(test::OnStream<adapters::Red>{{}, placement}); };
  test::adapter_contract(red({.sites = site::feed_forward}), {.trained = 2 * 2 * d});
  test::adapter_contract(red({.positions = ends(2, 2), .sites = site::residual}), {.trained = 2 * 2 * d});
}

TEST_CASE("RED has the paper's 2 d numbers a layer, and is linear in s and b") {
  CHECK(32 * adapters::Red{}.trained({0, site::residual, 4096, 4096, ""}) == 262'144);  // LLaMA-7B
  const backends::Reference be;
  using Module = adapters::Red::Module<double>;
  Module module({}, be, {0, site::residual, 2, 2, "stream"}, Random(1));
  module.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
    be.copy(name == "scale" ? rows_of<double>({{2, -1}}).view() : rows_of<double>({{0.5, 3}}).view(), p.value);
    CHECK(p.decays == (name == "bias"));
  });
  Module::Cache cache;
  auto h = rows_of<double>({{1, 2}, {3, 4}});
  module.edit(be, cache, {0, 2, 0, 0}, h.view());
  CHECK(test::identical(h.view(), rows_of<double>({{2.5, 1}, {6.5, -1}}).view()));
}
