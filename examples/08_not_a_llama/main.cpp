// SPDX-License-Identifier: Apache-2.0
// 08: a network that is no LLaMA learns to tell drawings in even light, then is moved to drawings under a slanted lamp in
// four ways: by its head alone, by all its weights, by PMSS, by LoReFT.
#include <graft/optimizers/adamw.hpp>

#include <algorithm>  // max_element
#include <cstdio>

#include "network.hpp"

using namespace example;
using optimizers::AdamW;

/// Trains what is attached, on batches of the examples in turn.
void train(const Backend& be, const Network& net, Tuned& tuned, const Drawings& examples, double rate) {
  constexpr Index steps = 300, batch = 96;
  const AdamW adamw;
  std::vector<AdamW::State<C>> states;
  tuned.for_each_parameter([&](const std::string&, Parameter<C>& p) { states.push_back(adamw.start(p)); });
  Run run;
  Tensor<C> nll(batch, 1);
  for (Index step = 1; step <= steps; ++step) {
    const Index first = step * batch % examples.pixels.rows();
    const std::int32_t* const labels = examples.kinds.data() + first;
    const View<C> logits = run.forward(be, net, tuned, 1, examples.pixels.view().middle_rows(first, batch), true);
    be.cross_entropy(logits, std::span(labels, labels + batch), 1.0 / batch, nll.view());
    tuned.for_each_parameter([&](const std::string&, Parameter<C>& p) { be.fill(0, p.gradient.view()); });
    run.backward(be, net);
    auto state = states.begin();
    tuned.for_each_parameter(
        [&](const std::string&, Parameter<C>& p) { adamw.step(be, p, *state++, rate, C(1), step); });
    tuned.after_step(be);  // LoReFT's basis becomes orthonormal again
  }
}

/// Percent of the drawings whose kind is told rightly, rounded down to a multiple of 5.
Index accuracy(const Backend& be, const Network& net, Tuned& tuned, Index adapter, const Drawings& drawings) {
  Run run;
  const View<C> logits = run.forward(be, net, tuned, adapter, drawings.pixels.view(), false);
  Index right = 0;
  for (Index t = 0; t < logits.rows; ++t) {
    const C* const row = logits.row(t);
    right += std::max_element(row, row + logits.cols) - row == drawings.kinds(0, t) ? 1 : 0;
  }
  return 20 * right / logits.rows * 5;
}

int main() {
  constexpr double lamp = 5;  // times the brightness of ink
  const Random random(83);
  const Drawings even = draw(1536, 0, random.child(1)), even_heldout = draw(1800, 0, random.child(2));
  const Drawings lit = draw(288, lamp, random.child(3)), lit_heldout = draw(1800, lamp, random.child(4));

  const Backend backend;
  Network trunk(random.child(5));
  Tuned whole = attach(backend, trunk, Full{}, at_map, {0, 1, 2});
  train(backend, trunk, whole, even, 3e-3);
  std::printf("the trunk: %td %% in even light, %td %% under the lamp\n\n",
              accuracy(backend, trunk, whole, 1, even_heldout), accuracy(backend, trunk, whole, 1, lit_heldout));

  std::printf("moved by      numbers trained   under the lamp   even light, taken off\n");
  const auto move_by = [&](const char* name, const auto& recipe, Sites at, std::initializer_list<Index> layers,
                           double rate) {
    Network net = trunk;
    Tuned tuned = attach(backend, net, recipe, at, layers);
    train(backend, net, tuned, lit, rate);
    std::printf("%-12s %16td %14td %% %21td %%\n", name, parameter_count(tuned),
                accuracy(backend, net, tuned, 1, lit_heldout), accuracy(backend, net, tuned, 0, even_heldout));
  };
  move_by("head only", Full{}, at_map, {2}, 3e-2);
  move_by("all weights", Full{}, at_map, {0, 1, 2}, 3e-3);
  move_by("PMSS", Pmss{.rank = 12}, at_map, {0, 1}, 1e-2);
  move_by("LoReFT", LoReft{.rank = 4}, at_rows, {0, 1}, 1e-2);
}
