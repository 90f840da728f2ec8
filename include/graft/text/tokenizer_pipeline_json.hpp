// SPDX-License-Identifier: Apache-2.0
// TokenizerPipelineJson: the steps around tokenizer.json's model: normalizer, pre_tokenizer, decoder, post_processor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>  // move
#include <vector>

#include <graft/io/json.hpp>
#include <graft/text/json_keys.hpp>
#include <graft/text/normalizer.hpp>
#include <graft/text/pattern.hpp>
#include <graft/text/pre_tokenizer.hpp>
#include <graft/text/sentencepiece_bpe.hpp>
#include <graft/text/tokenizer.hpp>
#include <graft/text/vocabulary.hpp>

namespace graft::text::detail {

class TokenizerPipelineJson {
 public:
  TokenizerPipelineJson(const std::string& where, PatternCompiler compile) : at_(where), compile_(compile) {}

  void normalizer(const io::Json& json, Normalizer& normalizer) const {
    if (json.is_null()) {
      return;
    }
    const std::string type = at_.type_of(json, "normalizer");
    if (type == "Sequence") {
      at_.known(json, "normalizer", {"type", "normalizers"});
      for (const io::Json& step : at_.member(json, "normalizers")) {
        this->normalizer(step, normalizer);
      }
    } else if (type == "NFC") {
      at_.known(json, "normalizer", {"type"});
      normalizer.compose();
    } else if (type == "Prepend") {
      at_.known(json, "normalizer", {"type", "prepend"});
      normalizer.prepend(at_.string_of(json, "prepend"));
    } else if (type == "Replace") {
      at_.known(json, "normalizer", {"type", "pattern", "content"});
      normalizer.replace(at_.literal_pattern(json, "normalizer"), at_.string_of(json, "content"));
    } else {
      at_.refuse("normalizer.type", type, "Sequence, NFC, Prepend or Replace");
    }
  }

  /// Appends the steps of a byte-level model's pre-tokenizer; says whether a ByteLevel was among them.
  bool pre_tokenizer(const io::Json& json, std::vector<SplitStep>& steps) const {
    const std::string type = at_.type_of(json, "pre_tokenizer");
    if (type == "Sequence") {
      at_.known(json, "pre_tokenizer", {"type", "pretokenizers"});
      bool bytes = false;
      for (const io::Json& step : at_.member(json, "pretokenizers")) {
        if (bytes) {
          at_.refuse("pre_tokenizer.pretokenizers", step.dump(), "nothing after ByteLevel");
        }
        bytes = pre_tokenizer(step, steps);
      }
      return bytes;
    }
    SplitStep step;
    if (type == "ByteLevel") {
      at_.known(json, "pre_tokenizer", {"type", "add_prefix_space", "trim_offsets", "use_regex"});
      step.prefix_space = at_.flag(json, "add_prefix_space", true);
      if (at_.flag(json, "use_regex", true)) {
        step.pattern = compile_(gpt2_pattern, at_.where());
      }
    } else if (type == "Digits") {
      at_.known(json, "pre_tokenizer", {"type", "individual_digits"});
      step.pattern = compile_(at_.flag(json, "individual_digits", false) ? "\\p{N}" : "\\p{N}+", at_.where());
    } else if (type == "Split") {
      at_.known(json, "pre_tokenizer", {"type", "pattern", "behavior", "invert"});
      step.pattern = compile_(split_pattern(at_.member(json, "pattern")), at_.where());
      step.behavior = behavior(at_.string_of(json, "behavior"));
      step.inverted = at_.flag(json, "invert", false);
    } else {
      at_.refuse("pre_tokenizer.type", type, "Sequence, ByteLevel, Digits or Split");
    }
    steps.push_back(std::move(step));
    return type == "ByteLevel";
  }

  Metaspace metaspace(const io::Json& json) const {
    if (const std::string type = at_.type_of(json, "pre_tokenizer"); type != "Metaspace") {
      at_.refuse("pre_tokenizer.type", type, "Metaspace or null beside a ByteFallback decoder");
    }
    at_.known(json, "pre_tokenizer", {"type", "replacement", "str_rep", "add_prefix_space", "prepend_scheme", "split"});
    if (const std::string mark = at_.string_of(json, "replacement"); mark != word_mark) {
      at_.refuse("pre_tokenizer.replacement", mark, std::string(word_mark));
    }
    const bool prefix = at_.flag(json, "add_prefix_space", true);
    const auto scheme = io::json_get_or<std::string>(json, "prepend_scheme", prefix ? "always" : "never", at_.where());
    if (scheme != "always" && scheme != "first" && scheme != "never") {
      at_.refuse("pre_tokenizer.prepend_scheme", scheme, "always, first or never");
    }
    using Prepend = Metaspace::Prepend;
    return {scheme == "always"  ? Prepend::always
            : scheme == "first" ? Prepend::first
                                : Prepend::never,
            at_.flag(json, "split", true)};
  }

