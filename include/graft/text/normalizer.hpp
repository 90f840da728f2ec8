// SPDX-License-Identifier: Apache-2.0
// Normalizer: what happens to a section of text before it is cut: prepend, replace, NFC, in the order of the file.
#pragma once

#include <cstdint>
#include <memory>  // shared_ptr
#include <string>
#include <string_view>
#include <utility>  // move
#include <vector>

#include <graft/text/nfc.hpp>
#include <graft/text/sentencepiece_bpe.hpp>  // replace_all

namespace graft::text {

/// Steps that act in the order in which they were added.
class Normalizer {
 public:
  /// Adds: put `prefix` before a section that is not empty.
  void prepend(std::string prefix) { steps_.push_back({Kind::prepend, {}, std::move(prefix)}); }

  /// Adds: replace every `from` (not empty) by `to`.
  void replace(std::string from, std::string to) { steps_.push_back({Kind::replace, std::move(from), std::move(to)}); }

  /// Adds: compose to Unicode form C.
  void compose() {
    steps_.push_back({Kind::compose, {}, {}});
    nfc_ = nfc_ ? nfc_ : std::make_shared<const Nfc>();
  }

  [[nodiscard]] bool empty() const { return steps_.empty(); }  ///< no step

  /// The section after all steps.
  [[nodiscard]] std::string operator()(std::string_view section) const {
    std::string text(section);
    for (const Step& step : steps_) {
      switch (step.kind) {
        case Kind::prepend: text.insert(0, text.empty() ? std::string() : step.to); break;
        case Kind::replace: text = replace_all(text, step.from, step.to); break;
        case Kind::compose: text = (*nfc_)(text); break;
      }
    }
    return text;
  }

 private:
  enum class Kind : std::uint8_t { prepend, replace, compose };
  struct Step {
    Kind kind;
    std::string from;
    std::string to;
  };

  std::vector<Step> steps_;
  std::shared_ptr<const Nfc> nfc_;
};

}  // namespace graft::text
