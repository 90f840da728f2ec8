// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/lokr.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;
using adapters::factored;
using adapters::Factored;
using test::contains;

namespace {
using OnLokr = test::OnLinear<adapters::Lokr>;
}  // namespace

TEST_CASE("LoKr keeps the adapter contract with a whole W2, a product for W2, and products for both") {
  // q(8,7): n = 2 4, m = 1 7; k, v(4,7): n = 2 2; o(7,8); gate, up(5,7) and down(7,5) are prime on both sides
  const Index product = 2 * (24 + 20 + 20 + 24 + 25 + 25 + 25);
  const Index whole = 2 * (30 + 16 + 16 + 30 + 36 + 36 + 36);
  const Index both = 2 * (14 + 13 + 13 + 14 + 13 + 13 + 13);  // n = 4 2 for q
  test::adapter_contract(test::only(OnLokr{{.rank = 2, .alpha = 3}}), {.trained = product});
  test::adapter_contract(test::only(OnLokr{{.rank = 4, .alpha = 3}}), {.trained = whole});
  test::adapter_contract(test::only(OnLokr{{.rank = 1, .alpha = 3, .factor = 4, .decompose_both = true}}),
                         {.trained = both});
}

TEST_CASE("the golden PEFT LoKrs have PEFT's logits, gradients and merged weights in double") {
  test::check_peft_case(test::only(OnLokr{{.rank = 2, .alpha = 6}, {.sites = site::query | site::down}}), "lokr");
  test::check_peft_case(test::only(OnLokr{{.rank = 2, .alpha = 6, .factor = 8, .decompose_both = true},
                                          {.sites = site::query | site::key}}),
                        "lokr-both");
}

TEST_CASE("LoKr gives the same on rows that stand apart as on close ones") {
  const backends::Reference be;
  const DenseWeight<double> weight(Tensor<double>(6, 8));
  const Place place{0, site::query, 6, 8, "q"};  // 2 3 and 2 4: a product of rank 1, pieces on both sides
  adapters::Lokr::Module<double> module({.rank = 1}, be, weight, place, Random(1));
  module.for_each_parameter([](std::string_view, Parameter<double>& p) { test::fill_normal(p.value, 3); });
  const Block block{0, 3, 0, 0};
  const auto run = [&](View<double> x, View<double> y) {
    test::fill_normal(x, 1);
    test::fill_normal(y, 2);
    module.for_each_parameter([&](std::string_view, Parameter<double>& p) { be.fill(0, p.gradient.view()); });
    Arena arena;
    adapters::Lokr::Module<double>::Cache cache;
    arena.measure();
    module.lay_out_scratch(cache, arena, {3, 3, true, Random(1)});
    arena.reserve();
    module.lay_out_scratch(cache, arena, {3, 3, true, Random(1)});
    module.prepare(be, cache, weight);
    module.read(be, cache, block, x);
    module.add(be, cache, block, y);
    module.add_vjp(be, cache, block, y);
    module.block_gradients(be, cache, {}, block, x, y);
    module.gradients(be, cache);
    module.read_vjp(be, cache, block, x);
    std::vector<Tensor<double>> results;
    module.for_each_parameter([&](std::string_view, Parameter<double>& p) { results.push_back(p.gradient.clone()); });
    for (const View<double> moved : {x, y}) {
      be.copy(moved, results.emplace_back(moved.rows, moved.cols).view());
    }
    return results;
  };
  Tensor<double> x(3, 8), y(3, 6), wide_x(3, 11), wide_y(3, 9);
  const auto close = run(x.view(), y.view());
  const auto apart = run(wide_x.view().middle_cols(1, 8), wide_y.view().middle_cols(2, 6));
  for (std::size_t i = 0; i < close.size(); ++i) {
    CAPTURE(i);
    CHECK(test::relative_error(apart[i].view(), close[i].view()) < 1e-14);
  }
}

TEST_CASE("widths are factored by LyCORIS' rule: a factor that divides is taken as it is, else the squarest pair") {
  const auto check = [](Index width, Index factor, Factored expected) {
    CAPTURE(width, factor);
    CHECK(factored(width, factor) == expected);
  };
  check(127, -1, {1, 127});
  check(128, -1, {8, 16});
  check(250, -1, {10, 25});
  check(360, -1, {18, 20});
  check(512, -1, {16, 32});
  check(1024, -1, {32, 32});
  check(128, 4, {4, 32});
  check(250, 4, {2, 125});
  check(360, 4, {4, 90});
  check(512, 8, {8, 64});
  check(4096, -1, {64, 64});
  check(14336, -1, {112, 128});
  check(16, 8, {8, 2});  // not the small side first
  check(1, -1, {1, 1});
}

TEST_CASE("a rank or factor that LoKr cannot have is refused with the module's name") {
  const DenseWeight<double> weight(Tensor<double>(5, 6));
  const Place place{0, site::query, 5, 6, "model.layers.0.self_attn.q_proj"};
  const auto refused = [&](const adapters::Lokr& recipe) {
    return test::error_of(
        [&] { (void)adapters::Lokr::Module<double>(recipe, backends::Reference{}, weight, place, Random(1)); });
  };
  const Error zero = refused({.rank = 0});
  CHECK(zero.id() == "adapter.701");
  CHECK_THAT(zero.what(), contains("rank 0"));
  CHECK_THAT(zero.what(), contains("q_proj"));
  CHECK(refused({.factor = 0}).id() == "adapter.701");
}
