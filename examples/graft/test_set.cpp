// SPDX-License-Identifier: Apache-2.0
#include "test_set.hpp"

#include "words.hpp"

namespace graft::program {

TestSet::TestSet(const Session& session, const DataSettings& data, const std::string& path, Index longest,
                 const std::vector<std::string>& answers, bool keep_unlabelled) {
  if (answers.empty()) {
    train::Dataset read = session.load(data, path, longest, keep_unlabelled);
    counts_ = {read.records, read.cut, read.too_long + read.untrained, read.tokens};
    json_ = counts_json(path, read);
    text_ = path + ": " + counts_text(read);
    examples_ = std::move(read.examples);
    return;
  }
  choices_ = session.load_choices(data, path, longest, answers);
  counts_ = {choices_->records, 0, choices_->too_long, 0};
  json_ = {{"path", path}, {"records", choices_->records}, {"too_long", choices_->too_long}, {"choices", answers}};
  text_ = path + ": " + with_commas(choices_->records) + " questions of " + std::to_string(answers.size()) +
          " answers" + (choices_->too_long > 0 ? "; " + with_commas(choices_->too_long) + " left out (too long)" : "");
}

Index TestSet::size() const {
  return choices_ ? std::ssize(choices_->right) : std::ssize(examples_);
}

Score TestSet::measure(Engine& engine, Index batch_size, const LogitsVisitor& visit) const {
  const std::vector<train::Evaluation> each = engine.evaluate(examples(), batch_size, visit);
  if (choices_) {
    const train::ChoiceScore score = train::choose(*choices_, each);
    return {score.likelihood.loss(), score.likelihood.perplexity(), score.accuracy(), score.likelihood.tokens};
  }
  const train::Evaluation found = train::total(each);
  return {found.loss(), found.perplexity(), found.accuracy(), found.tokens};
}

io::Json counts_json(const std::string& path, const train::Dataset& data) {
  return {{"path", path},
          {"keys", data.keys},
          {"records", data.records},
          {"examples", data.examples.size()},
          {"cut", data.cut},
          {"too_long", data.too_long},
          {"untrained", data.untrained},
          {"tokens", data.tokens},
          {"trained_tokens", data.labelled}};
}

std::string counts_text(const train::Dataset& data) {
  std::string text =
      with_commas(data.records) + " records {" + data.keys + "}, " + with_commas(data.tokens) + " tokens";
  text += data.cut > 0 ? "; " + with_commas(data.cut) + " cut" : "";
  text += data.too_long > 0 ? "; " + with_commas(data.too_long) + " left out (prompt too long)" : "";
  return text + (data.untrained > 0 ? "; " + with_commas(data.untrained) + " left out (nothing to train)" : "");
}

}  // namespace graft::program
