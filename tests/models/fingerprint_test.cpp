// SPDX-License-Identifier: Apache-2.0
#include <graft/models/fingerprint.hpp>
#include <graft/models/open_checkpoint.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/model_draft.hpp"
#include "support/paths.hpp"

using namespace graft;

namespace {
models::Fingerprint of(const std::string& path) {
  return models::fingerprint_of(models::open_checkpoint(path));
}
}  // namespace

TEST_CASE("one model has one fingerprint in a file, in shards and as GGUF; another model has another") {
  const auto whole = of(test::golden("models/llama-gqa"));
  CHECK(of(test::golden("models/llama-gqa-sharded")) == whole);
  CHECK(of(test::golden("models/llama-mha")) != whole);
  const test::ModelDraft draft("llama-gqa");
  const test::TempFolder folder;
  CHECK(of(folder.write("model.gguf", draft.gguf("llama").bytes())) == whole);
  CHECK(whole.hash.size() == 16);
}

TEST_CASE("one changed weight of a hashed row changes the hash and nothing else") {
  test::ModelDraft draft("llama-gqa");
  const test::TempFolder folder;
  draft.at("model.norm.weight").bytes[1] ^= 1;
  draft.write_folder(folder);
  auto changed = of(folder.path());
  const auto whole = of(test::golden("models/llama-gqa"));
  CHECK(changed.hash != whole.hash);
  changed.hash = whole.hash;
  CHECK(changed == whole);
}

TEST_CASE("a fingerprint comes back from its JSON, and a missing number is named") {
  const auto whole = of(test::golden("models/llama-gqa"));
  io::Json json = models::to_json(whole);
  CHECK(models::fingerprint_from(json, "here") == whole);
  json.erase("kv_heads");
  const Error error = test::error_of([&] { (void)models::fingerprint_from(json, "here"); });
  CHECK(error.id() == "io.212");
  CHECK(std::string(error.what()).find("kv_heads") != std::string::npos);
}
