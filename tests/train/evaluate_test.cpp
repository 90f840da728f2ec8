// SPDX-License-Identifier: Apache-2.0
#include <graft/train/evaluate.hpp>

#include <graft/adapters/inserted.hpp>
#include <graft/adapters/lora.hpp>
#include <graft/adapters/subspace.hpp>

#include "support/catch.hpp"
#include "support/golden_model.hpp"

using namespace graft;

namespace {

using Model = models::Llama<Uniform<double>, backends::Reference>;
using TunedLora = Attached<double, Stack<At<site::linear, adapters::Lora<2>>>>;

/// The golden batch of llama-gqa as examples, and its logits.
struct Golden {
  backends::Reference be;
  Model model = Model::load(models::open_checkpoint(test::golden("models/llama-gqa")));
  io::Safetensors io = io::Safetensors::open(test::golden("models/llama-gqa/io.safetensors"));
  Tensor<double> logits = test::golden_tensor(io, "logits");
  std::vector<train::Example> examples;

  Golden() {
    const auto ids = io::read_integers(io.at("input_ids"));
    const auto labels = io::read_integers(io.at("labels"));
    const auto offsets = io::read_integers(io.at("offsets"));
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
      train::Example& example = examples.emplace_back();
      example.ids.assign(ids.begin() + offsets[i], ids.begin() + offsets[i + 1]);
      example.labels.assign(labels.begin() + offsets[i], labels.begin() + offsets[i + 1]);
    }
  }

  /// Labelled tokens whose golden logits are largest at the label.
  [[nodiscard]] Index right() const {
    Index count = 0;
    Index row = 0;
    for (const train::Example& example : examples) {
      for (std::size_t t = 0; t < example.ids.size(); ++t, ++row) {
        const std::int32_t label = t + 1 < example.ids.size() ? example.labels[t + 1] : train::ignored;
        const double* const begin = logits.data() + row * logits.cols();
        count += label != train::ignored && std::max_element(begin, begin + logits.cols()) - begin == label ? 1 : 0;
      }
    }
    return count;
  }
};

}  // namespace

TEST_CASE("loss, tokens and accuracy are those of the golden logits, for any batch size") {
  const Golden golden;
  for (const Index batch_size : {Index{1}, Index{2}, Index{100}}) {
    const train::Evaluation found =
        train::evaluate<Model, TunedLora>(golden.be, golden.model, nullptr, golden.examples, batch_size);
    CHECK(found.loss() == Approx(test::golden_tensor(golden.io, "loss")(0, 0)).epsilon(1e-12));
    CHECK(found.perplexity() == Approx(std::exp(found.loss())));
    CHECK(found.tokens == 42);
    CHECK(found.right == golden.right());
    CHECK(found.accuracy() == Approx(static_cast<double>(golden.right()) / 42));
  }
}

TEST_CASE("a visitor sees the logits of every token in the order of the examples, labelled or not") {
  const Golden golden;
  const double bare = train::evaluate<Model, TunedLora>(golden.be, golden.model, nullptr, golden.examples, 2).nll;
  Index seen = 0;
  double error = 0;
  const auto visit = [&](View<const double> rows) {
    error = std::max(error, test::relative_error(rows, golden.logits.view().middle_rows(seen, rows.rows)));
    seen += rows.rows;
  };
  const train::Evaluation found =
      train::evaluate<Model, TunedLora>(golden.be, golden.model, nullptr, golden.examples, 2, visit);
  CHECK(seen == golden.logits.rows());
  CHECK(error < 1e-11);
  CHECK(found.nll == Approx(bare).epsilon(1e-12));
  CHECK(found.tokens == 42);
}

TEST_CASE("an adapter changes what is evaluated only where it is given") {
  Golden golden;
  auto attached = attach(golden.be, golden.model, TunedLora::StackType{}, 3);
  const double bare = train::evaluate<Model, TunedLora>(golden.be, golden.model, nullptr, golden.examples, 3).nll;
  CHECK(train::evaluate(golden.be, golden.model, &attached, golden.examples, 3).nll == Approx(bare).epsilon(1e-13));
  attached.for_each_parameter([](const std::string&, Parameter<double>& p) { p.value(0, 0) += 0.5; });
  CHECK(std::abs(train::evaluate(golden.be, golden.model, &attached, golden.examples, 3).nll - bare) > 1e-3);
  CHECK(train::evaluate<Model, TunedLora>(golden.be, golden.model, nullptr, golden.examples, 3).nll == bare);
}

