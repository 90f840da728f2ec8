// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/dora.hpp>

#include <graft/train/generate.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;

namespace {
using OnDora = test::OnLinear<adapters::Dora<>>;
}  // namespace

TEST_CASE("DoRA keeps the adapter contract") {
  // LoRA's numbers at rank 2 (lora_test.cpp), and one more for every output
  const Index trained = 2 * (2 * (2 * (7 + 8) + 2 * (4 + 7) + 3 * (5 + 7)) + 8 + 4 + 4 + 7 + 5 + 5 + 7);
  test::adapter_contract(test::only(OnDora{{.rank = 2, .alpha = 3}}), {.trained = trained});
}

TEST_CASE("the golden PEFT DoRAs have PEFT's logits, gradients and merged weights in double") {
  test::check_peft_case(test::only(OnDora{{.rank = 4, .alpha = 8}, {.sites = site::query | site::value | site::down}}),
                        "dora");
  test::check_peft_case(test::only(OnDora{{.rank = 3, .alpha = 8}, {.sites = site::query | site::value}}),
                        "dora-qwen2");
}

TEST_CASE("DoRA's magnitude starts at the row norms of the weight, over more rows than a panel has") {
  const backends::Reference be;
  const Index outputs = 37;
  Tensor<double> rows = test::normal<double>(outputs, 6, 1);
  const DenseWeight<double> weight(rows.clone());
  const Place place{0, site::query, outputs, 6, "q"};
  adapters::Dora<>::Module<double> module({.rank = 2}, be, weight, place, Random(1));
  module.for_each_parameter([&](std::string_view name, Parameter<double>& p) {
    if (name == "lora_magnitude_vector") {
      for (Index i = 0; i < outputs; ++i) {
        CHECK(p.value(0, i) == Approx(std::sqrt(be.squared_norm(rows.view().middle_rows(i, 1)))).epsilon(1e-15));
      }
    }
  });
}

TEST_CASE("a row of zeros has no direction: DoRA leaves it, and every number stays finite") {
  const backends::Reference be;
  const DenseWeight<double> weight(Tensor<double>(3, 4));
  const Place place{0, site::query, 3, 4, "q"};
  const adapters::Dora<>::Module<double> module({.rank = 2}, be, weight, place, Random(1));
  Tensor<double> merged(3, 4);
  module.merge(be, weight.view(), merged.view());
  CHECK(test::largest(merged.view()) == 0);
}

TEST_CASE("a text that is written on asks DoRA for its norms once, and a new one asks for those of its parameters") {
  using test::Complex;
  using Bench = test::Bench<Complex, backends::Reference, test::EveryMethod>;
  Bench bench(test::small_config(), test::only(OnDora{{.rank = 2, .alpha = 3}}), false);
  models::KeyStore<Complex> store(bench.model.config, 1, 3);
  auto* member = &bench.attached;
  const std::vector<std::int32_t> tokens = {3, 5, 7};
  models::LlamaRun<Bench::Model, Bench::AttachedType> run;
  const auto pass = [&](Index start, Index count, bool continues) {
    Ragged part;
    part.push(count, 1, start, 1);
    const auto some = std::span(tokens).subspan(static_cast<std::size_t>(start), static_cast<std::size_t>(count));
    run.forward(bench.be, bench.model, std::span(&member, 1), part, some, 1, {.continues = continues}, &store);
    return Bench::copied(run.hidden());
  };
  bench.disturb(2);
  const Tensor<Complex> whole = pass(0, 3, false);
  (void)pass(0, 2, false);
  const Tensor<Complex> last = pass(2, 1, true);
  CHECK(test::relative_error(last.view(), whole.view().middle_rows(2, 1)) < 1e-13);
  bench.disturb(3);
  (void)pass(0, 2, false);
  const Tensor<Complex> now = pass(2, 1, true);
  const Tensor<Complex> moved = pass(0, 3, false);
  CHECK(test::relative_error(now.view(), moved.view().middle_rows(2, 1)) < 1e-13);
  CHECK(test::relative_error(now.view(), last.view()) > 1e-3);
  // what the contract forbids shows that the norms were kept: the parameters move within a text
  bench.disturb(4);
  const Tensor<Complex> stale = pass(2, 1, true);
  const Tensor<Complex> fresh = pass(2, 1, false);
  CHECK(test::relative_error(stale.view(), fresh.view()) > 1e-3);
}