  /// Replace U+2581, ByteFallback, Fuse, then perhaps Strip: the number of spaces it strips.
  int decoder_strip(const io::Json& decoder) const {
    at_.known(decoder, "decoder", {"type", "decoders"});
    std::string shape;
    int strip = 0;
    for (const io::Json& step : at_.member(decoder, "decoders")) {
      const std::string type = at_.type_of(step, "decoder.decoders");
      shape += type + " ";
      if (type == "Replace") {
        const std::string from = at_.literal_pattern(step, "decoder.decoders"), to = at_.string_of(step, "content");
        shape += from == word_mark && to == " " ? "" : "(" + from + " by " + to + ") ";
      } else if (type == "Strip") {
        strip = io::json_get<int>(step, "start", at_.where());
        if (at_.string_of(step, "content") != " " || strip < 0 || io::json_get<int>(step, "stop", at_.where()) != 0) {
          at_.refuse("decoder.decoders.Strip", step.dump(), "spaces at the start only");
        }
      }
    }
    if (shape != "Replace ByteFallback Fuse " && shape != "Replace ByteFallback Fuse Strip ") {
      at_.refuse("decoder.decoders", shape, "Replace, ByteFallback, Fuse, Strip");
    }
    return strip;
  }

  void post_processor(const io::Json& json, const Vocabulary& vocabulary, TokenizerParts& parts) const {
    if (json.is_null()) {
      return;
    }
    const std::string type = at_.type_of(json, "post_processor");
    if (type == "Sequence") {
      at_.known(json, "post_processor", {"type", "processors"});
      for (const io::Json& step : at_.member(json, "processors")) {
        post_processor(step, vocabulary, parts);
      }
    } else if (type == "TemplateProcessing") {
      at_.known(json, "post_processor", {"type", "single", "pair", "special_tokens"});
      read_template(json, vocabulary, parts);
    } else if (type != "ByteLevel") {
      at_.refuse("post_processor.type", type, "Sequence, TemplateProcessing or ByteLevel");
    }
  }

 private:
  std::string split_pattern(const io::Json& pattern) const {
    at_.known(pattern, "pre_tokenizer.pattern", {"Regex", "String"});
    if (pattern.contains("Regex")) {
      return at_.string_of(pattern, "Regex");
    }
    std::string quoted;
    for (const char c : at_.string_of(pattern, "String")) {
      if (std::string_view("\\^$.|?*+()[]{}-#&~ ").find(c) != std::string_view::npos) {
        quoted.push_back('\\');
      }
      quoted.push_back(c);
    }
    return quoted;
  }

  SplitBehavior behavior(const std::string& name) const {
    if (name == "Isolated") {
      return SplitBehavior::isolated;
    }
    if (name == "Removed") {
      return SplitBehavior::removed;
    }
    if (name == "MergedWithPrevious") {
      return SplitBehavior::merged_with_previous;
    }
    if (name == "MergedWithNext") {
      return SplitBehavior::merged_with_next;
    }
    at_.refuse("pre_tokenizer.behavior", name, "Isolated, Removed, MergedWithPrevious or MergedWithNext");
  }

  void read_template(const io::Json& json, const Vocabulary& vocabulary, TokenizerParts& parts) const {
    if (!parts.prefix.empty() || !parts.suffix.empty()) {
      at_.refuse("post_processor", "a second TemplateProcessing", "one");
    }
    bool after = false;
    for (const io::Json& part : at_.member(json, "single")) {
      at_.known(part, "post_processor.single", {"SpecialToken", "Sequence"});
      if (part.contains("Sequence")) {
        after = true;
        continue;
      }
      const auto name = at_.string_of(at_.member(part, "SpecialToken"), "id");
      const io::Json& special = at_.member(at_.member(json, "special_tokens"), name);
      for (const auto id : io::json_get<std::vector<std::int32_t>>(special, "ids", at_.where())) {
        if (!vocabulary.contains(id)) {
          at_.refuse("post_processor.special_tokens." + name, std::to_string(id), "the id of a token");
        }
        (after ? parts.suffix : parts.prefix).push_back(id);
      }
    }
  }

  JsonKeys at_;
  PatternCompiler compile_;
};

}  // namespace graft::text::detail
