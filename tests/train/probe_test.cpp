// SPDX-License-Identifier: Apache-2.0
#include <graft/train/probe.hpp>

#include <graft/adapters/inserted.hpp>
#include <graft/adapters/lora.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/models/attach.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/tiny_llama.hpp"

using namespace graft;

namespace {

using ProbeModel = models::Llama<Uniform<double>, backends::Reference>;
using ProbeStack = Stack<At<site::linear, adapters::Lora<>>, At<site::residual, adapters::LobiReft<>>,
                         At<site::embedded, adapters::PromptTuning>, At<site::linear, adapters::Full>>;
using Probed = Attached<double, ProbeStack>;
using Prompts = std::vector<std::vector<std::int32_t>>;

const backends::Reference by_loops;
const Prompts prompts = {{1, 2, 3, 4, 5}, {6, 7, 8}};

ProbeModel small_model() {
  return test::tiny_llama<Uniform<double>, backends::Reference>(test::small_config(), 4);
}

Placement placed(Index layer, Sites sites, const Positions& positions) {
  Placement placement;
  placement.layers = only_layers({layer});
  placement.sites = sites;
  placement.positions = positions;
  return placement;
}

/// One part of the stack at some layers; parameters whose names hold `moved` are.
template <std::size_t Part>
Probed attached_to(ProbeModel& model, const Placement& placement, const std::string& moved) {
  ProbeStack stack;
  std::apply([](auto&... at) { ((at.placement.sites = site::none), ...); }, stack.parts);
  std::get<Part>(stack.parts).placement = placement;
  Probed attached = attach(by_loops, model, stack, 5);
  attached.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
    const bool is_moved = !moved.empty() && name.find(moved) != std::string::npos;
    for (Index i = 0; is_moved && i < p.size(); ++i) {
      p.value(i / p.value.cols, i % p.value.cols) += 0.1 * static_cast<double>(i % 5 + 1);
    }
  });
  return attached;
}

/// |h| of every token behind block `l`, without any adapter.
std::vector<double> sizes_of_stream(const ProbeModel& model, const std::vector<std::int32_t>& prompt, Index behind) {
  std::vector<double> sizes;
  Ragged batch;
  batch.push(std::ssize(prompt), 1, 0, 0);
  models::LlamaRun<ProbeModel, Probed> run;
  run.forward(by_loops, model, {}, batch, prompt, 1, {}, nullptr, [&](Index l, View<double> x) {
    for (Index t = 0; l == behind + 1 && t < x.rows; ++t) {
      sizes.push_back(std::sqrt(by_loops.squared_norm(x.middle_rows(t, 1))));
    }
  });
  return sizes;
}

}  // namespace

TEST_CASE("an edit of the residual stream has the size that its formula says, at its layer and positions only") {
  ProbeModel model = small_model();
  const auto attached_b = [&] { return attached_to<1>(model, placed(1, site::residual, ends(1, 1)), ".b"); };
  Probed attached = attached_b();
  double b = 0;  // h + R'b with R orthonormal: |d| = |b|
  attached.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
    b = name.ends_with(".b") ? std::sqrt(by_loops.squared_norm(p.value)) : b;
  });
  REQUIRE(b > 0.1);
  const auto found = train::probe(by_loops, model, attached, prompts, 4);
  REQUIRE(found.size() == 3);
  const auto one = sizes_of_stream(model, prompts[0], 1), two = sizes_of_stream(model, prompts[1], 1);
  constexpr double tolerance = 1e-12;
  CHECK(std::abs(found[1].first[0] - (b / one[0] + b / two[0]) / 2) < tolerance);
  CHECK(std::abs(found[1].last[0] - (b / one[4] + b / two[2]) / 2) < tolerance);
  CHECK(std::abs(found[1].mean - (b / one[0] + b / two[0] + b / one[4] + b / two[2]) / 8) < tolerance);
  CHECK(std::abs(found[1].effective_rank - 1) < 1e-6);  // every edit is the same
  REQUIRE((found[1].first.size() == 4 && found[1].last.size() == 4));
  CHECK((found[1].first[1] == 0 && found[1].first[3] == 0 && found[1].last[1] == 0));
  for (const Index l : {0, 2}) {
    const train::BlockEdits& none = found[static_cast<std::size_t>(l)];
    CHECK((none.mean == 0 && none.effective_rank == 0));
  }
}

TEST_CASE("what a block changes does not count what the blocks before it have changed") {
  ProbeModel model = small_model();
  Probed attached = attached_to<0>(model, placed(0, site::output | site::down, every_position), "lora_B");
  const auto found = train::probe(by_loops, model, attached, prompts);
  CHECK(found[0].mean > 0.01);
  CHECK((found[0].effective_rank > 1 && found[0].effective_rank <= 8));
  CHECK((found[1].mean == 0 && found[2].mean == 0));
  CHECK(found[0].first.size() == 5);  // no prompt is longer
}

TEST_CASE("nothing is probed without prompts, with rows of an adapter's own, or with trained weights") {
  ProbeModel model = small_model();
  Probed lora = attached_to<0>(model, {}, "");
  Probed inserts = attached_to<2>(model, {}, "");
  Probed full = attached_to<3>(model, {}, "");
  for (auto* const attached : {&lora, &inserts, &full}) {
    const Error error = test::error_of(
        [&] { (void)train::probe(by_loops, model, *attached, attached == &lora ? Prompts{} : prompts); });
    CHECK(error.id() == "train.500");
  }
}
