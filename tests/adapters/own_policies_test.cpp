// SPDX-License-Identifier: Apache-2.0
// A selector, a basis and an adapter that graft has never heard of: they compose, train, save and load.
#include <graft/adapters/lora.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/interchange/open_adapter.hpp>
#include <graft/models/adapter_directory.hpp>
#include <graft/models/count_trainable.hpp>
#include <graft/models/fingerprint.hpp>
#include <graft/models/open_checkpoint.hpp>
#include <graft/optimizers/adamw.hpp>
#include <graft/schedules/constant.hpp>
#include <graft/train/trainer.hpp>

#include "../examples/06_your_own_adapter/adapter.hpp"
#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/paths.hpp"

using namespace graft;

namespace {

using example::OutputGain;

/// A selector: every second column and row, whatever they hold.
struct EverySecond {
  template <class B, class T>
  static Skeleton select(const B&, View<const T>, Index c, Index r, Random, const std::string&) {
    Skeleton skeleton;
    for (Index i = 0; i < c; ++i) {
      skeleton.columns.push_back(static_cast<std::int32_t>(2 * i));
    }
    for (Index i = 0; i < r; ++i) {
      skeleton.rows.push_back(static_cast<std::int32_t>(2 * i + 1));
    }
    return skeleton;
  }
};

/// A basis: rows of length one, not orthogonal to each other.
struct UnitRows {
  static constexpr std::string_view name = "unit-rows";

  template <scalar T>
  struct Chart : adapters::policies::detail::PlainChart<T> {
    [[nodiscard]] Parameter<T> start(Index r, Index d, Random random) {
      Parameter<T> trained(r, d, false);
      adapters::policies::KaimingUniform::fill(trained.value, random);
      retract(backends::Reference{}, trained);
      return trained;
    }
    template <class B>
    void retract(const B& be, Parameter<T>& trained) {
      for (Index i = 0; i < trained.value.rows; ++i) {
        const View<T> row = trained.value.middle_rows(i, 1);
        be.scale(T(static_cast<real_type<T>>(1 / std::sqrt(be.squared_norm(row)))), row);
      }
    }
  };
};

using OwnSkeletons = adapters::Pmss<2, EverySecond>;
using OwnEdits = adapters::Subspace<2, UnitRows>;
using Own =
    Stack<At<site::linear, OwnSkeletons>, At<site::query | site::down, OutputGain>, At<site::residual, OwnEdits>>;

}  // namespace

TEST_CASE("policies and an adapter from outside keep the adapter contract together") {
  const Index pmss = 2 * 7 * 2 * 2;
  const Index gains = 2 * (8 + 7);
  const Index edits = 2 * (2 * 7 * 2 + 2);
  Own own;
  std::get<2>(own.parts).placement.positions = ends(2, 2);
  test::adapter_contract(own, {.trained = pmss + gains + edits});
}

TEST_CASE("policies and an adapter from outside train, and come back from a file as they were, ready to train on") {
  using Model = models::Llama<Uniform<float>, backends::Reference>;
  const backends::Reference be;
  const auto checkpoint = models::open_checkpoint(test::golden("models/llama-gqa"));
  const models::Fingerprint base = models::fingerprint_of(checkpoint);
  Model model = Model::load(checkpoint);
  auto attached = attach(be, model, Own{}, 3);
  const std::vector<train::Batch> data = {test::tiny_batch(model.config, {{9, 4}, {12, 6}}, 5)};
  const auto steps = [&](auto& some, int count) {
    train::Trainer trainer(be, model, some, optimizers::AdamW{}, schedules::Constant{}, {.rate = 5e-3});
    std::vector<double> losses;
    for (int i = 0; i < count; ++i) {
      losses.push_back(trainer.step(data).loss);
    }
    return losses;
  };
  const auto losses = steps(attached, 12);
  CHECK(losses.back() < 0.9 * losses.front());

  const test::TempFolder folder;
  models::save_adapter(folder.path("adapter"), attached, base, "tiny");
  auto loaded = models::load_adapter<Own>(be, model, base, interchange::open_adapter(folder.path("adapter")));
  std::vector<std::pair<std::string, View<float>>> trained;
  attached.for_each_parameter(
      [&](const std::string& name, Parameter<float>& p) { trained.emplace_back(name, p.value); });
  std::size_t i = 0;
  loaded.for_each_parameter([&](const std::string& name, Parameter<float>& p) {
    CAPTURE(name);
    CHECK(name == trained[i].first);
    CHECK(test::identical(p.value, trained[i++].second));
  });
  CHECK(i == trained.size());
  CHECK(steps(loaded, 3) == steps(attached, 3));
}
