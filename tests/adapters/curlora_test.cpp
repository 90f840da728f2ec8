// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/curlora.hpp>

#include <set>

#include <graft/models/count_trainable.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;
using DrawnCores = test::OnLinear<adapters::CurLora<>>;

TEST_CASE("CURLoRA keeps the adapter contract, also where a column or row was drawn twice") {
  test::adapter_contract(test::only(DrawnCores{{.rank = 4}}), {.trained = 2 * 7 * 4 * 4});
  test::Bench<double, backends::Reference, test::EveryMethod> bench(test::small_config(),
                                                                    test::only(DrawnCores{{.rank = 4}}), false);
  Index repeats = 0;
  bench.attached.for_each_module([&](const auto& recipe, const Placement&, auto& grafted) {
    if constexpr (std::same_as<std::remove_cvref_t<decltype(recipe)>, adapters::CurLora<>>) {
      const std::vector<std::int32_t>& list = grafted.module.skeleton().columns;
      repeats += std::ssize(list) - std::ssize(std::set<std::int32_t>(list.begin(), list.end()));
    }
  });
  CHECK(repeats > 0);
}

TEST_CASE("CURLoRA's alpha is 1 unless given, and is not divided by the rank") {
  CHECK(adapters::CurLora<>{.rank = 16}.scale() == 1);
  CHECK(adapters::CurLora<16>{.alpha = 3}.scale() == 3);
}

TEST_CASE("CURLoRA of rank 16 on the queries, keys and values of Mistral-7B trains 24,576 numbers") {
  models::LlamaConfig mistral;
  mistral.dim = 4096;
  mistral.ffn = 14336;
  mistral.layers = 32;
  mistral.heads = 32;
  mistral.kv_heads = 8;
  mistral.head_dim = 128;
  mistral.vocab = 32000;
  const Stack drawn{DrawnCores{{.rank = 16}, {.sites = site::query | site::key | site::value}}};
  CHECK(models::count_trainable(mistral, drawn) == 24'576);
}

TEST_CASE("the golden CURLoRA has its probabilities, and with its draws the golden logits, loss and gradients",
          "[golden]") {
  const std::string folder = test::golden("adapters/curlora");
  const auto file = io::Safetensors::open(folder + "/adapter.safetensors");
  test::GoldenBase base("llama-gqa");
  const auto list = [&](const std::string& key) {
    const auto numbers = io::read_integers(file.at(key));
    return std::vector<std::int32_t>(numbers.begin(), numbers.end());
  };
  const auto make = [&](const auto&, auto& model, auto& grafted, Random) {
    using Grafted = std::remove_cvref_t<decltype(grafted)>;
    using Module = decltype(Grafted::module);
    const std::string& name = grafted.place.name;
    const View<const double> weight =
        model.blocks[static_cast<std::size_t>(grafted.place.layer)].linear(grafted.place.where).weight.view();
    const auto check = [&](const std::vector<double>& squared_norms, const std::string& key) {
      const std::vector<double> q = adapters::policies::LowNorm::probabilities(squared_norms);
      CHECK(test::relative_error(View<const double>(q.data(), 1, std::ssize(q)),
                                 test::golden_tensor(file, name + key).view()) < 1e-14);
    };
    check(linalg::ColumnItems<double>{weight}.squared_norms(), ".column_probability");
    check(linalg::RowItems<double>{weight}.squared_norms(), ".row_probability");
    grafted.module = Module(grafted.recipe, Skeleton{list(name + ".J"), list(name + ".K")}, grafted.place);
    grafted.module.for_each_parameter(
        [&](const char*, Parameter<double>& u) { io::decode_rows(file.at(name + ".U"), 0, u.value); });
  };
  const Stack drawn{DrawnCores{{.rank = 5}, {.sites = site::query | site::key | site::value}}};
  auto attached = attach(test::reference, base.model, drawn, 1, make);
  CHECK(parameter_count(attached) == 225);
  const auto errors =
      test::golden_errors(base.model, attached, io::Safetensors::open(folder + "/io.safetensors"),
                          [](const auto& grafted, const char* key) { return grafted.place.name + "." + key; });
  CHECK(errors.logits < 1e-11);
  CHECK(errors.loss < 1e-12);
  CHECK(errors.gradients < 1e-10);
}
