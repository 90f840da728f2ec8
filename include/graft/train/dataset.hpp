// SPDX-License-Identifier: Apache-2.0
// ExampleFile: the examples of a data file, read and tokenised when they are asked for, with a count of every record that
// was cut or left out. Dataset: the same, all in memory.
#pragma once

#include <algorithm>  // find, max, min, min_element
#include <cstddef>    // nullptr_t
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>  // invoke_result_t, is_null_pointer_v
#include <vector>

#include <graft/base/require.hpp>
#include <graft/core/parallel.hpp>
#include <graft/io/json.hpp>
#include <graft/io/record_index.hpp>
#include <graft/io/spilled_list.hpp>
#include <graft/train/make_example.hpp>

namespace graft::train {

/// What the records of a file became.
struct DatasetCounts {
  std::string keys;          ///< of the first record
  Index records = 0;         ///< of the file
  Index cut = 0;             ///< longer than allowed; their ends were lost
  Index too_long = 0;        ///< left out: the prompt alone fills the window
  Index untrained = 0;       ///< left out: no token of it is trained
  Index dialogues = 0;       ///< records that a chat template has a say in
  Index tokens = 0;          ///< of the examples
  Index labelled = 0;        ///< of them, trained ones
  Index all_trained = 0;     ///< examples without a single masked token
  Index none_trained = 0;    ///< examples without a trained token (options.keep_unlabelled)
  Index without_prompt = 0;  ///< examples that are trained from their first token on
};

/// Examples in the order of the file, and what became of the other records.
struct Dataset : DatasetCounts {
  std::vector<Example> examples;  ///< what is trained
};

/// The examples of a JSONL file, a JSON list or a .txt file. It is read once to count (`survey`), which finds every mistake
/// in it; afterwards at() reads from the disk, where the places of the records and their lengths are too, so that memory does
/// not grow with their number (io/spilled_list.hpp). Records are numbered in 32 bits.
class ExampleFile {
 public:
  /// No record at all is train.426, no record that can be used train.427; every other error names the line.
  /// `progress`(records so far, records) is told now and then.
  template <class Progress = std::nullptr_t>
  ExampleFile(const std::string& path, const DatasetOptions& options, Progress progress = {})
      : index_(path, piece_bytes(options)), options_(options) {
    if (index_.size() == 0) {
      fail("train.426", "the file holds no record, expected one JSON object a line or a JSON list of them", path);
    }
    survey(progress);
  }

  [[nodiscard]] const DatasetCounts& counts() const { return counts_; }    ///< of the whole file
  [[nodiscard]] const std::string& path() const { return index_.path(); }  ///< as it was opened
  [[nodiscard]] Index records() const { return index_.size(); }            ///< those left out, too
  /// Tokens of the example of record i; 0 where it is left out.
  [[nodiscard]] Index tokens(Index i) const { return Index{tokens_[i]}; }
  /// The numbers of the records that are examples, in the order of the file.
  [[nodiscard]] io::SpilledList<std::uint32_t> kept() const {
    io::SpilledList<std::uint32_t> list;
    std::uint32_t number = 0;
    tokens_.for_each([&](std::uint32_t tokens) {
      if (tokens > 0) {
        list.push_back(number);
      }
      ++number;
    });
    return list;
  }

  /// The record, before template and tokenizer have seen it.
  [[nodiscard]] Record record(Index i) const {
    std::string buffer;
    return with_line(i, [&](const std::string& where) { return parse(i, buffer, where); });
  }
  /// The example of record i, cut as it was counted. Any number of threads may ask at once.
  [[nodiscard]] Example at(Index i) const {
    std::string buffer;
    Example example =
        with_line(i, [&](const std::string& where) { return make_example(parse(i, buffer, where), options_, where); });
    (void)fit(example, options_);
    return example;
  }
  /// The examples of some records, read on all threads.
  [[nodiscard]] std::vector<Example> at(std::span<const std::uint32_t> list) const {
    std::vector<Example> examples(list.size());
    parallel_for(std::ssize(list), [&](Index i, Index) {
      examples[static_cast<std::size_t>(i)] = at(Index{list[static_cast<std::size_t>(i)]});
    });
    return examples;
  }
  /// The line where record i begins, from 1.
  [[nodiscard]] Index line(Index i) const { return index_.line(i); }

