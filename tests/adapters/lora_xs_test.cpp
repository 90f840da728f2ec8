// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/lora_xs.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/files.hpp"
#include "support/golden_method.hpp"

using namespace graft;

namespace {

using Core = test::OnLinear<adapters::LoraXs<>>;

/// Outer factors that know nothing of the weight: normal with variance 1/r (CoSA, TLoRA).
struct RandomOuter {
  static constexpr std::string_view name = "random-outer";
  template <class S>
  static Factors<double> factors(View<const S> weight, Index rank, double, Random random, const std::string&) {
    Factors<double> outer{Tensor<double>(rank, weight.cols), Tensor<double>(weight.rows, rank)};
    adapters::policies::Gaussian::fill(outer.a.view(), random.child(0));
    adapters::policies::Gaussian::fill(outer.b.view(), random.child(1));
    return outer;
  }
};
static_assert(weight_adapter<adapters::LowRankCore<4, RandomOuter>>);

}  // namespace

TEST_CASE("LoRA-XS keeps the adapter contract, and trains r r numbers a module") {
  test::adapter_contract(test::only(Core{{.rank = 3, .alpha = 4}}),
                         {.starts_as_identity = false, .trained = 2 * 7 * 3 * 3});
}

TEST_CASE("LoRA-XS has the golden logits, loss and gradients between the golden outer factors") {
  test::GoldenMethod golden("lora-xs");
  auto attached = golden.attach_only(test::only(Core{{.rank = 4, .alpha = 6}, {.sites = site::query | site::down}}));
  const io::Safetensors file = golden.open("adapter.safetensors");
  attached.for_each_module([&](const auto& recipe, const Placement&, auto& grafted) {
    if constexpr (std::same_as<std::remove_cvref_t<decltype(recipe)>, adapters::LoraXs<>>) {
      INFO(grafted.place.name);
      std::vector<View<double>> outer;
      grafted.module.for_each_frozen([&](const char*, View<double> values) { outer.push_back(values); });
      const auto product = [&](View<const double> b, View<const double> a) {
        Tensor<double> whole(b.rows, a.cols);
        test::reference.gemm_nn(1.0, b, a, 0.0, whole.view());
        return whole;
      };
      const std::string key = grafted.place.name + ".lora_";
      CHECK(test::relative_error(product(outer[1], outer[0]).view(),
                                 product(test::golden_tensor(file, key + "B.weight").view(),
                                         test::golden_tensor(file, key + "A.weight").view())
                                     .view()) < 1e-7);  // theirs in single precision
      CHECK(test::largest(outer[1]) <= 1);              // A carries the singular values
    }
  });
  CHECK(test::GoldenMethod::fill(attached, file, "") == file.tensors().size());
  golden.check(attached, "");
}

TEST_CASE("the core starts normal with standard deviation 1e-5, another in every module") {
  test::Bench<double, backends::Reference, test::EveryMethod> bench(test::small_config(), test::only(Core{{.rank = 8}}),
                                                                    false);
  double squares = 0;
  double first = 0;
  Index count = 0;
  bench.attached.for_each_parameter([&](const std::string& name, Parameter<double>& core) {
    CAPTURE(name);
    CHECK(core.value(0, 0) != first);
    first = core.value(0, 0);
    squares += bench.be.squared_norm(core.value);
    count += core.size();
  });
  CHECK(count == 3 * 7 * 64);
  CHECK(std::sqrt(squares / static_cast<double>(count)) == Approx(1e-5).epsilon(0.05));
}

TEST_CASE("outer factors of another source, and ranks that a core cannot have") {
  const backends::Reference be;
  const DenseWeight<double> weight(test::normal<double>(5, 6, 1));
  const Place place{0, site::query, 5, 6, "q_proj"};
  const auto module = [&](auto recipe) {
    return typename decltype(recipe)::template Module<double>(recipe, be, weight, place, Random(1));
  };
  auto own = module(adapters::LowRankCore<4, RandomOuter>{});
  CHECK(parameter_count(own) == 16);
  CHECK(own.scale() == 1);
  CHECK(module(adapters::LoraXs<>{.rank = 2, .alpha = 5}).scale() == 2.5);
  CHECK(test::error_of([&] { (void)module(adapters::LoraXs<>{.rank = 6}); }).id() == "adapter.720");
  CHECK(test::error_of([&] { (void)module(adapters::LoraXs<4>{.rank = 3}); }).id() == "adapter.721");
}
