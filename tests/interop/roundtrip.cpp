// SPDX-License-Identifier: Apache-2.0
// roundtrip MODEL ADAPTER [positions=f2+l2] [write=FORMAT:FOLDER] [logits=IDS:OUT]: opens an adapter's folder of any program on
// a model in fp32, for the checks in this folder.
//
// write: as peft, pyreft, mlx or graft. logits: of the sequences in IDS (a safetensors file with input_ids, offsets and
// prompts), tokens x vocabulary, as OUT (.npy).
#include <cstdint>
#include <cstdio>
#include <exception>
#include <map>
#include <numeric>  // iota
#include <optional>
#include <span>
#include <string>
#include <utility>  // as_const, pair
#include <vector>

#include <graft/adapters/dora.hpp>
#include <graft/adapters/lora.hpp>
#include <graft/adapters/pissa.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/backends/reference.hpp>
#include <graft/interchange/mlx_export.hpp>
#include <graft/interchange/open_any.hpp>
#include <graft/interchange/peft_export.hpp>
#include <graft/interchange/pyreft_export.hpp>
#include <graft/io/npy.hpp>
#include <graft/models/llama.hpp>
#include <graft/models/llama_run.hpp>
#include <graft/models/open_checkpoint.hpp>

using namespace graft;

namespace {

template <class A>
using OnMap = At<site::linear, A>;
template <class A>
using OnStream = At<site::stream, A>;
using Family =
    Stack<OnMap<adapters::Lora<>>, OnMap<adapters::Dora<>>, OnMap<adapters::Pissa<>>, OnMap<adapters::Pmss<>>,
          OnStream<adapters::LoReft<>>, OnStream<adapters::NoReft<>>, OnStream<adapters::ConsReft<>>,
          OnStream<adapters::LobiReft<>>, OnStream<adapters::DiReftOrthonormal<>>, OnStream<adapters::NodiReft<>>,
          OnStream<adapters::ActivatedLoReft<ops::Activation::relu>>>;
using Model = models::Llama<Uniform<float>, backends::Reference>;

constexpr backends::Reference be;

/// f<first>+l<last>, or all.
Positions positions_in(const std::string& text) {
  Positions positions = ends(0, 0);
  std::sscanf(text.c_str(), "f%td+l%td", &positions.first, &positions.last);
  return text == "all" ? every_position : positions;
}

template <class AttachedType>
void write_logits(const Model& model, AttachedType& attached, const std::string& ids, const std::string& out) {
  const auto file = io::Safetensors::open(ids);
  const std::vector<Index> wide = io::read_integers(file.at("input_ids"));
  const std::vector<std::int32_t> tokens(wide.begin(), wide.end());
  const std::vector<Index> offsets = io::read_integers(file.at("offsets"));
  const std::vector<Index> prompts = io::read_integers(file.at("prompts"));
  Ragged batch;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    batch.push(offsets[i + 1] - offsets[i], prompts[i]);
  }
  auto* member = &attached;
  models::LlamaRun<Model, AttachedType> run;
  run.forward(be, model, std::span(&member, 1), batch, tokens, batch.tokens(), {});
  std::vector<Index> rows(tokens.size());
  std::iota(rows.begin(), rows.end(), Index{0});
  Tensor<float> logits(batch.tokens(), model.config.vocab);
  run.logits(be, model, rows, logits.view());
  io::NpyWriter writer(out, logits.rows(), logits.cols());
  writer.append(std::as_const(logits).view());
  writer.commit();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 3) {
      std::fprintf(stderr, "roundtrip MODEL ADAPTER [positions=f2+l2] [write=FORMAT:FOLDER] [logits=IDS:OUT]\n");
      return 2;
    }
    const std::string name = argv[1];
    std::map<std::string, std::string> options;
    for (int i = 3; i < argc; ++i) {
      const std::string word = argv[i];
      options[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
    }
    const auto halves = [&](const char* option) {
      const std::string& text = options[option];
      return std::pair(text.substr(0, text.find(':')), text.substr(text.find(':') + 1));
    };
    const auto checkpoint = models::open_checkpoint(name);
    const auto fingerprint = models::fingerprint_of(checkpoint);
    auto model = Model::load(checkpoint);
    std::optional<Positions> positions;
    if (options.contains("positions")) {
      positions = positions_in(options["positions"]);
    }
    const auto file = interchange::open_any_adapter(argv[2], positions, checkpoint.config.layers);
    auto attached = models::load_adapter<Family>(be, model, fingerprint, file);
    if (options.contains("logits")) {
      const auto [ids, out] = halves("logits");
      write_logits(model, attached, ids, out);
    }
    if (options.contains("write")) {
      const auto [format, folder] = halves("write");
      if (format == "peft") {
        interchange::write_peft_lora(folder, attached, model, name);
      } else if (format == "pyreft") {
        interchange::write_pyreft(folder, attached, fingerprint, name);
      } else if (format == "mlx") {
        interchange::write_mlx(folder, attached, model, name);
      } else {
        models::save_adapter(folder, attached, fingerprint, name);
      }
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
