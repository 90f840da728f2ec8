// SPDX-License-Identifier: Apache-2.0
// The block's numbers are held against transformers in llama_run_test, its gradients under every adapter in the contract;
// here it is proved bare: what enters the model, through every knob that a block has.
#include <graft/layers/decoder_block.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;

namespace {
using BenchType = test::Bench<test::Complex, backends::Reference, Stack<>>;

void check_input_gradient(const models::LlamaConfig& config) {
  for (const Index block_rows : {Index{4}, Index{128}}) {
    BenchType bench(config, {}, true, backends::Reference{.block_rows = block_rows});
    test::detail::check_every_entry(bench, test::tiny_batch(config, {{3, 2}, {1, 1}, {7, 4}}, 3));
  }
}
}  // namespace

TEST_CASE("the gradient of what enters a stack of blocks is the complex step's, for each knob") {
  models::LlamaConfig config = test::smallest_config();
  SECTION("everything at once") {
    check_input_gradient(config);
  }
  SECTION("no window") {
    config.window = 0;
    check_input_gradient(config);
  }
  SECTION("a window in the upper layer only") {
    config.window_from_layer = 1;
    check_input_gradient(config);
  }
  SECTION("one head per group, and one group") {
    config.kv_heads = config.heads;
    check_input_gradient(config);
    config.kv_heads = 1;
    check_input_gradient(config);
  }
  SECTION("no norm over queries and keys, no bias, a tied head") {
    config.qk_norm = config.qkv_bias = config.output_bias = config.mlp_bias = false;
    config.tied_head = true;
    check_input_gradient(config);
  }
  SECTION("Gemma's gates, norms and scaled embedding") {
    config.activation = ops::Activation::gelu_tanh;
    config.norm_offset = 1;
    config.embedding_scale = 2.5;
    check_input_gradient(config);
  }
}

TEST_CASE("a site that is no linear map has none") {
  const layers::DecoderBlock<Uniform<double>, backends::Reference> block;
  CHECK(test::error_of([&] { (void)block.linear(site::residual); }).id() == "shape.140");
}
