// SPDX-License-Identifier: Apache-2.0
#include <graft/optimizers/lora_plus.hpp>
#include <graft/optimizers/sgd.hpp>

#include "contracts/optimizer_contract.hpp"

using namespace graft;

TEST_CASE("LoRA+ over AdamW and over SGD keeps the optimizer contract") {
  test::optimizer_contract(optimizers::LoraPlus<>{}, optimizers::LoraPlus<>{.base = {.decay = 0.1}});
  test::optimizer_contract(optimizers::LoraPlus<optimizers::Sgd>{},
                           optimizers::LoraPlus<optimizers::Sgd>{.base = {.decay = 0.1}});
}

TEST_CASE("LoRA+ moves B at 16 times the rate, everything else at the rate itself") {
  const backends::Reference be;
  const optimizers::LoraPlus<> method{.base = {.decay = 0.1}};
  const std::pair<const char*, double> cases[] = {
      {"model.layers.0.self_attn.q_proj.lora.lora_A.weight", 1},
      {"model.layers.0.self_attn.q_proj.lora.lora_B.weight", 16},
      {"model.layers.0.self_attn.q_proj.dora.lora_B.weight", 16},
      {"model.layers.0.self_attn.q_proj.dora.lora_magnitude_vector", 1},
      {"model.layers.0.self_attn.q_proj.full.weight", 1},
  };
  for (const auto& [name, factor] : cases) {
    CAPTURE(name);
    Parameter<double> p(3, 4);
    Parameter<double> expected(3, 4);
    for (Parameter<double>* some : {&p, &expected}) {
      test::fill_normal(some->value, 1);
      test::fill_normal(some->gradient.view(), 2);
    }
    auto state = start_state(method, name, p);
    auto plain = method.base.start(expected);
    method.step(be, p, state, 1e-3, 1.0, 1);
    method.base.step(be, expected, plain, factor * 1e-3, 1.0, 1);
    CHECK(test::identical(View<const double>(p.value), View<const double>(expected.value)));
  }
}

TEST_CASE("an optimizer without an eye for names starts by the parameter alone") {
  auto state = start_state(optimizers::AdamW{}, "lora_B.weight", Parameter<float>(3, 4));
  CHECK(state.m.size() == 12);
}
