// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/attached.hpp>

#include <graft/adapters/lora.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/linalg/orthonormal.hpp>
#include <graft/models/attach.hpp>

#include "support/catch.hpp"
#include "support/tiny_llama.hpp"

using namespace graft;

namespace {
using AttachedModel = models::Llama<Uniform<double>, backends::Reference>;
constexpr Sites all_of = site::everything & ~site::stream;

/// The reach of each layer with one module of that site in layer 1 of 3.
template <class A>
std::vector<std::optional<Reach>> reaches(Sites where) {
  AttachedModel model = test::tiny_llama<Uniform<double>, backends::Reference>(test::small_config(), 1);
  constexpr Sites possible = std::same_as<A, adapters::Full> ? all_of
                             : representation_adapter<A>     ? site::stream
                                                             : site::linear;
  At<possible, A> at;
  at.placement.sites = where;
  at.placement.layers = only_layers({(where & site::once) != 0 ? Index{0} : Index{1}});
  const auto attached = attach(backends::Reference{}, model, Stack<At<possible, A>>{at}, 1);
  return {attached.reach(0), attached.reach(1), attached.reach(2)};
}
using Reaches = std::vector<std::optional<Reach>>;
constexpr std::nullopt_t none = std::nullopt;
}  // namespace

TEST_CASE("the gradient travels no further than the lowest module, and through everything above it") {
  using adapters::Full;
  using adapters::Lora;
  using adapters::LoReft;
  CHECK(reaches<Lora<2>>(site::down) == Reaches{none, Reach::feed_forward, Reach::input});
  CHECK(reaches<Lora<2>>(site::gate) == Reaches{none, Reach::feed_forward, Reach::input});
  CHECK(reaches<Lora<2>>(site::output) == Reaches{none, Reach::output, Reach::input});
  CHECK(reaches<Lora<2>>(site::key) == Reaches{none, Reach::attention, Reach::input});
  CHECK(reaches<LoReft<2>>(site::residual) == Reaches{none, Reach::edits_only, Reach::input});
  CHECK(reaches<LoReft<2>>(site::feed_forward) == Reaches{none, Reach::feed_forward, Reach::input});
  CHECK(reaches<LoReft<2>>(site::attention) == Reaches{none, Reach::output, Reach::input});
  CHECK(reaches<LoReft<2>>(site::values) == Reaches{none, Reach::attention, Reach::input});
  CHECK(reaches<LoReft<2>>(site::embedded) == Reaches{Reach::input, Reach::input, Reach::input});
  CHECK(reaches<Full>(site::feed_forward_norm) == Reaches{none, Reach::feed_forward, Reach::input});
  CHECK(reaches<Full>(site::attention_norm) == Reaches{none, Reach::attention, Reach::input});
  CHECK(reaches<Full>(site::embedding) == Reaches{Reach::input, Reach::input, Reach::input});
  CHECK(reaches<Full>(site::final_norm) == Reaches{none, none, none});
}

TEST_CASE("a module is found by its layer and site only where it stands") {
  AttachedModel model = test::tiny_llama<Uniform<double>, backends::Reference>(test::small_config(), 1);
  At<site::linear, adapters::Lora<2>> at;
  at.placement = {.layers = only_layers({2}), .sites = site::up};
  const auto attached = attach(backends::Reference{}, model, Stack{at}, 1);
  CHECK(attached.any(2, site::up));
  CHECK(attached.any(2, site::linear));
  CHECK_FALSE(attached.any(1, site::linear));
  CHECK_FALSE(attached.any(2, site::linear & ~site::up));
}

TEST_CASE("after a step every orthonormal basis is orthonormal again") {
  AttachedModel model = test::tiny_llama<Uniform<double>, backends::Reference>(test::small_config(), 1);
  auto attached = attach(backends::Reference{}, model, Stack{At<site::residual, adapters::LoReft<3>>{}}, 1);
  const auto worst = [&] {
    double error = 0;
    attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
      error = std::max(error, linalg::orthonormality_error(grafted.module.basis()));
    });
    return error;
  };
  attached.for_each_parameter([](const std::string&, Parameter<double>& p) { p.value(0, 0) += 0.1; });
  CHECK(worst() > 1e-3);
  attached.after_step(backends::Reference{});
  CHECK(worst() < 1e-13);
}
