// SPDX-License-Identifier: Apache-2.0
// The village's stories in a voice: every full stop is said in another way ("Mia sighed, they said.", "Mia sighed!").
#pragma once

#include <string>
#include <vector>

#include <graft/train/dataset.hpp>

namespace graft::village {

/// The examples of stories.jsonl with `stop` in the place of every full stop.
[[nodiscard]] inline std::vector<train::Example> stories_in_voice(const train::DatasetOptions& options,
                                                                  const std::string& stop) {
  const train::ExampleFile file("examples/data/village/stories.jsonl", options);
  std::vector<train::Example> stories;
  for (Index i = 0; i < file.records(); ++i) {
    train::Record record = file.record(i);
    for (std::string* const text : {&record.prompt, &record.completion}) {
      for (std::size_t at = text->find('.'); at != std::string::npos; at = text->find('.', at + stop.size())) {
        text->replace(at, 1, stop);
      }
    }
    stories.push_back(train::make_example(record, options, file.path()));
  }
  return stories;
}

}  // namespace graft::village
