// SPDX-License-Identifier: Apache-2.0
// make_example: a record through template and tokenizer, with a label for what is trained.
//
// A conversation is rendered by the chat template and trained on what the assistant says; without a template a prompt is
// followed by its completion as they stand. The token that ends an answer is trained, nothing after it is kept.
#pragma once

#include <algorithm>  // count_if, min, mismatch
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>  // move
#include <vector>

#include <graft/base/require.hpp>
#include <graft/text/chat_template.hpp>
#include <graft/text/tokenizer.hpp>
#include <graft/train/record.hpp>

namespace graft::train {

/// How records become examples. Tokenizer and template outlive the call; without a tokenizer only ids are data.
struct DatasetOptions {
  const text::Tokenizer* tokenizer = nullptr;  ///< null: only ids are data
  const text::ChatTemplate* chat = nullptr;    ///< null: prompt and completion as they stand
  Index vocab = 0;                             ///< ids at or above it are train.423; 0 = not checked
  Index longest = 0;                           ///< tokens that an example may have; 0 = any number
  bool train_on_all = false;                   ///< prompts and other turns too
  bool close = true;                           ///< a text, or an answer without a template, ends with EOS
  bool open = true;                            ///< a text without a template begins with what the tokenizer puts there
  bool keep_unlabelled = false;                ///< evaluation shows the logits of every record
};

/// What the tokenizer puts before a text.
[[nodiscard]] inline std::vector<std::int32_t> opening(const text::Tokenizer& tokenizer) {
  std::vector<std::int32_t> ids = tokenizer.encode("", true);
  const auto eos = tokenizer.eos();
  if (eos && !ids.empty() && ids.back() == *eos && (ids.size() > 1 || tokenizer.bos() != eos)) {
    ids.pop_back();
  }
  return ids;
}

namespace detail {

/// How many tokens of `ids`, an encoding of all of `text`, stand before byte `end`; where a token straddles it, those
/// that an encoding of the beginning alone has in common with it.
[[nodiscard]] inline std::size_t tokens_before(const text::Tokenizer& tokenizer, std::string_view text, Index end,
                                               const std::vector<std::int32_t>& ids) {
  if (end == static_cast<Index>(text.size())) {
    return ids.size();
  }
  const auto head = tokenizer.encode(text.substr(0, static_cast<std::size_t>(end)), false);
  return static_cast<std::size_t>(std::mismatch(head.begin(), head.end(), ids.begin(), ids.end()).second - ids.begin());
}

/// Ids of a text whose byte ranges `trained` carry labels.
[[nodiscard]] inline Example example_of(const text::Tokenizer& tokenizer, const text::Rendered& rendered,
                                        std::vector<std::int32_t> before, std::vector<std::int32_t> after) {
  const std::vector<std::int32_t> ids = tokenizer.encode(rendered.text, false);
  Example example;
  example.ids = std::move(before);
  const std::size_t offset = example.ids.size();
  example.ids.insert(example.ids.end(), ids.begin(), ids.end());
  example.ids.insert(example.ids.end(), after.begin(), after.end());
  example.labels.assign(example.ids.size(), ignored);
  for (const auto& [begin, end] : rendered.trained) {
    const std::size_t first = begin == 0 ? 0 : offset + tokens_before(tokenizer, rendered.text, begin, ids);
    const bool closes = end == static_cast<Index>(rendered.text.size());
    const std::size_t last = closes ? example.ids.size() : offset + tokens_before(tokenizer, rendered.text, end, ids);
    for (std::size_t t = first; t < last; ++t) {
      example.labels[t] = example.ids[t];
    }
  }
  return example;
}

[[nodiscard]] inline Example example_of(const Record& record, const DatasetOptions& options, const std::string& where) {
  if (!record.ids.empty() || record.keys == "input_ids") {
    return {record.ids, record.labels, 0};
  }
  if (options.tokenizer == nullptr) {
    fail("train.424", "the record is text, but the model has no tokenizer to read it with (name one with --tokenizer)",
         where);
  }
  const text::Tokenizer& tokenizer = *options.tokenizer;
  const bool pair = !record.prompt.empty() || !record.completion.empty();
  if (record.messages.empty() || (options.chat == nullptr && pair)) {
    const auto split = static_cast<Index>(record.prompt.size());
    const text::Rendered whole{record.prompt + record.completion,
                               {{split, split + static_cast<Index>(record.completion.size())}}};
    const bool ends = options.close && tokenizer.eos().has_value();
    return example_of(tokenizer, whole, options.open ? opening(tokenizer) : std::vector<std::int32_t>{},
                      ends ? std::vector<std::int32_t>{*tokenizer.eos()} : std::vector<std::int32_t>{});
  }
  const text::ChatTemplate plain(text::ChatStyle::plain, "", "",
                                 tokenizer.eos() ? std::string(tokenizer.token(*tokenizer.eos())) : std::string());
  text::Rendered rendered = (options.chat != nullptr ? *options.chat : plain).render(record.messages, false);
  const auto given = std::count_if(record.messages.begin(), record.messages.begin() + record.given,
                                   [](const text::Message& message) { return message.role == "assistant"; });
  rendered.trained.erase(rendered.trained.begin(), rendered.trained.begin() + given);
  if (!rendered.trained.empty()) {
    rendered.text.resize(static_cast<std::size_t>(rendered.trained.back().second));  // what follows predicts nothing
  }
  return example_of(tokenizer, rendered, options.chat != nullptr ? std::vector<std::int32_t>{} : opening(tokenizer),
                    {});
}

/// Checks ids and prompt length, and finds the prompt where the record does not give it.
inline void complete(Example& example, const Record& record, const DatasetOptions& options, const std::string& where) {
  const auto outside = [&](std::int32_t id) { return id < 0 || (options.vocab > 0 && id >= options.vocab); };
  for (std::size_t t = 0; t < example.ids.size(); ++t) {
    const std::int32_t label = example.labels[t];
    if (outside(example.ids[t]) || (label != ignored && outside(label))) {
      fail("train.423",
           "token " + std::to_string(t) + " of the record has id " + std::to_string(example.ids[t]) + " and label " +
               std::to_string(label) + ", expected ids of the vocabulary of " + std::to_string(options.vocab) +
               " (a label may be -100)",
           where);
    }
  }
  if (options.train_on_all) {
    example.labels = example.ids;
  }
  const auto length = static_cast<Index>(example.ids.size());
  while (example.prompt < length && example.labels[static_cast<std::size_t>(example.prompt)] == ignored) {
    ++example.prompt;
  }
  if (record.prompt_length) {
    example.prompt = *record.prompt_length;
    if (example.prompt < 0 || example.prompt > length) {
      fail("train.425",
           "key \"prompt_length\" is " + std::to_string(example.prompt) + ", expected 0 to " + std::to_string(length),
           where);
    }
  }
}

}  // namespace detail

/// The example of a record, however long; `where` names file and line (train.423 to train.425).
[[nodiscard]] inline Example make_example(const Record& record, const DatasetOptions& options,
                                          const std::string& where) {
  Example example = detail::example_of(record, options, where);
  detail::complete(example, record, options, where);
  return example;
}

/// What becomes of a record.
enum class Fate {
  whole,      ///< used as it is
  cut,        ///< longer than allowed: its end is lost
  too_long,   ///< left out: its prompt alone fills the window
  untrained,  ///< left out: no token of it is trained
};

/// Cuts an example at options.longest, and says what becomes of it.
[[nodiscard]] inline Fate fit(Example& example, const DatasetOptions& options) {
  const bool long_one = options.longest > 0 && std::ssize(example.ids) > options.longest;
  const bool had_labels = example.labelled() > 0;
  if (long_one) {
    example.ids.resize(static_cast<std::size_t>(options.longest));
    example.labels.resize(static_cast<std::size_t>(options.longest));
    example.prompt = std::min(example.prompt, options.longest);
  }
  if (example.ids.empty() || (example.labelled() == 0 && !options.keep_unlabelled)) {
    return long_one && had_labels ? Fate::too_long : Fate::untrained;
  }
  return long_one ? Fate::cut : Fate::whole;
}

}  // namespace graft::train