TEST_CASE("each example has sums of its own, whatever batch it stood in") {
  const Golden golden;
  const auto each = train::evaluate_each<Model, TunedLora>(golden.be, golden.model, nullptr, golden.examples, 2);
  REQUIRE(each.size() == golden.examples.size());
  for (std::size_t i = 0; i < each.size(); ++i) {
    const auto alone = std::span(golden.examples).subspan(i, 1);
    const train::Evaluation expected = train::evaluate<Model, TunedLora>(golden.be, golden.model, nullptr, alone, 1);
    CHECK(each[i].tokens == expected.tokens);
    CHECK(each[i].right == expected.right);
    CHECK(each[i].nll == Approx(expected.nll).epsilon(1e-12));
  }
}

TEST_CASE("answers behind one prompt, which is read once for all of them, have the sums that each has alone") {
  using RandomLoReft = adapters::LoReft<2, adapters::policies::RandomStart>;
  using Tuned = Attached<double, Stack<At<site::linear, adapters::Lora<2>>, At<site::residual, RandomLoReft>,
                                       At<adapters::PromptTuning::sites, adapters::PromptTuning>>>;
  Golden golden;
  Tuned::StackType stack;
  std::get<1>(stack.parts).placement.positions = ends(1, 2);
  std::get<2>(stack.parts).adapter.tokens = 3;
  Tuned attached = attach(golden.be, golden.model, stack, 5);
  attached.for_each_parameter([](const std::string& name, Parameter<double>& p) {
    p.value(0, 0) += name.find("lora_B") != std::string::npos ? 0.7 : 0;
  });
  constexpr std::int32_t x = train::ignored;
  const std::vector<train::Example> examples = {{{7, 30, 101, 64, 5}, {x, x, x, x, 5}, 4},
                                                {{7, 30, 101, 64, 9, 2}, {x, x, x, x, 9, 2}, 4},
                                                {{7, 30, 101, 64, 9}, {x, x, x, x, x}, 4},
                                                {{8, 30, 101, 64, 9}, {x, x, x, x, 9}, 4},
                                                {{3, 5, 6, 7, 8}, {x, 5, 6, 7, 8}, 1},
                                                {{3, 9, 6, 7, 8}, {x, 9, 6, 7, 8}, 1},
                                                {{20, 21, 22, 23}, {x, x, x, x}, 4},
                                                {{20, 21, 22, 23, 4}, {x, x, x, x, 4}, 4},
                                                {{20, 21, 22, 23, 4, 7}, {x, x, x, x, 4, 7}, 4},
                                                {{20, 21, 22, 23, 6}, {x, x, x, x, 6}, 4, 1}};
  for (const Index batch_size : {Index{1}, Index{2}, Index{100}}) {
    for (Tuned* const adapter : {&attached, static_cast<Tuned*>(nullptr)}) {
      const auto together = train::evaluate_each(golden.be, golden.model, adapter, examples, batch_size);
      for (std::size_t i = 0; i < examples.size(); ++i) {
        CAPTURE(batch_size, i);
        const auto alone = std::span(examples).subspan(i, 1);
        const train::Evaluation expected = train::evaluate(golden.be, golden.model, adapter, alone, 1);
        CHECK(together[i].tokens == expected.tokens);
        CHECK(together[i].right == expected.right);
        CHECK(together[i].nll == Approx(expected.nll).epsilon(1e-12));
      }
    }
  }
  CHECK(train::shares_prompt(examples[0], examples[1]));
  CHECK_FALSE(train::shares_prompt(examples[2], examples[3]));  // another prompt
  CHECK_FALSE(train::shares_prompt(examples[4], examples[5]));  // nearly all of it is answer
  CHECK_FALSE(train::shares_prompt(examples[8], examples[9]));  // the prompt is edited by another subspace
}

TEST_CASE("examples without a label count nothing") {
  const Golden golden;
  const std::vector<train::Example> silent = {{{5, 6, 7}, {train::ignored, train::ignored, train::ignored}, 3}};
  const train::Evaluation found = train::evaluate<Model, TunedLora>(golden.be, golden.model, nullptr, silent, 1);
  CHECK(found.tokens == 0);
  CHECK(found.loss() == 0);
  CHECK(found.accuracy() == 0);
}
