// SPDX-License-Identifier: Apache-2.0
// Batched generation in which every sequence goes through another adapter of the bank, or through none.
#include <graft/adapters/lora.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/models/attach.hpp>
#include <graft/train/generate.hpp>

#include "support/catch.hpp"
#include "support/tiny_llama.hpp"

using namespace graft;

TEST_CASE("batched generation where each row uses another adapter gives what one by one gives") {
  using Model = models::Llama<Uniform<double>, backends::Reference>;
  using Tuned = Attached<double, Stack<At<site::linear, adapters::Lora<2>>,
                                       At<site::residual, adapters::LoReft<2, adapters::policies::RandomStart>>>>;
  using Ids = std::vector<std::int32_t>;
  const backends::Reference be;
  Model model = test::tiny_llama<Uniform<double>, backends::Reference>(test::small_config(), 4);
  const auto tuned = [&](std::uint64_t seed, Positions positions) {
    Tuned::StackType stack;
    std::get<1>(stack.parts).placement.positions = positions;
    Tuned attached = attach(be, model, stack, seed);
    attached.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
      p.value(0, 0) += name.find("lora_B") != std::string::npos ? 0.3 * static_cast<double>(seed) : 0;
    });
    return attached;
  };
  Tuned one = tuned(1, ends(1, 1)), two = tuned(5, every_position);
  Tuned* const bank[] = {&one, &two};
  const std::vector<Ids> prompts = {{3, 9, 1, 4}, {3, 9, 1, 4}, {3, 9, 1, 4}, {7, 2}};
  const std::vector<Index> adapter = {1, 0, 2, 1};
  constexpr Index most = 9;

  std::vector<Ids> together(prompts.size());
  std::vector<Ids> pending = prompts;
  std::vector<Index> position(prompts.size());
  models::LlamaRun<Model, Tuned> run;
  models::KeyStore<double> store(model.config, std::ssize(prompts), 16);
  Tensor<double> logits(std::ssize(prompts), model.config.vocab);
  for (Index step = 0; step < most; ++step) {
    Ragged batch;
    Ids tokens;
    std::vector<Index> last;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      batch.push(std::ssize(pending[i]), std::ssize(prompts[i]), position[i], adapter[i]);
      tokens.insert(tokens.end(), pending[i].begin(), pending[i].end());
      position[i] += std::ssize(pending[i]);
      last.push_back(batch.tokens() - 1);
    }
    run.forward(be, model, bank, batch, tokens, std::ssize(last), {}, &store);
    run.logits(be, model, last, logits.view());
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      const std::span<const double> row(logits.view().row(static_cast<Index>(i)),
                                        static_cast<std::size_t>(logits.cols()));
      together[i].push_back(train::sample(row, {}, step));
      pending[i] = {together[i].back()};
    }
  }
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    Tuned* const alone = adapter[i] > 0 ? bank[adapter[i] - 1] : nullptr;
    CHECK(together[i] ==
          train::generate(be, model, alone, prompts[i], {.most = most}, [](std::int32_t) { return true; }));
  }
  CHECK((together[0] != together[1] && together[1] != together[2] && together[0] != together[2]));
}
