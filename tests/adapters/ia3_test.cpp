// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/ia3.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;

namespace {
using OnIa3 = test::OnLinear<adapters::Ia3>;
}  // namespace

TEST_CASE("IA3 keeps the adapter contract, scaling outputs with their biases, inputs, and both in one model") {
  test::adapter_contract(test::only(OnIa3{{.input_sites = site::none}}), {.trained = 2 * (8 + 4 + 4 + 7 + 5 + 5 + 7)});
  test::adapter_contract(test::only(OnIa3{{.input_sites = site::linear}}),
                         {.trained = 2 * (7 + 7 + 7 + 8 + 7 + 7 + 5)});
  test::adapter_contract(test::only(OnIa3{{}, {.sites = site::key | site::value | site::down}}),
                         {.trained = 2 * (4 + 4 + 5)});
}

TEST_CASE("IA3 shares its maps with LoRA, PMSS and DoRA: nobody reads what a neighbour has edited") {
  const Index lora = 2 * 2 * (2 * (7 + 8) + 2 * (4 + 7) + 3 * (5 + 7));
  const Index outputs = 2 * (8 + 4 + 4 + 7 + 5 + 5 + 7);
  const Index ia3 = 2 * (8 + 4 + 4 + 8 + 5 + 5 + 5);
  test::adapter_contract(
      test::only(test::OnLinear<adapters::Lora<>>{{.rank = 2}}, test::OnLinear<adapters::Pmss<>>{{.rank = 2}},
                 test::OnLinear<adapters::Dora<>>{{.rank = 2}}, OnIa3{{.input_sites = site::down | site::output}}),
      {.trained = lora + 2 * 7 * 2 * 2 + lora + outputs + ia3});
}

TEST_CASE("DoRA, LoRA, IA3 and BitFit on the outputs of the same maps merge into weights and biases together") {
  test::check_merged_equals_attached(
      test::only(test::OnLinear<adapters::Lora<>>{{.rank = 2}}, test::OnLinear<adapters::Dora<>>{{.rank = 2}},
                 test::OnLinear<adapters::BitFit>{}, OnIa3{{.input_sites = site::none}}),
      test::smallest_config());
}

TEST_CASE("the golden PEFT IA3 has PEFT's logits, gradients and merged weights in double") {
  test::check_peft_case(test::only(OnIa3{{}, {.sites = site::key | site::value | site::down}}), "ia3");
}
