// SPDX-License-Identifier: Apache-2.0
#include <graft/models/skeleton_file.hpp>

#include <graft/adapters/pmss.hpp>

#include "support/catch.hpp"
#include "support/golden_adapter.hpp"

using namespace graft;

namespace {

/// Skeletons of every query of a tiny model, as attach would choose them.
models::SkeletonFile chosen_of(test::GoldenBase& base, const std::string& path) {
  models::SkeletonFile file{path, base.fingerprint, {"pivoted-qr", 3, 4, false, 7}, {}};
  for (Index l = 0; l < base.model.layer_count(); ++l) {
    const auto weight = base.model.blocks[static_cast<std::size_t>(l)].linear(site::query).weight.view();
    file.chosen[module_path(l, site::query)] =
        adapters::policies::PivotedQr::select(test::reference, weight, 3, 4, Random(1), "w");
  }
  return file;
}

using Queries = Stack<At<site::linear, adapters::Pmss<>>>;
const Queries queries{At<site::linear, adapters::Pmss<>>{{.columns = 3, .rows = 4}, {.sites = site::query}}};

}  // namespace

TEST_CASE("skeletons come back from their file as they were chosen, and modules made with them are those of attach") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  const models::SkeletonFile file = chosen_of(base, folder.path("some.skeletons"));
  models::write_skeletons(file);
  const models::SkeletonFile read = models::open_skeletons(file.path);
  CHECK(read.base == file.base);
  CHECK(read.choice == file.choice);
  REQUIRE(read.chosen.size() == file.chosen.size());
  auto prepared = attach(test::reference, base.model, queries, 1, models::PreparedModules{read});
  auto fresh = attach(test::reference, base.model, queries, 1);
  const auto& modules = std::get<0>(prepared.parts).modules;
  for (std::size_t i = 0; i < modules.size(); ++i) {
    const Skeleton& one = modules[i].module.skeleton();
    const Skeleton& other = std::get<0>(fresh.parts).modules[i].module.skeleton();
    CHECK(one.columns == other.columns);
    CHECK(one.rows == other.rows);
    CHECK(read.of(modules[i].place.name).columns == one.columns);
  }
}

TEST_CASE("skeletons of other weights, of missing modules or of other counts are refused, and so is another file") {
  test::GoldenBase base("llama-gqa");
  const test::TempFolder folder;
  models::SkeletonFile file = chosen_of(base, folder.path("some.skeletons"));
  test::GoldenBase other("llama-mha");
  const Error weights = test::error_of([&] { file.check_base(other.fingerprint); });
  CHECK(weights.id() == "adapter.691");
  file.check_base(base.fingerprint);
  const std::string q1 = module_path(1, site::query);
  const auto error_of_attach = [&] {
    return test::error_of(
        [&] { (void)attach(test::reference, base.model, queries, 1, models::PreparedModules{file}); });
  };
  file.chosen.at(q1).columns.pop_back();
  CHECK(error_of_attach().id() == "adapter.611");
  file.chosen.erase(q1);
  const Error missing = error_of_attach();
  CHECK(missing.id() == "adapter.692");
  CHECK(test::says(missing, q1));

  const Error foreign =
      test::error_of([] { (void)models::open_skeletons(test::golden("models/llama-gqa/model.safetensors")); });
  CHECK(foreign.id() == "adapter.690");
  file.chosen["odd"] = {{1}, {2}};
  models::write_skeletons(file);
  io::Safetensors whole = io::Safetensors::open(file.path);
  std::vector<io::TensorRef> tensors(whole.tensors().begin(), whole.tensors().end());
  for (io::TensorRef& tensor : tensors) {
    tensor.name = tensor.name == "odd.J" ? "odd.U" : tensor.name;
  }
  io::write_safetensors(folder.path("odd"), tensors, whole.metadata());
  CHECK(test::error_of([&] { (void)models::open_skeletons(folder.path("odd")); }).id() == "adapter.690");
}
