// SPDX-License-Identifier: Apache-2.0
#include <graft/train/run_identity.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;

namespace {
const train::RunIdentity some_run{
    {.vocab = 9, .dim = 8, .layers = 2, .heads = 2, .kv_heads = 1, .head_dim = 4, .ffn = 16, .hash = "ab"},
    {{"data", "10-ff"}},
    {{"lr", 0.1}, {"adapters", {{{"name", "lora"}}}}}};
}

TEST_CASE("what a run is made of survives its JSON") {
  const train::RunIdentity read = train::run_identity_from(io::parse_json(to_json(some_run).dump(), "x"), "x");
  CHECK(read.base == some_run.base);
  CHECK(read.data == some_run.data);
  CHECK(read.settings == some_run.settings);
  train::check_same_run(some_run, read, "x");
}

TEST_CASE("the first thing that differs is named, on either side") {
  const auto differs = [](auto change) {
    train::RunIdentity other = some_run;
    change(other);
    return test::error_of([&] { train::check_same_run(some_run, other, "x"); });
  };
  CHECK(differs([](auto& run) { run.base.layers = 3; }).id() == "train.452");
  CHECK(test::says(differs([](auto& run) { run.data["data"] = "11-ff"; }), "train.453: the file of data"));
  CHECK(test::says(differs([](auto& run) { run.data["valid"] = "1-0"; }), "the file of valid"));
  CHECK(test::says(differs([](auto& run) { run.data.clear(); }), "the file of data"));
  CHECK(test::says(differs([](auto& run) { run.settings["lr"] = 0.2; }),
                   "train.454: the checkpoint's run has lr 0.1, this one lr 0.2"));
  CHECK(test::says(differs([](auto& run) { run.settings.erase("lr"); }), "lr 0.1, this one no lr"));
  CHECK(test::says(differs([](auto& run) { run.settings["clip"] = 1; }), "no clip, this one clip 1"));
}
