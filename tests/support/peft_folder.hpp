// SPDX-License-Identifier: Apache-2.0
// Every adapter that PEFT has in one stack, and its folders: opened, written, compared, and broken.
#pragma once

#include <string>

#include <graft/adapters/full.hpp>
#include <graft/interchange/peft.hpp>

#include "support/chosen_parts.hpp"
#include "support/every_method.hpp"
#include "support/golden_adapter.hpp"

namespace graft::test {

inline constexpr Sites whole_weights = site::everything & ~site::stream;
using PeftStack = Stack<OnLinear<adapters::Lora<>>, OnLinear<adapters::Dora<>>, OnLinear<adapters::Vera<>>,
                        OnLinear<adapters::Loha<>>, OnLinear<adapters::Lokr>, OnLinear<adapters::Ia3>,
                        OnLinear<adapters::Pmss<>>, OnLinear<adapters::CurLora<>>, OnLinear<adapters::LoraXs<>>,
                        Filling<adapters::PromptTuning>, Filling<adapters::PrefixTuning>, OnLinear<adapters::Bias>,
                        At<whole_weights, adapters::Full>, At<site::residual, adapters::Red>>;

/// The chosen parts as they are given, no others.
template <class... Ats>
[[nodiscard]] PeftStack peft_stack(const Ats&... chosen) {
  return chosen_parts<PeftStack>(chosen...);
}

/// Random numbers in all parameters, as after training.
template <class AttachedType>
void stir(AttachedType& attached) {
  std::uint64_t key = 0;
  attached.for_each_parameter([&](const std::string&, auto& parameter) {
    for (Index i = 0; i < parameter.size(); ++i) {
      using T = std::remove_cvref_t<decltype(parameter.value(0, 0))>;
      parameter.value(i / parameter.value.cols, i % parameter.value.cols) =
          T(static_cast<float>(0.05 * Random(7).normal(key++)));
    }
  });
}

/// Whether two files hold the same names, shapes and bytes.
inline void check_same_tensors(const std::string& found_folder, const std::string& expected_folder) {
  const auto found = io::Safetensors::open(found_folder + "/adapter_model.safetensors");
  const auto expected = io::Safetensors::open(expected_folder + "/adapter_model.safetensors");
  REQUIRE(found.tensors().size() == expected.tensors().size());
  for (const io::TensorRef& tensor : expected.tensors()) {
    INFO(tensor.name);
    const io::TensorRef& other = found.at(tensor.name);
    CHECK(other.shape == tensor.shape);
    CHECK(other.dtype == tensor.dtype);
    CHECK(std::equal(tensor.data, tensor.data + tensor.bytes, other.data, other.data + other.bytes));
  }
}

/// Whether two descriptions mean the same adapter.
inline void check_same_parts(const models::AdapterFile& found, const models::AdapterFile& expected) {
  REQUIRE(found.parts.size() == expected.parts.size());
  for (std::size_t i = 0; i < found.parts.size(); ++i) {
    CHECK(found.parts[i].adapter == expected.parts[i].adapter);
    CHECK(found.parts[i].settings == expected.parts[i].settings);
    CHECK(found.parts[i].exceptions == expected.parts[i].exceptions);
    CHECK(found.parts[i].placement.sites == expected.parts[i].placement.sites);
    CHECK(found.parts[i].placement.modules == expected.parts[i].placement.modules);
    CHECK(found.parts[i].placement.layers.all == expected.parts[i].placement.layers.all);
    CHECK(found.parts[i].placement.layers.chosen == expected.parts[i].placement.layers.chosen);
  }
}

/// What loading a golden folder onto llama-gqa says after change(draft).
template <class Change>
[[nodiscard]] Error broken_peft(const std::string& name, const Change& change) {
  GoldenBase base("llama-gqa");
  AdapterDraft draft(golden("adapters/" + name));
  change(draft);
  const TempFolder folder;
  draft.write(folder.path("broken"));
  return error_of([&] { (void)base.load<PeftStack>(folder.path("broken")); });
}
/// The description of a golden folder of 3 layers whose configuration was changed.
[[nodiscard]] inline models::AdapterFile changed_peft(const std::string& name, const io::Json& changes) {
  const std::string folder = golden("adapters/" + name);
  io::Json config = adapter_config(folder);
  config.update(changes);
  return interchange::open_peft(folder, config, 3);
}
/// What opening it says.
[[nodiscard]] inline Error refused_peft(const std::string& name, const io::Json& changes) {
  return error_of([&] { (void)changed_peft(name, changes); });
}

/// Numbers for a tensor of a draft, which outlives it.
[[nodiscard]] inline Tensor<float> numbers(Index rows, Index cols, float value) {
  Tensor<float> t(rows, cols);
  std::fill(t.data(), t.data() + t.size(), value);
  return t;
}

}  // namespace graft::test