 private:
  /// Every token of a text is a byte of it at least, so that a piece of so many is never cut.
  [[nodiscard]] static Index piece_bytes(const DatasetOptions& options) {
    constexpr Index around = 4;  // BOS, EOS, a blank before, one to spare
    return options.longest > 0 ? std::max<Index>(options.longest - around, around) : 4096;
  }
  [[nodiscard]] Record parse(Index i, std::string& buffer, const std::string& where) const {
    const std::string_view text = index_.read(i, buffer);
    if (index_.is_text()) {
      Record piece;
      piece.keys = "plain text";
      piece.completion = text;
      return piece;
    }
    const io::Json json = io::parse_json(text, where);
    if (!json.is_object()) {
      fail("io.241", "a record is a JSON object, found " + json.dump().substr(0, 60), where);
    }
    return read_record(json, where);
  }
  /// The line of a record is counted only when an error is to name it.
  template <class Call>
  std::invoke_result_t<const Call&, const std::string&> with_line(Index i, const Call& call) const {
    try {
      return call(index_.path());
    } catch (const Error&) {
      return call(index_.path() + ":" + std::to_string(index_.line(i)));
    }
  }
  template <class Progress>
  void survey(Progress& progress) {
    constexpr Index chunk = 16;
    constexpr Index round = 16384;
    const Index count = index_.size();
    std::vector<DatasetCounts> lanes(static_cast<std::size_t>(lane_count()));
    std::vector<Index> wrong(lanes.size(), count);
    std::vector<std::string> buffers(lanes.size());
    std::vector<std::uint32_t> tokens;  // of a round
    for (Index first = 0; first < count; first += round) {
      const Index last = std::min(count, first + round);
      tokens.assign(static_cast<std::size_t>(last - first), 0);
      parallel_for(ceil_div(last - first, chunk), [&](Index task, Index lane) {
        const auto l = static_cast<std::size_t>(lane);
        for (Index i = first + task * chunk; i < std::min(last, first + (task + 1) * chunk); ++i) {
          try {
            const Record record = parse(i, buffers[l], index_.path());
            lanes[l].dialogues += record.messages.empty() ? 0 : 1;
            Example example = make_example(record, options_, index_.path());
            const Fate fate = fit(example, options_);
            tokens[static_cast<std::size_t>(i - first)] = count_one(example, fate, lanes[l]);
          } catch (const Error&) {
            wrong[l] = std::min(wrong[l], i);
          }
        }
      });
      if (const Index i = *std::min_element(wrong.begin(), wrong.end()); i < count) {
        (void)at(i);  // throws again, with the line of the first of them
      }
      for (const std::uint32_t of_one : tokens) {
        tokens_.push_back(of_one);
      }
      if constexpr (!std::is_null_pointer_v<Progress>) {
        progress(last, count);
      }
    }
    counts_.keys = record(0).keys;
    counts_.records = count;
    for (const DatasetCounts& lane : lanes) {
      counts_.cut += lane.cut;
      counts_.too_long += lane.too_long;
      counts_.untrained += lane.untrained;
      counts_.dialogues += lane.dialogues;
      counts_.tokens += lane.tokens;
      counts_.labelled += lane.labelled;
      counts_.all_trained += lane.all_trained;
      counts_.none_trained += lane.none_trained;
      counts_.without_prompt += lane.without_prompt;
    }
    if (counts_.too_long + counts_.untrained == count) {
      fail("train.427",
           "none of the " + std::to_string(count) + " records can be used: in " + std::to_string(counts_.too_long) +
               " the prompt alone fills the " + std::to_string(options_.longest) + " tokens of --max-seq-len, in " +
               std::to_string(counts_.untrained) + " no token is trained",
           index_.path());
    }
  }
  /// Takes a record into the counts, and returns the tokens of its example, 0 where it is left out.
  [[nodiscard]] static std::uint32_t count_one(const Example& example, Fate fate, DatasetCounts& counts) {
    counts.cut += fate == Fate::cut ? 1 : 0;
    counts.too_long += fate == Fate::too_long ? 1 : 0;
    counts.untrained += fate == Fate::untrained ? 1 : 0;
    if (fate == Fate::too_long || fate == Fate::untrained) {
      return 0;
    }
    counts.tokens += std::ssize(example.ids);
    counts.labelled += example.labelled();
    counts.none_trained += example.labelled() == 0 ? 1 : 0;
    counts.without_prompt += example.prompt == 0 ? 1 : 0;
    counts.all_trained +=
        std::find(example.labels.begin(), example.labels.end(), ignored) == example.labels.end() ? 1 : 0;
    return static_cast<std::uint32_t>(example.ids.size());
  }

  io::RecordIndex index_;
  DatasetOptions options_;
  io::SpilledList<std::uint32_t> tokens_;  // of every record's example; 0: left out
  DatasetCounts counts_;
};

/// The examples of a file in memory, cut and counted. No record at all is train.426, no record that can be used train.427.
[[nodiscard]] inline Dataset load_dataset(const std::string& path, const DatasetOptions& options) {
  Dataset data;
  const ExampleFile file(path, options);
  static_cast<DatasetCounts&>(data) = file.counts();
  const auto kept = file.kept();
  data.examples = file.at(kept.slice(0, kept.size()));
  return data;
}

}  // namespace graft::train
