// SPDX-License-Identifier: Apache-2.0
// load_preferences: pairs of answers from a data file, in the shapes that TRL has given the field.
//
//   {"prompt": text, "chosen": text, "rejected": text}
//   {"prompt": [turns], "chosen": [turns], "rejected": [turns]}     a turn is {"role": ..., "content": ...}
//   {"chosen": [turns], "rejected": [turns]}                        whole conversations: what both begin with is the prompt
#pragma once

#include <algorithm>  // mismatch
#include <string>
#include <utility>  // move
#include <vector>

#include <graft/io/jsonl.hpp>
#include <graft/train/make_example.hpp>
#include <graft/train/preference.hpp>

namespace graft::train {

/// Pairs in the order of the file, and what became of the other records.
struct Preferences {
  std::vector<Preference> pairs;  ///< those that can be learnt from
  Index records = 0;              ///< of the file
  Index cut = 0;                  ///< with an answer that lost its end
  Index too_long = 0;             ///< left out: the prompt alone fills the window
  Index undecided = 0;            ///< left out: both answers are the same tokens, or one has none
};

/// Whether a record holds a pair of answers.
[[nodiscard]] inline bool is_preference(const io::Json& json) {
  return json.contains("chosen") && json.contains("rejected");
}

namespace detail {

/// The record of one answer: the prompt where it stands apart, and the answer.
[[nodiscard]] inline Record answer_of(const io::Json& json, const char* answer, const std::string& where) {
  Record record;
  record.keys = "prompt, chosen, rejected";
  if (json.at(answer).is_string()) {
    read_pair(io::json_get<std::string>(json, "prompt", where), "", io::json_get<std::string>(json, answer, where),
              record);
    return record;
  }
  if (json.contains("prompt") && json.at("prompt").is_array()) {
    read_turns(json, "prompt", "role", "content", where, record);
    record.given = std::ssize(record.messages);
  }
  read_turns(json, answer, "role", "content", where, record);
  return record;
}

}  // namespace detail

/// The pair of a record; keys that hold none are train.429. `where` names file and line.
[[nodiscard]] inline Preference read_preference(const io::Json& json, const DatasetOptions& options,
                                                const std::string& where) {
  const bool texts = is_preference(json) && json.at("chosen").is_string() && json.at("rejected").is_string();
  const bool talks = is_preference(json) && json.at("chosen").is_array() && json.at("rejected").is_array();
  if (!talks && !(texts && json.contains("prompt"))) {
    fail("train.429",
         "the record is no pair of answers, expected the keys prompt, chosen, rejected: three texts, or lists of turns "
         "({\"role\": ..., \"content\": ...})",
         where);
  }
  Record chosen = detail::answer_of(json, "chosen", where);
  Record rejected = detail::answer_of(json, "rejected", where);
  if (talks && chosen.given == 0) {
    const auto same = [](const text::Message& a, const text::Message& b) {
      return a.role == b.role && a.content == b.content;
    };
    chosen.given = rejected.given = std::mismatch(chosen.messages.begin(), chosen.messages.end(),
                                                  rejected.messages.begin(), rejected.messages.end(), same)
                                        .first -
                                    chosen.messages.begin();
  }
  return {make_example(chosen, options, where), make_example(rejected, options, where)};
}

/// The pairs of a JSONL file or a JSON list, cut and counted. No record at all is train.426, none that can be used train.427.
[[nodiscard]] inline Preferences load_preferences(const std::string& path, const DatasetOptions& options) {
  Preferences data;
  io::for_each_record(path, [&](const io::Json& json, Index line) {
    Preference pair = read_preference(json, options, path + ":" + std::to_string(line));
    ++data.records;
    const Fate chosen = fit(pair.chosen, options);
    const Fate rejected = fit(pair.rejected, options);
    if (chosen == Fate::too_long || rejected == Fate::too_long) {
      ++data.too_long;
    } else if (chosen == Fate::untrained || rejected == Fate::untrained || pair.chosen.ids == pair.rejected.ids) {
      ++data.undecided;
    } else {
      data.cut += chosen == Fate::cut || rejected == Fate::cut ? 1 : 0;
      data.pairs.push_back(std::move(pair));
    }
  });
  if (data.records == 0) {
    fail("train.426", "the file holds no record, expected one JSON object a line or a JSON list of them", path);
  }
  if (data.pairs.empty()) {
    fail("train.427",
         "none of the " + std::to_string(data.records) + " records can be used: in " + std::to_string(data.too_long) +
             " the prompt alone fills the window, in " + std::to_string(data.undecided) + " the answers are the same",
         path);
  }
  return data;
}

}  // namespace graft::train
