// SPDX-License-Identifier: Apache-2.0
// gguf_roundtrip: writes what llama.cpp is to read, and computes what it should give, for tests/interop/gguf_files.py.
//
//     gguf_roundtrip write MODEL ADAPTER KIND OUT        KIND: F32, F16, BF16, Q8_0 (a merged model), lora, vector
//     gguf_roundtrip logits MODEL ADAPTER IDS OUT        IDS: a file of ids; OUT: floats, a row a token
//
// ADAPTER is a folder of PEFT, a GGUF LoRA, a GGUF control vector, "steer" (a LobiReFT made up on blocks 1 and up) or "-".
#include <cstdio>
#include <exception>
#include <fstream>
#include <numeric>
#include <string>

#include <graft/backends/reference.hpp>
#include <graft/interchange/control_vector.hpp>
#include <graft/interchange/gguf_lora.hpp>
#include <graft/interchange/open_adapter.hpp>
#include <graft/models/llama_run.hpp>
#include <graft/models/open_checkpoint.hpp>
#include <graft/models/write_gguf.hpp>
#include <graft/train/batch.hpp>

using namespace graft;

namespace {

using Model = models::Llama<Uniform<float>, backends::Reference>;
using Family = Stack<At<site::linear, adapters::Lora<>>, At<site::residual, adapters::LobiReft<>>>;
const backends::Reference be;

/// A constant of rank 2 after every block but the first.
auto made_up(Model& model) {
  Family stack;
  std::get<0>(stack.parts).placement.sites = site::none;
  std::vector<Index> layers(static_cast<std::size_t>(model.layer_count() - 1));
  std::iota(layers.begin(), layers.end(), Index{1});
  std::get<1>(stack.parts).placement.layers = only_layers(layers);
  std::get<1>(stack.parts).adapter.rank = 2;
  auto attached = attach(be, model, stack, 1);
  attached.for_each_parameter([](const std::string& name, Parameter<float>& parameter) {
    if (name.ends_with(".b")) {
      parameter.value(0, 0) = 0.75F;
      parameter.value(0, 1) = -0.5F;
    }
  });
  return attached;
}

auto adapter_of(const std::string& name, const models::Checkpoint& checkpoint, Model& model) {
  if (name == "steer") {
    return made_up(model);
  }
  Family none;
  std::apply([](auto&... at) { ((at.placement.sites = site::none), ...); }, none.parts);
  if (name == "-") {
    return attach(be, model, none, 1);
  }
  const auto open = [&] {
    if (!name.ends_with(".gguf")) {
      return interchange::open_adapter(name, model.layer_count());
    }
    return io::Gguf::open(name).get<std::string_view>("general.architecture") == "controlvector"
               ? interchange::open_control_vector(name, model.config)
               : interchange::open_gguf_lora(name, model.config);
  };
  return models::load_adapter<Family>(be, model, models::fingerprint_of(checkpoint), open());
}

void write(const std::string& kind, const models::Checkpoint& checkpoint, Model& model, auto& attached,
           const std::string& out) {
  if (kind == "lora") {
    interchange::write_gguf_lora(out, attached, model);
  } else if (kind == "vector") {
    interchange::write_control_vector(out, attached, model);
  } else {
    (void)models::write_merged_gguf(out, checkpoint, be, attached, io::dtype_named(kind).value());
  }
}

void logits(const Model& model, auto& attached, const std::string& ids, const std::string& out) {
  train::Example example;
  std::ifstream file(ids);
  for (std::int32_t id = 0; file >> id;) {
    example.ids.push_back(id);
    example.labels.push_back(-100);
  }
  example.prompt = 1;
  train::Batch batch;
  batch.push(example, 1);
  auto* member = &attached;
  models::LlamaRun<Model, std::remove_reference_t<decltype(attached)>> run;
  const Index tokens = batch.ragged.tokens();
  run.forward(be, model, std::span(&member, 1), batch.ragged, batch.tokens, tokens);
  std::vector<Index> rows(static_cast<std::size_t>(tokens));
  std::iota(rows.begin(), rows.end(), Index{0});
  Tensor<float> values(tokens, model.config.vocab);
  run.logits(be, model, rows, values.view());
  std::ofstream(out, std::ios::binary)
      .write(reinterpret_cast<const char*>(values.data()), values.size() * static_cast<Index>(sizeof(float)));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() != 5 || (words[0] != "write" && words[0] != "logits")) {
      std::fprintf(stderr,
                   "gguf_roundtrip write MODEL ADAPTER KIND OUT\ngguf_roundtrip logits MODEL ADAPTER IDS OUT\n");
      return 2;
    }
    const auto checkpoint = models::open_checkpoint(words[1]);
    auto model = Model::load(checkpoint);
    auto attached = adapter_of(words[2], checkpoint, model);
    words[0] == "write" ? write(words[3], checkpoint, model, attached, words[4])
                        : logits(model, attached, words[3], words[4]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
