// SPDX-License-Identifier: Apache-2.0
// Record: what one record of a data file says, found by its keys, before a template or a tokenizer has seen it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>  // move
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/json.hpp>
#include <graft/text/chat_template.hpp>
#include <graft/train/batch.hpp>

namespace graft::train {

/// The sets of keys that read_record knows, in the order in which it looks for them.
inline constexpr std::string_view record_keys =
    "input_ids (labels) | messages | conversations | prompt, completion | instruction (input), output | question, "
    "answer | "
    "text";

/// Ids, or a conversation, or a prompt with its completion (which is a conversation too), or a text.
struct Record {
  std::string_view keys;                ///< those it was recognised by
  std::vector<text::Message> messages;  ///< for a chat template
  Index given = 0;                      ///< of them, the first ones that are prompt, whoever speaks there
  std::string prompt;                   ///< for a model without one
  std::string completion;               ///< trained; where prompt and messages are empty, a text
  std::vector<std::int32_t> ids;        ///< used as they stand
  std::vector<std::int32_t> labels;     ///< one for every id
  std::optional<Index> prompt_length;   ///< in tokens, where the record gives it
};

namespace detail {

inline void read_turns(const io::Json& json, const char* key, const char* role, const char* content,
                       const std::string& where, Record& record) {
  const io::Json& turns = json.at(key);
  if (!turns.is_array() || turns.empty()) {
    fail("train.421", std::string("key \"") + key + "\" is not a list of turns", where);
  }
  for (const io::Json& turn : turns) {
    if (!turn.is_object()) {
      fail("train.421", std::string("key \"") + key + "\" holds a turn that is not an object", where);
    }
    auto who = io::json_get<std::string>(turn, role, where);
    who = who == "human" ? "user" : who == "gpt" ? "assistant" : who;
    record.messages.push_back({std::move(who), io::json_get<std::string>(turn, content, where)});
  }
}

inline void read_pair(std::string prompt, std::string_view separator, std::string completion, Record& record) {
  record.messages = {{"user", prompt}, {"assistant", completion}};
  record.prompt = std::move(prompt.append(separator));
  record.completion = std::move(completion);
}

inline void read_ids(const io::Json& json, const std::string& where, Record& record) {
  record.ids = io::json_get<std::vector<std::int32_t>>(json, "input_ids", where);
  record.labels = io::json_get_or(json, "labels", record.ids, where);
  if (record.labels.size() != record.ids.size()) {
    fail("train.422",
         "key \"labels\" has " + std::to_string(record.labels.size()) + " entries, expected one for each of the " +
             std::to_string(record.ids.size()) + " of \"input_ids\"",
         where);
  }
}

}  // namespace detail

/// Recognises a record; keys that graft does not know are train.420. `where` names file and line.
[[nodiscard]] inline Record read_record(const io::Json& json, const std::string& where) {
  const auto text = [&](const char* key) { return io::json_get<std::string>(json, key, where); };
  const auto has = [&](const char* a, const char* b) { return json.contains(a) && json.contains(b); };
  Record record;
  if (json.contains("input_ids")) {
    record.keys = "input_ids";
    detail::read_ids(json, where, record);
  } else if (json.contains("messages")) {
    record.keys = "messages";
    detail::read_turns(json, "messages", "role", "content", where, record);
  } else if (json.contains("conversations")) {
    record.keys = "conversations";
    detail::read_turns(json, "conversations", "from", "value", where, record);
  } else if (has("prompt", "completion")) {
    record.keys = "prompt, completion";
    detail::read_pair(text("prompt"), "", text("completion"), record);
  } else if (has("instruction", "output")) {
    record.keys = "instruction, output";
    const std::string input = io::json_get_or(json, "input", std::string(), where);
    detail::read_pair(text("instruction") + (input.empty() ? "" : "\n") + input, "\n", text("output"), record);
  } else if (has("question", "answer")) {
    record.keys = "question, answer";
    detail::read_pair(text("question"), "\n", text("answer"), record);
  } else if (json.contains("text")) {
    record.keys = "text";
    record.completion = text("text");
  } else if (has("chosen", "rejected")) {
    fail("train.420",
         "the record is a pair of answers (\"chosen\", \"rejected\"), on which the library trains and the program does not "
         "yet: docs/preferences.md",
         where);
  } else {
    std::string found;
    for (const auto& [key, value] : json.items()) {
      found += (found.empty() ? "" : ", ") + key;
    }
    fail("train.420",
         "the record has the keys {" + found.substr(0, 200) + "}, expected one of " + std::string(record_keys), where);
  }
  if (const auto given = io::json_get_or(json, "prompt_length", Index{-1}, where); json.contains("prompt_length")) {
    record.prompt_length = given;
  }
  return record;
}

}  // namespace graft::train
