// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/vera.hpp>

#include <set>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/files.hpp"
#include "support/golden_method.hpp"

using namespace graft;

namespace {

using Vectors = test::OnLinear<adapters::Vera<>>;

/// What the modules of an attached stack share.
template <class AttachedType>
auto pairs_of(AttachedType& attached) {
  using T = typename AttachedType::Scalar;
  std::set<std::shared_ptr<const Factors<T>>> pairs;
  attached.for_each_module([&](const auto& recipe, const Placement&, auto& grafted) {
    if constexpr (std::same_as<std::remove_cvref_t<decltype(recipe)>, adapters::Vera<>>) {
      pairs.insert(grafted.module.shared());
    }
  });
  return pairs;
}

}  // namespace

TEST_CASE("VeRA keeps the adapter contract, and trains N + r numbers a module") {
  const Index outputs = 8 + 4 + 4 + 7 + 5 + 5 + 7;
  test::adapter_contract(test::only(Vectors{{.rank = 3}}), {.trained = 2 * (outputs + 7 * 3)});
}

TEST_CASE("VeRA has PEFT's logits, loss and gradients with PEFT's projections") {
  test::GoldenMethod golden("vera");
  auto attached = golden.attach_only(test::only(Vectors{{.rank = 8}, {.sites = site::query | site::value}}));
  const io::Safetensors file = golden.open("adapter_model.safetensors");
  const std::string prefix = "base_model.model.";
  const auto pair = std::make_shared<const Factors<double>>(
      Factors<double>{test::golden_tensor(file, "base_model.vera_A"), test::golden_tensor(file, "base_model.vera_B")});
  attached.for_each_module([&](const auto& recipe, const Placement&, auto& grafted) {
    if constexpr (std::same_as<std::remove_cvref_t<decltype(recipe)>, adapters::Vera<>>) {
      grafted.module.share(pair, grafted.place.name);
    }
  });
  CHECK(test::GoldenMethod::fill(attached, file, prefix) + 2 == file.tensors().size());
  golden.check(attached, prefix);
}

TEST_CASE("A and B exist once for all modules, as large as the largest needs, drawn from the recipe's own seed") {
  test::Bench<double, backends::Reference, test::EveryMethod> bench(
      test::small_config(), test::only(Vectors{{.rank = 6, .projection_seed = 3}}), false);
  const auto pairs = pairs_of(bench.attached);
  REQUIRE(pairs.size() == 1);
  const Factors<double>& pair = **pairs.begin();
  CHECK(pair.a.rows() == 6);
  CHECK(pair.a.cols() == 17);  // down_proj reads the feed-forward width
  CHECK(pair.b.rows() == 17);  // gate_proj and up_proj give it
  CHECK(pair.b.cols() == 6);
  CHECK(test::largest(pair.a.view()) <= std::sqrt(6.0 / 17));
  CHECK(test::largest(pair.a.view()) > 0.9 * std::sqrt(6.0 / 17));
  CHECK(test::largest(pair.b.view()) <= 1);
  CHECK(test::largest(pair.b.view()) > 0.9);
  auto again =
      attach(bench.be, bench.model, bench.whole(test::only(Vectors{{.rank = 6, .projection_seed = 3}}), false), 9);
  CHECK(test::identical((*pairs_of(again).begin())->a.view(), pair.a.view()));  // whatever attach's seed is
  bench.attached.for_each_parameter([](const std::string& name, Parameter<double>& p) {
    CHECK(p.value(0, 0) == (name.ends_with("_d") ? 0.1 : 0.0));
  });
}

TEST_CASE("projections that are too small, or of another rank, are refused by the module's name") {
  const Place place{0, site::query, 5, 6, "q_proj"};
  adapters::Vera<>::Module<double> module({.rank = 2}, place);
  const auto share = [&](Index rank, Index outputs, Index inputs) {
    return test::error_of([&] {
      module.share(std::make_shared<const Factors<double>>(
                       Factors<double>{Tensor<double>(rank, inputs), Tensor<double>(outputs, rank)}),
                   place.name);
    });
  };
  CHECK(share(2, 5, 6).id() == "none");
  CHECK(share(2, 9, 8).id() == "none");
  const Error narrow = share(2, 5, 5);
  CHECK(narrow.id() == "adapter.722");
  CHECK(test::says(narrow, "expected A(2, at least 6)"));
  CHECK(test::says(narrow, "found A(2, 5)"));
  CHECK(test::says(narrow, "[q_proj]"));
  CHECK(share(2, 4, 6).id() == "adapter.722");
  CHECK(share(3, 5, 6).id() == "adapter.722");
  using Fixed = adapters::Vera<4>;
  CHECK(test::error_of([&] { (void)Fixed::Module<double>({.rank = 3}, place); }).id() == "adapter.721");
}
