// SPDX-License-Identifier: Apache-2.0
// Batched generation in which every sequence goes through another adapter of the bank, or through none.
#include <graft/adapters/lora.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/models/attach.hpp>
#include <graft/train/generate.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
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

  const auto go_on = [](auto...) { return true; };
  const std::vector<Ids> together =
      train::generate_batch(be, model, std::span<Tuned* const>(bank), std::span<const Index>(adapter),
                            std::span<const Ids>(prompts), {.most = most}, go_on);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    Tuned* const alone = adapter[i] > 0 ? bank[adapter[i] - 1] : nullptr;
    CHECK(together[i] == train::generate(be, model, alone, prompts[i], {.most = most}, go_on));
  }
  CHECK((together[0] != together[1] && together[1] != together[2] && together[0] != together[2]));
  for (const std::vector<Index>& wrong : {std::vector<Index>{1, 0, 2}, {1, 0, 3, 1}, {1, 0, -1, 1}}) {
    CHECK(test::error_of([&] {
            (void)train::generate_batch(be, model, std::span<Tuned* const>(bank), std::span<const Index>(wrong),
                                        std::span<const Ids>(prompts), {.most = most}, go_on);
          }).id() == "shape.149");
  }
}
