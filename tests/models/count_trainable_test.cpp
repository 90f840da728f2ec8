// SPDX-License-Identifier: Apache-2.0
// The tables of the papers, from shapes alone (methods.md B.6 and D.4).
#include <graft/models/count_trainable.hpp>

#include <graft/adapters/bias.hpp>
#include <graft/adapters/dora.hpp>
#include <graft/adapters/ia3.hpp>
#include <graft/adapters/loha.hpp>
#include <graft/adapters/lokr.hpp>
#include <graft/adapters/lora.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/subspace.hpp>

#include "support/catch.hpp"

using namespace graft;
using models::count_trainable;
using models::LlamaConfig;

namespace {
LlamaConfig shaped(Index dim, Index ffn, Index layers, Index heads, Index kv_heads, Index vocab) {
  LlamaConfig c;
  c.dim = dim;
  c.ffn = ffn;
  c.layers = layers;
  c.heads = heads;
  c.kv_heads = kv_heads;
  c.head_dim = dim / heads;
  c.vocab = vocab;
  return c;
}
const LlamaConfig llama_7b = shaped(4096, 11008, 32, 32, 32, 32000);
const LlamaConfig llama_13b = shaped(5120, 13824, 40, 40, 40, 32000);
const LlamaConfig llama3_8b = shaped(4096, 14336, 32, 32, 8, 128256);
const LlamaConfig mistral_7b = shaped(4096, 14336, 32, 32, 8, 32000);

template <class A>
Stack<At<site::residual, A>> edits(A adapter, const Placement& placement) {
  return Stack{At<site::residual, A>{adapter, placement}};
}
}  // namespace

