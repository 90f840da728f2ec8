// SPDX-License-Identifier: Apache-2.0
#include <graft/models/load_adapter.hpp>

#include <graft/adapters/pmss.hpp>
#include <graft/adapters/subspace.hpp>

#include "support/catch.hpp"
#include "support/golden_adapter.hpp"
#include "support/tensors.hpp"

using namespace graft;

namespace {

using Skeletons = Stack<At<site::linear, adapters::Pmss<>>>;
using LoReftStack = Stack<At<site::residual, adapters::LoReft<>>>;

/// Attaches the stack, saves it, lets `change` break the folder, and gives the error of loading it.
template <class StackType, class Change>
Error broken(const StackType& stack, const Change& change) {
  test::GoldenBase base("llama-gqa");
  auto attached = attach(test::reference, base.model, stack, 7);
  const test::TempFolder folder;
  models::save_adapter(folder.path("whole"), attached, base.fingerprint, "tiny");
  test::AdapterDraft draft(folder.path("whole"));
  change(draft);
  draft.write(folder.path("broken"));
  return test::error_of([&] { (void)base.load<StackType>(folder.path("broken")); });
}

const Skeletons pmss{
    At<site::linear, adapters::Pmss<>>{{.columns = 5, .rows = 8}, {.sites = site::query | site::down}}};
const LoReftStack loreft{At<site::residual, adapters::LoReft<>>{{.rank = 3}, {}}};
const std::int32_t repeated[] = {0, 1, 2, 3, 3};
const std::int32_t outside[] = {0, 1, 2, 3, 48};
const std::int64_t wide[] = {0, 1, 2, 3, std::int64_t{1} << 40};
const float infinite[] = {0, std::numeric_limits<float>::infinity(), 0};
const std::string q0 = "model.layers.0.self_attn.q_proj.pmss.";

}  // namespace

TEST_CASE("golden skeletons are selected again, index by index, and give the golden logits, loss and gradients") {
  const auto check = [](const std::string& name, auto recipe) {
    INFO(name);
    const std::string folder = test::golden("adapters/" + name);
    const auto file = io::Safetensors::open(folder + "/pmss.safetensors");
    const io::Json facts = io::parse_json(test::slurp(folder + "/io.json"), folder);
    recipe.columns = facts["c"];
    recipe.rows = facts["r"];
    recipe.alpha = facts["alpha"];
    Placement placement;
    placement.sites = site::none;
    for (Sites one = 1; one <= site::down; one <<= 1) {
      placement.sites |= file.find(module_path(0, one) + ".U") != nullptr ? one : site::none;
    }
    using Selected = Stack<At<site::linear, decltype(recipe)>>;
    test::GoldenBase base("llama-gqa");
    auto attached =
        attach(test::reference, base.model, Selected{At<site::linear, decltype(recipe)>{recipe, placement}}, 1);
    CHECK(parameter_count(attached) == facts["trainable"].get<Index>());
    for (auto& grafted : std::get<0>(attached.parts).modules) {
      INFO(grafted.place.name);
      grafted.module.for_each_index([&](const char* list, const std::vector<std::int32_t>& chosen) {
        const auto expected = io::read_integers(file.at(grafted.place.name + "." + list));
        CHECK(std::equal(chosen.begin(), chosen.end(), expected.begin(), expected.end()));
      });
      grafted.module.for_each_parameter(
          [&](const char*, Parameter<double>& u) { io::decode_rows(file.at(grafted.place.name + ".U"), 0, u.value); });
    }
    const test::TempFolder saved;
    models::save_adapter(saved.path("pmss"), attached, base.fingerprint, "tiny-llama-gqa");
    auto loaded = base.load<Skeletons>(saved.path("pmss"));  // whatever selected J and K, they are in the file
    const auto errors =
        test::golden_errors(base.model, loaded, io::Safetensors::open(folder + "/io.safetensors"),
                            [](const auto& grafted, const char* key) { return grafted.place.name + "." + key; });
    CHECK(errors.logits < 1e-11);
    CHECK(errors.loss < 1e-12);
    CHECK(errors.gradients < 1e-10);
  };
  check("pmss", adapters::Pmss<>{});
  check("pmss-rect", adapters::Pmss<>{});
  check("pmss-two-stage", adapters::TwoStagePmss<>{});
}

