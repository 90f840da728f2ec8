// SPDX-License-Identifier: Apache-2.0
// 13: what a PMSS skeleton selects. How much of each weight lies between its columns and rows, against random ones; and
// whether the skeletons of different maps meet in the same numbers of the stream, or in the same units of the feed-forward.
#include <graft/backends/gemm/onednn.hpp>
#include <graft/graft.hpp>
#include <graft/interop/xtensor.hpp>

#include <algorithm>  // count_if, find
#include <cstdio>
#include <xtensor/xmath.hpp>

using namespace graft;

using Backend = backends::Simd<backends::OneDnn>;
using Model = models::Llama<Uniform<float>, Backend>;
using adapters::policies::AtRandom;
using adapters::policies::LargestNorm;

int main() {
  constexpr Index rank = 32, layers = 4, maps = 7;
  const Backend backend;
  const models::Checkpoint checkpoint = models::open_checkpoint("examples/models/village");
  Model model = Model::load(checkpoint);
  const auto tuned = attach<Stack<At<site::linear, adapters::Pmss<rank>>>>(backend, model, {}, 1);
  const auto& modules = std::get<0>(tuned.parts).modules;  // the seven maps of layer 0, of layer 1, ...
  const auto at = [&](Index l, Index map) -> const auto& {
    return modules[static_cast<std::size_t>(l * maps + map)];
  };

  std::printf("squares kept by %td:   columns    rows    both   both at random\n", rank);
  for (Index map = 0; map < maps; ++map) {
    xt::xtensor<double, 1> kept = xt::zeros<double>({4});
    for (Index l = 0; l < layers; ++l) {
      const auto weight = model.blocks[static_cast<std::size_t>(l)].linear(at(l, map).place.where).weight.view();
      const Skeleton& chosen = at(l, map).module.skeleton();
      const Skeleton drawn =
          AtRandom::select(backend, weight, rank, rank, Random(3, static_cast<std::uint64_t>(l)), "");
      const auto mine = linalg::kept_energy(backend, weight, chosen.columns, chosen.rows);
      const auto random = linalg::kept_energy(backend, weight, drawn.columns, drawn.rows);
      kept += xt::xtensor<double, 1>{mine.columns, mine.rows, mine.both, random.both} * (100.0 / layers);
    }
    const std::string name = at(0, map).place.name;
    std::printf("  %-18s %5.0f %% %5.0f %% %5.0f %% %14.0f %%\n", name.substr(name.rfind('.') + 1).c_str(), kept(0),
                kept(1), kept(2), kept(3));
  }

  const text::Tokenizer tokenizer = models::load_tokenizer(checkpoint).value();
  const auto stories = train::load_dataset("examples/data/village/stories.jsonl", {.tokenizer = &tokenizer}).examples;
  const train::Batch batch = train::batch_at(stories, 0, 64);
  std::vector<std::vector<std::int32_t>> strong;  // the largest numbers of the stream, where it enters each layer
  models::LlamaRun<Model, Attached<float, Stack<>>> run;
  run.forward(backend, model, {}, batch.ragged, batch.tokens, 1, {}, nullptr, [&](Index, View<float> x) {
    const xt::xtensor<double, 1> squares = xt::mean(xt::square(interop::as_xtensor(x)), {0});
    strong.push_back(LargestNorm::largest({squares.begin(), squares.end()}, rank));
  });
  std::printf("chosen by both:\n");
  const auto compare = [&](const char* what, Index width, const auto& lists) {
    Index both = 0;
    for (Index l = 0; l < layers; ++l) {
      const auto [a, b] = lists(l);
      both +=
          std::count_if(a.begin(), a.end(), [&b = b](auto i) { return std::find(b.begin(), b.end(), i) != b.end(); });
    }
    std::printf("  %-48s %3td of %td, by chance %td\n", what, both, layers * rank, layers * rank * rank / width);
  };
  const auto columns = [&](Index l, Index map) { return at(l, map).module.skeleton().columns; };
  const auto rows = [&](Index l, Index map) { return at(l, map).module.skeleton().rows; };
  compare("inputs of query and key", 128, [&](Index l) { return std::pair{columns(l, 0), columns(l, 1)}; });
  compare("inputs of query and value", 128, [&](Index l) { return std::pair{columns(l, 0), columns(l, 2)}; });
  compare("inputs of gate and up", 128, [&](Index l) { return std::pair{columns(l, 4), columns(l, 5)}; });
  compare("units that up writes and down reads", 384, [&](Index l) { return std::pair{rows(l, 5), columns(l, 6)}; });
  compare("what down writes, and the stream's strongest", 128, [&](Index l) {
    return std::pair{rows(l, 6), strong[static_cast<std::size_t>(l + 1)]};
  });
}
