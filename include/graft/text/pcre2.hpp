// SPDX-License-Identifier: Apache-2.0
// pcre2: the only door to PCRE2 (8 bit, UTF, Unicode properties, compiled to machine code where it can be).
// Where PCRE2 is linked, hand text::compile_pcre2 to a tokenizer's factory: speed differs, and rare patterns compile.
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cstddef>
#include <memory>  // shared_ptr, unique_ptr
#include <string>
#include <string_view>
#include <utility>  // exchange
#include <vector>

#include <graft/base/require.hpp>
#include <graft/text/pattern.hpp>

namespace graft::text {

/// One compiled PCRE2 pattern; move-only.
class Pcre2 {
 public:
  /// Compiles; what PCRE2 does not read is text.302, with `where`.
  Pcre2(std::string_view pattern, const std::string& where) {
    int error = 0;
    PCRE2_SIZE at = 0;
    code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP, &error,
                          &at, nullptr);
    if (code_ == nullptr) {
      fail("text.302",
           "PCRE2 does not read the pattern " + std::string(pattern) + ": " + message(error) + " at byte " +
               std::to_string(at),
           where);
    }
    pcre2_jit_compile(code_, PCRE2_JIT_COMPLETE);  // without it the same matches come from the interpreter
  }
  Pcre2(Pcre2&& other) noexcept : code_(std::exchange(other.code_, nullptr)) {}  ///< leaves the other empty
  /// The two exchange their patterns.
  Pcre2& operator=(Pcre2&& other) noexcept {
    std::swap(code_, other.code_);
    return *this;
  }
  ~Pcre2() { pcre2_code_free(code_); }

  /// Appends all matches in a valid UTF-8 text, left to right, none empty.
  void find_all(std::string_view text, std::vector<Span>& matches) const {
    const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data(
        pcre2_match_data_create_from_pattern(code_, nullptr), &pcre2_match_data_free);
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    for (std::size_t at = 0; at < text.size();) {
      // The caller vouches for UTF-8: checking here would cost the rest of the text at every match.
      const int found =
          pcre2_match(code_, subject, text.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, data.get(), nullptr);
      if (found == PCRE2_ERROR_NOMATCH) {
        break;
      }
      if (found < 0) {
        fail("text.303", "PCRE2 gave up on a text of " + std::to_string(text.size()) + " bytes: " + message(found));
      }
      const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
      matches.push_back({ends[0], ends[1]});
      at = ends[1];
    }
  }

 private:
  static std::string message(int error) {
    PCRE2_UCHAR text[256] = {};
    pcre2_get_error_message(error, text, sizeof text);
    return reinterpret_cast<const char*>(text);
  }

  pcre2_code* code_ = nullptr;
};

/// The engine PCRE2. `\s` and `\S` become Unicode's White_Space, which is what they mean to the tokenizers' Oniguruma.
[[nodiscard]] inline Pattern compile_pcre2(std::string_view pattern, const std::string& where) {
  std::string dialect;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const bool escape = pattern[i] == '\\' && i + 1 < pattern.size();
    if (escape && (pattern[i + 1] == 's' || pattern[i + 1] == 'S')) {
      dialect += pattern[i + 1] == 's' ? "\\p{White_Space}" : "\\P{White_Space}";
    } else {
      dialect.append(pattern, i, escape ? 2 : 1);
    }
    i += escape ? 1 : 0;
  }
  return {std::make_shared<const Pcre2>(dialect, where),
          [](const void* code, std::string_view text, std::vector<Span>& matches) {
            static_cast<const Pcre2*>(code)->find_all(text, matches);
          }};
}

}  // namespace graft::text