TEST_CASE("a skeleton that the recipe could not have chosen from this weight is refused with its module") {
  for (const auto* list : {repeated, outside}) {
    const Error error = broken(pmss, [&](auto& d) { d.at(q0 + "J").data = reinterpret_cast<const std::byte*>(list); });
    CHECK(error.id() == "adapter.611");
    CHECK(test::says(error, "model.layers.0.self_attn.q_proj"));
  }
  const Error rank = broken(pmss, [](auto& d) { d.config["parts"][0]["settings"]["columns"] = 6; });
  CHECK(rank.id() == "adapter.611");
  CHECK(test::says(rank, "holds 5 indices, expected 6"));
  const Error beyond = broken(
      pmss, [](auto& d) { d.at(q0 + "J") = io::tensor_ref(q0 + "J", View<const std::int64_t>(wide, 1, 5), {5}); });
  CHECK(beyond.id() == "adapter.655");
  CHECK(broken(pmss, [](auto& d) { std::erase_if(d.tensors, [](auto& t) { return t.name == q0 + "K"; }); }).id() ==
        "adapter.650");
  CHECK(broken(pmss, [](auto& d) { d.at(q0 + "J").dtype = io::Dtype::f32; }).id() == "io.251");
  const Error shape = broken(pmss, [](auto& d) { std::swap(d.at(q0 + "U").shape[0], d.at(q0 + "U").shape[1]); });
  CHECK(shape.id() == "adapter.651");
  CHECK(test::says(shape, "[8, 5], expected [5, 8]: it is transposed"));
}

TEST_CASE("rows that are not orthonormal are refused where the basis must be, and taken where it is free") {
  static const auto rows = test::normal<float>(3, 48, 5);
  const std::string key = "model.layers.1.subspace.R";
  const auto scramble = [&](auto& d) { d.at(key).data = reinterpret_cast<const std::byte*>(rows.data()); };
  const Error error = broken(loreft, scramble);
  CHECK(error.id() == "adapter.656");
  CHECK(test::says(error, key));
  const Stack<At<site::residual, adapters::NoReft<>>> free{At<site::residual, adapters::NoReft<>>{{.rank = 3}, {}}};
  CHECK(broken(free, scramble).id() == "none");
}

TEST_CASE("every missing, left over, misplaced or broken piece of our own folder is one error") {
  const std::string b1 = "model.layers.1.subspace.b";
  CHECK(broken(loreft, [&](auto& d) { std::erase_if(d.tensors, [&](auto& t) { return t.name == b1; }); }).id() ==
        "adapter.650");
  const Error extra = broken(loreft, [&](auto& d) {
    d.tensors.push_back(d.at(b1));
    d.tensors.back().name = "model.layers.1.subspace.bb";
  });
  CHECK(extra.id() == "adapter.652");
  CHECK(test::says(extra, "\"" + b1 + "\""));
  const Error broken_b =
      broken(loreft, [&](auto& d) { d.at(b1).data = reinterpret_cast<const std::byte*>(&infinite[0]); });
  CHECK(broken_b.id() == "model.513");
  const Error own = broken(loreft, [](auto& d) {
    d.config["parts"][0]["exceptions"]["model.layers.9.subspace"] = d.config["parts"][0]["settings"];
  });
  CHECK(own.id() == "adapter.653");
  CHECK(test::says(own, "model.layers.9.subspace"));
  CHECK(broken(loreft, [](auto& d) { d.config["parts"][0]["layers"] = {0, 9}; }).id() == "adapter.640");
}

TEST_CASE("an adapter of other base weights is refused with both named, unless that is meant") {
  test::GoldenBase base("llama-gqa");
  auto attached = attach(test::reference, base.model, loreft, 7);
  const test::TempFolder folder;
  models::Fingerprint other = base.fingerprint;
  other.hash = "0123456789abcdef";
  models::save_adapter(folder.path("a"), attached, other, "another-tiny");
  const Error error = test::error_of([&] { (void)base.load<LoReftStack>(folder.path("a")); });
  CHECK(error.id() == "adapter.657");
  CHECK(test::says(error, "another-tiny"));
  CHECK(test::says(error, "0123456789abcdef"));
  CHECK(test::says(error, base.fingerprint.hash));
  auto meant = models::load_adapter<LoReftStack>(test::reference, base.model, base.fingerprint,
                                                 interchange::open_adapter(folder.path("a")), {.any_base = true});
  CHECK(parameter_count(meant) == parameter_count(attached));
}
