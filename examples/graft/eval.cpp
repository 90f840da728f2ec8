// SPDX-License-Identifier: Apache-2.0
// graft eval: loss, perplexity and accuracy of a model on a data file, and its logits as .npy.
#include <cstdio>
#include <optional>

#include <graft/io/npy.hpp>

#include "commands.hpp"
#include "session.hpp"
#include "words.hpp"

namespace graft::program {

int evaluate(const EvalSettings& settings) {
  if (settings.data.batch_size < 1) {
    fail("train.431", "--batch-size is " + std::to_string(settings.data.batch_size) + ", expected at least 1",
         "--batch-size");
  }
  Session session(settings.model, settings.adapter);
  const Index context = session.config().context;
  const Index window = settings.data.max_seq_len > 0 ? std::min(settings.data.max_seq_len, context) : context;
  const bool shows = !settings.logits.empty();
  const train::Dataset data = session.load(settings.data, settings.data.data, window, shows);
  if (shows && (data.cut > 0 || data.too_long + data.untrained > 0)) {
    fail("train.441",
         std::to_string(data.cut + data.too_long + data.untrained) + " of the " + std::to_string(data.records) +
             " records are empty or longer than the window of " + std::to_string(window) +
             " tokens, so --logits cannot hold every row",
         settings.data.data);
  }
  std::optional<io::NpyWriter> writer;
  LogitsVisitor visit;
  if (shows) {
    writer.emplace(settings.logits, data.tokens, session.config().vocab);
    visit = [&](View<const float> rows) { writer->append(rows); };
  }
  const train::Evaluation found = session.engine().evaluate(data.examples, settings.data.batch_size, visit);
  if (writer) {
    writer->commit();
  }
  if (settings.json) {
    const io::Json result = {{"loss", found.loss()},
                             {"perplexity", found.perplexity()},
                             {"accuracy", found.accuracy()},
                             {"tokens", found.tokens},
                             {"records", data.records},
                             {"cut", data.cut},
                             {"skipped", data.too_long + data.untrained}};
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf("loss        %s\nperplexity  %s\naccuracy    %s %%\ntokens      %s of %s records\n",
                fixed(found.loss(), 6).c_str(), significant(found.perplexity(), 6).c_str(),
                fixed(100 * found.accuracy(), 2).c_str(), with_commas(found.tokens).c_str(),
                with_commas(data.records).c_str());
  }
  if (data.cut + data.too_long + data.untrained > 0) {
    std::fprintf(stderr, "%s: %s cut, %s left out (prompt too long), %s left out (no label)\n",
                 settings.data.data.c_str(), with_commas(data.cut).c_str(), with_commas(data.too_long).c_str(),
                 with_commas(data.untrained).c_str());
  }
  return exit_success;
}

}  // namespace graft::program
