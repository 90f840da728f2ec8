// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/lora.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/files.hpp"

using namespace graft;
using test::contains;

TEST_CASE("LoRA and rsLoRA keep the adapter contract") {
  // a layer of smallest_config(): q and o 7+8, k and v 4+7, gate, up and down 5+7, twice, at rank 2
  const Index trained = 2 * 2 * (2 * (7 + 8) + 2 * (4 + 7) + 3 * (5 + 7));
  test::adapter_contract(test::only(test::OnLinear<adapters::Lora<>>{{.rank = 2, .alpha = 3}}), {.trained = trained});
  test::adapter_contract(test::only(test::OnLinear<adapters::RsLora<>>{{.rank = 2, .alpha = 3}}), {.trained = trained});
}

TEST_CASE("LoRA's A starts uniform within 1/sqrt(inputs), B at zero, and modules differ") {
  test::Bench<double, backends::Reference, test::EveryMethod> bench(
      test::small_config(), test::only(test::OnLinear<adapters::Lora<>>{{.rank = 3}}), false);
  double first = 0;
  bench.attached.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
    CAPTURE(name);
    const double largest = test::largest(p.value);
    if (name.find("lora_B") != std::string::npos) {
      CHECK(largest == 0);
      return;
    }
    const double bound = 1 / std::sqrt(static_cast<double>(p.value.cols));
    CHECK(largest <= bound);
    CHECK(largest > 0.8 * bound);
    CHECK(p.value(0, 0) != first);
    first = p.value(0, 0);
  });
}

TEST_CASE("the scale of LoRA is alpha / r, of rsLoRA alpha / sqrt(r)") {
  const backends::Reference be;
  const DenseWeight<double> weight(Tensor<double>(5, 6));
  const Place place{0, site::query, 5, 6, "q"};
  using Plain = adapters::Lora<>;
  using Rs = adapters::RsLora<>;
  CHECK(Plain::Module<double>({.rank = 4, .alpha = 8}, be, weight, place, Random(1)).scale() == 2);
  CHECK(Rs::Module<double>({.rank = 4, .alpha = 8}, be, weight, place, Random(1)).scale() == 4);
}

TEST_CASE("a rank that LoRA cannot have is refused with the module's name") {
  const backends::Reference be;
  const DenseWeight<double> weight(Tensor<double>(5, 6));
  const Place place{0, site::query, 5, 6, "model.layers.0.self_attn.q_proj"};
  const auto make = [&](auto recipe) {
    return
        [&, recipe] { (void)typename decltype(recipe)::template Module<double>(recipe, be, weight, place, Random(1)); };
  };
  const Error zero = test::error_of(make(adapters::Lora<>{.rank = 0}));
  CHECK(zero.id() == "adapter.601");
  CHECK_THAT(zero.what(), contains("found 0"));
  CHECK_THAT(zero.what(), contains("q_proj"));
  CHECK(test::error_of(make(adapters::Lora<8>{.rank = 4})).id() == "adapter.601");
}