TEST_CASE("the bases have the sizes that the papers divide by") {
  CHECK(models::parameter_count(llama_7b) == 6'738'415'616);
  CHECK(models::parameter_count(llama_13b) == 13'015'864'320);
  CHECK(models::parameter_count(llama3_8b) == 8'030'261'248);
  CHECK(models::parameter_count(mistral_7b) == 7'241'732'096);
}

TEST_CASE("LoReFT, DiReFT and the ablations train as many numbers as their tables say") {
  const Placement tied{.positions = ends(7, 7)};
  const Placement untied{.positions = ends(7, 7), .tied = false};
  const auto at = [&](std::vector<Index> layers, Placement placement) {
    placement.layers = only_layers(std::move(layers));
    return placement;
  };
  CHECK(count_trainable(llama_7b, edits(adapters::LoReft<8>{}, tied)) == 2'097'408);
  CHECK(count_trainable(llama_13b, edits(adapters::LoReft<8>{}, tied)) == 3'277'120);
  CHECK(count_trainable(llama3_8b, edits(adapters::LoReft<8>{}, tied)) == 2'097'408);
  CHECK(count_trainable(llama_7b, edits(adapters::DiReft<4>{}, untied)) == 2'097'408);
  CHECK(count_trainable(llama_7b, edits(adapters::LoReft<4>{}, at({3, 9, 18, 24}, untied))) == 262'176);
  CHECK(count_trainable(llama_7b, edits(adapters::LoReft<2>{}, at({3, 9, 18, 24}, untied))) == 131'088);
  CHECK(count_trainable(llama_7b, edits(adapters::ConsReft<8>{}, tied)) == 1'048'832);
  CHECK(count_trainable(llama_7b, edits(adapters::LobiReft<8>{}, tied)) == 1'048'832);
  CHECK(count_trainable(llama_13b, edits(adapters::ConsReft<8>{}, tied)) == 1'638'720);
  CHECK(count_trainable(llama_7b, edits(adapters::LoReft<4>{}, at({15}, tied))) == 32'772);
  CHECK(count_trainable(llama3_8b, edits(adapters::LoReft<2>{}, at({8, 16, 24}, untied))) == 98'316);
  CHECK(count_trainable(llama_7b, edits(adapters::LoReft<8>{}, at({15}, tied))) == 65'544);
  CHECK(count_trainable(llama_7b, edits(adapters::ConsReft<1>{}, at({15}, tied))) == 4'097);
  CHECK(count_trainable(llama_13b, edits(adapters::ConsReft<1>{}, at({15}, tied))) == 5'121);
}

TEST_CASE("one-sided positions make one module a layer even when untied") {  // RoBERTa's rows: widths are what counts
  const LlamaConfig base = shaped(768, 3072, 12, 12, 12, 50265);
  const LlamaConfig large = shaped(1024, 4096, 24, 16, 16, 50265);
  const Placement prefix{.positions = ends(3, 0), .tied = false};
  CHECK(count_trainable(base, edits(adapters::LoReft<1>{}, prefix)) == 18'444);
  CHECK(count_trainable(large, edits(adapters::LoReft<1>{}, prefix)) == 49'176);
}

TEST_CASE("DoRA trains as many numbers as its table says") {
  constexpr Sites five = site::query | site::key | site::value | site::up | site::down;
  const Stack whole{At<five, adapters::Dora<32>>{}};
  const Stack half{At<five, adapters::Dora<16>>{}};
  CHECK(count_trainable(llama_7b, whole) == 56'975'360);
  CHECK(count_trainable(llama_13b, whole) == 89'190'400);
  CHECK(count_trainable(llama3_8b, whole) == 57'409'536);
  CHECK(count_trainable(llama_7b, half) == 28'925'952);
  CHECK(count_trainable(llama_13b, half) == 45'281'280);
  CHECK(count_trainable(llama3_8b, half) == 29'097'984);
}

TEST_CASE("IA3, BitFit, LoHa and LoKr train what their arithmetic says of a 7B model") {
  const Stack ia3{At<site::key | site::value | site::down, adapters::Ia3>{}};
  CHECK(count_trainable(llama_7b, ia3) == 32 * (2 * 4096 + 11008));
  CHECK(count_trainable(mistral_7b, ia3) == 32 * (2 * 1024 + 14336));
  const Stack bitfit{At<site::linear, adapters::BitFit>{}};
  CHECK(count_trainable(llama_7b, bitfit) == 32 * (5 * 4096 + 2 * 11008));
  const Stack loha{At<site::query | site::value, adapters::Loha<8>>{}};
  CHECK(count_trainable(llama_7b, loha) == 32 * 2 * 2 * 8 * (4096 + 4096));
  const Stack lokr{At<site::query | site::up, adapters::Lokr>{{.rank = 8}}};  // 4096 = 64 64, 11008 = 86 128
  CHECK(count_trainable(llama_7b, lokr) == 32 * (64 * 64 + 8 * (64 + 64) + 86 * 64 + 8 * (128 + 64)));
}

TEST_CASE("LoRA and PMSS train as many numbers as their tables say") {
  constexpr Sites five = site::query | site::key | site::value | site::up | site::down;
  const Stack lora32{At<five, adapters::Lora<32>>{}};
  CHECK(count_trainable(llama_7b, lora32) == 56'098'816);
  CHECK(count_trainable(llama_13b, lora32) == 87'818'240);
  CHECK(count_trainable(llama3_8b, lora32) == 56'623'104);
  const Stack lora64{At<site::linear, adapters::Lora<64>>{}};
  CHECK(count_trainable(llama_7b, lora64) == 159'907'840);
  CHECK(count_trainable(mistral_7b, lora64) == 167'772'160);
  CHECK(count_trainable(mistral_7b, Stack{At<site::query | site::key | site::value, adapters::Lora<16>>{}}) ==
        9'437'184);
  CHECK(count_trainable(mistral_7b, Stack{At<site::linear, adapters::Pmss<640>>{}}) == 91'750'400);
}

TEST_CASE("full finetuning of a mixture of sites counts each tensor once") {
  constexpr Sites some = site::embedding | site::final_norm | site::head | site::attention_norm | site::query;
  LlamaConfig c = shaped(8, 12, 3, 2, 1, 10);
  c.qkv_bias = true;
  CHECK(count_trainable(c, Stack{At<some, adapters::Full>{}}) == 2 * 10 * 8 + 8 + 3 * (8 + 8 * 8 + 8));
  c.tied_head = true;
  CHECK(count_trainable(c, Stack{At<some, adapters::Full>{}}) == 10 * 8 + 8 + 3 * (8 + 8 * 8 + 8));
}
