// SPDX-License-Identifier: Apache-2.0
// graft eval: loss, perplexity and accuracy of a model on a data file, and its logits as .npy.
#include <cstdio>
#include <optional>

#include <graft/io/npy.hpp>

#include "commands.hpp"
#include "data_files.hpp"
#include "eval_task.hpp"
#include "session.hpp"
#include "test_set.hpp"
#include "words.hpp"

namespace graft::program {

int evaluate(const EvalSettings& settings) {
  if (settings.data.batch_size < 1) {
    fail("train.431", "--batch-size is " + std::to_string(settings.data.batch_size) + ", expected at least 1",
         "--batch-size");
  }
  if (!settings.task.empty()) {
    return evaluate_task(settings);
  }
  const std::string path = test_file(settings.data.data, data_files(settings.data.data));
  Session session(settings.model, settings.adapter);
  const Index context = session.config().context;
  const Index window = settings.data.max_seq_len > 0 ? std::min(settings.data.max_seq_len, context) : context;
  const bool shows = !settings.logits.empty();
  if (shows && !settings.choices.empty()) {
    fail("train.430", "--logits and --choices exclude each other", "command line");
  }
  const TestSet data(session, settings.data, path, window, settings.choices, shows);
  const auto& [records, cut, skipped, tokens] = data.counts();
  if (shows && cut + skipped > 0) {
    fail("train.441",
         std::to_string(cut + skipped) + " of the " + std::to_string(records) +
             " records are empty or longer than the window of " + std::to_string(window) +
             " tokens, so --logits cannot hold every row",
         path);
  }
  std::optional<io::NpyWriter> writer;
  LogitsVisitor visit;
  if (shows) {
    writer.emplace(settings.logits, tokens, session.config().vocab);
    visit = [&](View<const float> rows) { writer->append(rows); };
  }
  const Score found = data.measure(session.engine(), settings.data.batch_size, visit);
  if (writer) {
    writer->commit();
  }
  if (settings.json) {
    const io::Json result = {{"loss", found.loss},         {"perplexity", found.perplexity},
                             {"accuracy", found.accuracy}, {"tokens", found.tokens},
                             {"records", records},         {"cut", cut},
                             {"skipped", skipped}};
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf("loss        %s\nperplexity  %s\naccuracy    %s %% of %s\ntokens      %s of %s records\n",
                fixed(found.loss, 6).c_str(), significant(found.perplexity, 6).c_str(),
                fixed(100 * found.accuracy, 2).c_str(), settings.choices.empty() ? "tokens" : "chosen answers",
                with_commas(found.tokens).c_str(), with_commas(records).c_str());
  }
  if (cut + skipped > 0) {
    std::fprintf(stderr, "%s\n", data.text().c_str());
  }
  return exit_success;
}

}  // namespace graft::program
