// SPDX-License-Identifier: Apache-2.0
// 09: hidden states and skeletons as xtensor arrays, in place. A direction that tells good things from bad ones is found in
// the hidden state on three kinds of things, and tried on three others; then what a PMSS skeleton keeps of a weight.
#include <graft/backends/gemm/onednn.hpp>
#include <graft/graft.hpp>
#include <graft/interop/xtensor.hpp>

#include <cstdio>
#include <xtensor/xmath.hpp>

using namespace graft;

using Backend = backends::Simd<backends::OneDnn>;
using Model = models::Llama<Uniform<float>, Backend>;

int main() {
  const Backend backend;
  const models::Checkpoint checkpoint = models::open_checkpoint("examples/models/village");
  Model model = Model::load(checkpoint);
  const text::Tokenizer tokenizer = models::load_tokenizer(checkpoint).value();

  const std::array<std::array<std::string, 3>, 6> things = {{{"cake", "tasty", "burnt"},
                                                             {"kite", "sturdy", "broken"},
                                                             {"hat", "warm", "itchy"},
                                                             {"dog", "friendly", "fierce"},
                                                             {"book", "thrilling", "boring"},
                                                             {"tea", "refreshing", "sour"}}};
  train::Batch batch;
  for (const auto& [thing, good, bad] : things) {
    for (const std::string& word : {good, bad}) {
      const auto ids = tokenizer.encode("Mia got a " + thing + ". The " + thing + " was " + word + ". Mia", true);
      batch.push({ids, std::vector(ids.size(), train::ignored), 0}, 0);
    }
  }
  models::LlamaRun<Model, Attached<float, Stack<>>> run;
  run.forward(backend, model, {}, batch.ragged, batch.tokens, 1);
  const auto hidden = interop::as_xtensor(run.hidden());  // (T,D), the model's own memory

  std::vector<std::ptrdiff_t> last;  // the last row of every text: good, bad, good, bad, ...
  for (Index i = 0; i < batch.ragged.sequences(); ++i) {
    last.push_back(batch.ragged.begin(i + 1) - 1);
  }
  const xt::xtensor<float, 2> states = xt::view(hidden, xt::keep(last), xt::all());  // (12,D)
  const xt::xtensor<float, 2> contrast =
      xt::view(states, xt::range(0, 12, 2), xt::all()) - xt::view(states, xt::range(1, 12, 2), xt::all());  // (6,D)
  const xt::xtensor<float, 1> direction = xt::mean(xt::view(contrast, xt::range(0, 3), xt::all()), {0});    // (D)
  const xt::xtensor<float, 1> side = xt::sum(xt::view(contrast, xt::range(3, 6), xt::all()) * direction, {1});
  std::printf("of 3 other kinds, %d have the good thing on the right side\n",
              static_cast<int>(xt::sum(xt::cast<int>(side > 0.0f))()));

  auto tuned = attach<Stack<At<site::query, adapters::Pmss<32>>>>(backend, model, {}, 1);
  for (const auto& grafted : std::get<0>(tuned.parts).modules) {
    const auto weight =
        interop::as_xtensor(model.blocks[static_cast<std::size_t>(grafted.place.layer)].query.weight.view());
    const auto kept = xt::view(weight, xt::all(), xt::keep(grafted.module.skeleton().columns));  // (N,c)
    std::printf("%s: 32 of %zu columns hold %.0f %% of its squares\n", grafted.place.name.c_str(), weight.shape(1),
                100.0 * xt::sum(xt::square(kept))() / xt::sum(xt::square(weight))());
  }
}
