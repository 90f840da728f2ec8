// SPDX-License-Identifier: Apache-2.0
// peft_roundtrip MODEL IN OUT: puts an adapter on a model, writes it as a folder of PEFT to OUT, and its logits on the
// model's golden tokens to OUT/logits.safetensors; for tests/interop/peft_folders.py. IN is a folder of PEFT, or a golden
// case of graft's own modules (PMSS, CURLoRA, LoRA-XS), which PEFT gets as plain LoRA.
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <graft/adapters/curlora.hpp>
#include <graft/adapters/full.hpp>
#include <graft/backends/reference.hpp>
#include <graft/interchange/open_adapter.hpp>
#include <graft/models/llama_run.hpp>
#include <graft/models/open_checkpoint.hpp>
#include <graft/train/batch.hpp>

using namespace graft;

namespace {

template <class A>
using OnLinear = At<site::linear, A>;
template <class A>
using Filling = At<A::sites, A>;
using Adapters = Stack<OnLinear<adapters::Lora<>>, OnLinear<adapters::Dora<>>, OnLinear<adapters::Vera<>>,
                       OnLinear<adapters::Loha<>>, OnLinear<adapters::Lokr>, OnLinear<adapters::Ia3>,
                       OnLinear<adapters::Pmss<>>, OnLinear<adapters::CurLora<>>, OnLinear<adapters::LoraXs<>>,
                       Filling<adapters::PromptTuning>, Filling<adapters::PrefixTuning>, OnLinear<adapters::Bias>,
                       At<site::everything & ~site::stream, adapters::Full>>;
using Model = models::Llama<Uniform<float>, backends::Reference>;
using Attached = graft::Attached<float, Adapters>;

/// Skeletons of a golden case; other modules as attach makes them.
struct GoldenModules {
  const io::Safetensors& file;

  template <class A>
  void operator()(const backends::Reference& be, Model& model, Grafted<A, float>& grafted, Random random) const {
    if constexpr (A::name == adapters::Pmss<>::name) {
      const auto list = [&](const char* name) {
        const auto wide = io::read_integers(file.at(grafted.place.name + "." + name));
        return std::vector<std::int32_t>(wide.begin(), wide.end());
      };
      grafted.module = typename A::template Module<float>(grafted.recipe, {list("J"), list("K")}, grafted.place);
    } else {
      FreshModules{}(be, model, grafted, random);
    }
  }
};

/// A golden case of graft's own modules.
Attached golden_case(const backends::Reference& be, Model& model, const std::string& folder) {
  const bool is_pmss = io::exists(io::join(folder, "pmss.safetensors"));
  const auto file = io::Safetensors::open(io::join(folder, is_pmss ? "pmss.safetensors" : "adapter.safetensors"));
  const std::string where = io::join(folder, "io.json");
  const io::Json facts = io::parse_json(io::read_text(where), where);
  Adapters stack;
  std::apply([](auto&... at) { ((at.placement.sites = site::none), ...); }, stack.parts);
  const auto place = [&](auto& at) {
    for (Sites one = 1; one <= site::down; one <<= 1) {
      for (const io::TensorRef& tensor : file.tensors()) {
        at.placement.sites |= tensor.name.starts_with(module_path(0, one) + ".") ? one : site::none;
      }
    }
  };
  if (is_pmss) {
    auto& at = std::get<OnLinear<adapters::Pmss<>>>(stack.parts);
    at.adapter = {.columns = facts["c"], .rows = facts["r"], .alpha = facts["alpha"]};
    place(at);
  } else if (facts.contains("alpha")) {
    auto& at = std::get<OnLinear<adapters::LoraXs<>>>(stack.parts);
    at.adapter = {.rank = facts["r"], .alpha = facts["alpha"]};
    place(at);
  } else {
    auto& at = std::get<OnLinear<adapters::CurLora<>>>(stack.parts);
    at.adapter.rank = facts["r"];
    place(at);
  }
  auto attached = attach(be, model, stack, 1, GoldenModules{file});
  attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
    const auto read = [&](const std::string& name, View<float> values) {
      io::decode_rows(file.at(grafted.place.name + "." + name), 0, values);
    };
    grafted.module.for_each_parameter([&](const char* name, Parameter<float>& p) { read(name, p.value); });
    if constexpr (requires { grafted.module.for_each_frozen(read); }) {
      grafted.module.for_each_frozen(read);
    }
  });
  return attached;
}

/// The logits of all tokens of the model's golden sequences.
void write_logits(const std::string& path, const backends::Reference& be, const Model& model, Attached& attached,
                  const io::Safetensors& inputs) {
  const auto ids = io::read_integers(inputs.at("input_ids"));
  const auto offsets = io::read_integers(inputs.at("offsets"));
  train::Batch batch;
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
    train::Example example;
    example.ids.assign(ids.begin() + offsets[i], ids.begin() + offsets[i + 1]);
    example.labels = example.ids;
    example.prompt = 1;
    batch.push(example, 1, attached.inserted());
  }
  std::vector<Index> rows;
  for (Index i = 0; i < batch.ragged.sequences(); ++i) {
    for (Index row = batch.ragged.first_token(i); row < batch.ragged.begin(i + 1); ++row) {
      rows.push_back(row);
    }
  }
  auto* member = &attached;
  models::LlamaRun<Model, Attached> run;
  run.forward(be, model, std::span(&member, 1), batch.ragged, batch.tokens, 1);
  Tensor<float> logits(std::ssize(rows), model.config.vocab);
  run.logits(be, model, rows, logits.view());
  const io::TensorRef one[] = {io::tensor_ref("logits", std::as_const(logits).view())};
  io::write_safetensors(path, one);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 4) {
      std::fprintf(stderr, "peft_roundtrip MODEL IN OUT\n");
      return 2;
    }
    const backends::Reference be;
    const std::string in = argv[2];
    const std::string out = argv[3];
    const auto checkpoint = models::open_checkpoint(argv[1]);
    auto model = Model::load(checkpoint);
    const bool is_peft = io::exists(io::join(in, models::adapter_config_name));
    auto attached = is_peft ? models::load_adapter<Adapters>(be, model, models::fingerprint_of(checkpoint),
                                                             interchange::open_adapter(in, model.layer_count()))
                            : golden_case(be, model, in);
    interchange::write_peft(out, attached, model, argv[1]);
    write_logits(io::join(out, "logits.safetensors"), be, model, attached,
                 io::Safetensors::open(io::join(argv[1], "io.safetensors")));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
