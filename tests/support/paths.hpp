// SPDX-License-Identifier: Apache-2.0
// Where the data of the tests lies: golden files in the tree, ../shared and the real model where they exist.
#pragma once

#include <cstdlib>  // getenv
#include <filesystem>
#include <source_location>
#include <string>

namespace graft::test {

/// The root of the repository, known from the place of this very file.
inline std::filesystem::path root() {
  const std::filesystem::path here = std::source_location::current().file_name();  // ROOT/tests/support/paths.hpp
  return std::filesystem::absolute(here).lexically_normal().parent_path().parent_path().parent_path();
}

/// The path as text, or an empty string when nothing lies there.
inline std::string if_present(const std::filesystem::path& path) {
  return std::filesystem::exists(path) ? path.string() : std::string();
}

/// A fixture that is committed under tests/golden: golden("tokenizer/chat/cases.json").
inline std::string golden(const std::string& name) {
  return (root() / "tests" / "golden" / name).string();
}

/// A file or folder of ../shared, or an empty string where it is absent; tests that need it are tagged [shared].
inline std::string shared(const std::string& name) {
  return if_present(root().parent_path() / "shared" / name);
}

/// The GGUF file of SmolLM2-135M-Instruct, or an empty string where it is absent; tests that need it are tagged [real].
inline std::string smollm2() {
  if (const char* given = std::getenv("GRAFT_SMOLLM2")) {
    return if_present(given);
  }
  return if_present(root() / "build" / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf");
}

}  // namespace graft::test
