// SPDX-License-Identifier: Apache-2.0
// A golden model with one weight method on it, of the stack that all tests of adapters compile, and its golden numbers.
#pragma once

#include <string>

#include "contracts/adapter_contract.hpp"
#include "support/every_method.hpp"
#include "support/golden_adapter.hpp"

namespace graft::test {

/// Shares its compiled run with the benches of every method in double.
struct GoldenMethod {
  using BenchType = Bench<double, backends::Reference, EveryMethod>;

  std::string folder;
  io::Safetensors io;
  io::Json facts;
  GoldenLlama model = GoldenLlama::load(models::open_checkpoint(golden("models/llama-gqa")));

  explicit GoldenMethod(const std::string& name)
      : folder(golden("adapters/" + name)),
        io(io::Safetensors::open(folder + "/io.safetensors")),
        facts(io::parse_json(slurp(folder + "/io.json"), folder)) {}

  [[nodiscard]] io::Safetensors open(const std::string& file) const {
    return io::Safetensors::open(folder + "/" + file);
  }
  [[nodiscard]] BenchType::AttachedType attach_only(const EveryMethod& stack) {
    return attach(reference, model, BenchType::whole(stack, false), 1);
  }
  /// Parameters, and frozen factors where the file holds them, by prefix + module + name; how many there were.
  static std::size_t fill(BenchType::AttachedType& attached, const io::Safetensors& file, const std::string& prefix) {
    std::size_t filled = 0;
    attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
      const auto read = [&](const char* name, View<double> values) {
        if (const std::string key = prefix + grafted.place.name + "." + name; file.find(key) != nullptr) {
          reference.copy(golden_tensor(file, key).view(), values);
          ++filled;
        }
      };
      grafted.module.for_each_parameter(
          [&](const char* name, Parameter<double>& parameter) { read(name, parameter.value); });
      if constexpr (requires { grafted.module.for_each_frozen(read); }) {
        grafted.module.for_each_frozen(read);
      }
    });
    return filled;
  }
  /// Logits, loss and gradients in double.
  void check(BenchType::AttachedType& attached, const std::string& prefix) {
    CHECK(parameter_count(attached) == facts["trainable"].get<Index>());
    const AdapterErrors errors = golden_errors(model, attached, io, [&](const auto& grafted, const char* name) {
      return prefix + grafted.place.name + "." + name;
    });
    CHECK(errors.logits < 1e-11);
    CHECK(errors.loss < 1e-12);
    CHECK(errors.gradients < 1e-10);
  }
};

}  // namespace graft::test
