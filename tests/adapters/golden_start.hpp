// SPDX-License-Identifier: Apache-2.0
// The golden cases of PiSSA and OLoRA, which PEFT trains on a changed base: W less s B0 A0.
#pragma once

#include "support/golden_method.hpp"

namespace graft::test {

/// With A and B of the trained file on W = residual + s B0 A0, ours is PEFT's adapter on its residual to rounding; and our
/// start, from the weights as they are, is PEFT's start to the single precision in which it was made.
template <class A>
void check_golden_start(const std::string& name) {
  GoldenMethod golden(name);
  auto attached = golden.attach_only(only(OnLinear<A>{{.rank = 4, .alpha = 8}, {.sites = site::query | site::down}}));
  const io::Safetensors initial = golden.open("initial/adapter_model.safetensors");
  const io::Safetensors residual = golden.open("residual.safetensors");
  const std::string prefix = "base_model.model.";
  constexpr double single = 1e-5;  // a decomposition in single precision, of singular values a few percent apart
  std::size_t modules = 0;
  attached.for_each_module([&](const auto& recipe, const Placement&, auto& grafted) {
    if constexpr (std::same_as<std::remove_cvref_t<decltype(recipe)>, A>) {
      INFO(grafted.place.name);
      auto& weight =
          golden.model.blocks[static_cast<std::size_t>(grafted.place.layer)].linear(grafted.place.where).weight;
      std::vector<View<double>> start;
      grafted.module.for_each_frozen([&](const char*, View<double> values) { start.push_back(values); });
      const auto product = [&](View<const double> b, View<const double> a) {
        Tensor<double> moved(weight.rows(), weight.cols());
        reference.gemm_nn(2.0, b, a, 0.0, moved.view());  // s = 8 / 4
        return moved;
      };
      const std::string key = prefix + grafted.place.name + ".lora_";
      const Tensor<double> ours = product(start[1], start[0]);
      const Tensor<double> theirs =
          product(golden_tensor(initial, key + "B.weight").view(), golden_tensor(initial, key + "A.weight").view());
      CHECK(relative_error(ours.view(), theirs.view()) < single);
      Tensor<double> sum = golden_tensor(residual, grafted.place.name + ".weight");
      reference.add(1, ours.view(), sum.view());
      CHECK(relative_error(sum.view(), weight.view()) < single);
      reference.copy(sum.view(), weight.writable());
      ++modules;
    }
  });
  CHECK(modules == golden.facts["scale"].size());
  CHECK(GoldenMethod::fill(attached, golden.open("adapter_model.safetensors"), prefix) == 2 * modules);
  golden.check(attached, prefix);
}

}  // namespace graft::test
