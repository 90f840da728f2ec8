// SPDX-License-Identifier: Apache-2.0
#include <graft/models/llama_config.hpp>

#include <cmath>
#include <limits>
#include <numbers>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;
using models::LlamaConfig;
using models::RopeScaling;
using test::contains;
using test::error_of;

namespace {

LlamaConfig sized(Index vocab, Index dim, Index ffn, Index layers, Index heads, Index kv_heads, Index head_dim) {
  LlamaConfig config;
  config.vocab = vocab;
  config.dim = dim;
  config.ffn = ffn;
  config.layers = layers;
  config.heads = heads;
  config.kv_heads = kv_heads;
  config.head_dim = head_dim;
  config.context = 2048;
  return config;
}

}  // namespace

TEST_CASE("parameter counts are the published ones") {
  CHECK(models::parameter_count(sized(32000, 4096, 11008, 32, 32, 32, 128)) == 6738415616);  // LLaMA-7B
  CHECK(models::parameter_count(sized(128256, 4096, 14336, 32, 32, 8, 128)) == 8030261248);  // Llama-3-8B
  CHECK(models::parameter_count(sized(32000, 4096, 14336, 32, 32, 8, 128)) == 7241732096);   // Mistral-7B
  LlamaConfig tied = sized(128256, 2048, 8192, 16, 32, 8, 64);                               // Llama-3.2-1B
  tied.tied_head = true;
  CHECK(models::parameter_count(tied) == 1235814400);
  LlamaConfig biased = sized(152064, 3584, 18944, 28, 28, 4, 128);  // Qwen2-7B
  biased.qkv_bias = true;
  CHECK(models::parameter_count(biased) == 7615616512);
  LlamaConfig normed = sized(151936, 1024, 3072, 28, 16, 8, 128);  // Qwen3-0.6B
  normed.tied_head = normed.qk_norm = true;
  CHECK(models::parameter_count(normed) == 596049920);
  LlamaConfig gemma = sized(256000, 2048, 16384, 18, 8, 1, 256);  // Gemma-2B
  gemma.tied_head = true;
  CHECK(models::parameter_count(gemma) == 2506172416);
}

TEST_CASE("frequencies fall from 1 by equal ratios, and linear scaling divides them all") {
  LlamaConfig config = sized(100, 8, 8, 1, 1, 1, 8);
  config.rope_theta = 10000;
  const std::vector<double> plain = models::rope_frequencies(config);
  REQUIRE(plain.size() == 4);
  CHECK(plain[0] == 1);
  CHECK(plain[1] == Approx(0.1).epsilon(1e-15));
  CHECK(plain[3] == Approx(0.001).epsilon(1e-15));
  config.rope_scaling.kind = RopeScaling::Kind::linear;
  config.rope_scaling.factor = 4;
  CHECK(models::rope_frequencies(config)[3] == plain[3] / 4);
  config.rope_scaling.kind = RopeScaling::Kind::factors;
  config.rope_scaling.factors = {1, 2, 4, 8};
  CHECK(models::rope_frequencies(config)[3] == plain[3] / 8);
  CHECK(models::rope_frequencies(config)[0] == 1);
}

TEST_CASE(
    "llama3 scaling keeps short waves, stretches long ones and blends between, as transformers does by wavelength") {
  LlamaConfig config = sized(100, 128, 8, 1, 1, 1, 128);
  config.rope_theta = 500000;
  const std::vector<double> plain = models::rope_frequencies(config);
  config.rope_scaling = {RopeScaling::Kind::llama3, 8, 1, 4, 8192, {}};
  const std::vector<double> scaled = models::rope_frequencies(config);
  int kept = 0;
  int stretched = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const double wavelength = 2 * std::numbers::pi / plain[i];
    double expected = 0;
    if (wavelength < 8192.0 / 4) {
      expected = plain[i];
      ++kept;
    } else if (wavelength > 8192.0 / 1) {
      expected = plain[i] / 8;
      ++stretched;
    } else {
      const double smooth = (8192 / wavelength - 1) / (4 - 1);
      expected = (1 - smooth) * plain[i] / 8 + smooth * plain[i];
    }
    CHECK(scaled[i] == Approx(expected).epsilon(1e-14));
  }
  CHECK((kept > 20 && stretched > 20 && kept + stretched < 64));
}

TEST_CASE("the window begins at its layer") {
  LlamaConfig config = sized(100, 8, 8, 4, 1, 1, 8);
  CHECK(config.layer_window(3) == 0);
  config.window = 7;
  config.window_from_layer = 2;
  CHECK((config.layer_window(1) == 0 && config.layer_window(2) == 7));
}

TEST_CASE("sizes that no model has are refused before anything multiplies them") {
  const LlamaConfig good = sized(100, 8, 8, 2, 4, 2, 8);
  const auto failure = [&](auto change) {
    LlamaConfig config = good;
    change(config);
    return error_of([&] { models::validate(config, "config.json"); });
  };
  CHECK(failure([](LlamaConfig&) {}).id() == "none");
  CHECK_THAT(failure([](LlamaConfig& c) { c.layers = 0; }).what(),
             contains("model.504") && contains("layers is 0") && contains("config.json"));
  CHECK(failure([](LlamaConfig& c) { c.vocab = Index{1} << 40; }).id() == "model.504");
  CHECK(failure([](LlamaConfig& c) { c.dim = -8; }).id() == "model.504");
  CHECK(failure([](LlamaConfig& c) { c.ffn = std::numeric_limits<Index>::max(); }).id() == "model.504");
  CHECK_THAT(failure([](LlamaConfig& c) { c.kv_heads = 3; }).what(),
             contains("(4)") && contains("multiple") && contains("(3)"));
  CHECK(failure([](LlamaConfig& c) { c.kv_heads = 8; }).id() == "model.504");
  CHECK_THAT(failure([](LlamaConfig& c) { c.head_dim = 7; }).what(), contains("even"));
  CHECK(failure([](LlamaConfig& c) { c.norm_eps = 0; }).id() == "model.504");
  CHECK(failure([](LlamaConfig& c) { c.rope_theta = -1; }).id() == "model.504");
  CHECK(failure([](LlamaConfig& c) { c.window = -1; }).id() == "model.504");
  CHECK(failure([](LlamaConfig& c) { c.rope_scaling.factor = 0; }).id() == "model.504");
  CHECK(failure([](LlamaConfig& c) { c.rope_scaling = {RopeScaling::Kind::llama3, 8, 4, 4, 16, {}}; }).id() ==
        "model.504");
  CHECK(failure([](LlamaConfig& c) { c.rope_scaling = {RopeScaling::Kind::factors, 1, 1, 4, 0, {1, 1, 1}}; }).id() ==
        "model.504");
  CHECK(failure([](LlamaConfig& c) { c.rope_scaling = {RopeScaling::Kind::factors, 1, 1, 4, 0, {1, 1, 0, 1}}; }).id() ==
        "model.504");
}
