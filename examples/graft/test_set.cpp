// SPDX-License-Identifier: Apache-2.0
#include "test_set.hpp"

#include <algorithm>  // count_if, min, partial_sort

#include "words.hpp"

namespace graft::program {

TestSet::TestSet(const Session& session, const DataSettings& data, const std::string& path, Index longest,
                 const std::vector<std::string>& answers, bool keep_unlabelled) {
  if (answers.empty()) {
    own_ = std::make_shared<const train::ExampleFile>(session.open(data, path, longest, keep_unlabelled));
    file_ = own_.get();
    list_ = file_->kept();
    const train::DatasetCounts& read = file_->counts();
    counts_ = {read.records, read.cut, read.too_long + read.untrained, read.tokens};
    json_ = counts_json(path, read);
    text_ = path + ": " + counts_text(read);
    return;
  }
  choices_ = session.load_choices(data, path, longest, answers);
  counts_ = {choices_->records, 0, choices_->too_long, 0};
  json_ = {{"path", path}, {"records", choices_->records}, {"too_long", choices_->too_long}, {"choices", answers}};
  text_ = path + ": " + with_commas(choices_->records) + " questions of " + std::to_string(answers.size()) +
          " answers" + (choices_->too_long > 0 ? "; " + with_commas(choices_->too_long) + " left out (too long)" : "");
}

Index TestSet::size() const {
  return choices_ ? std::ssize(choices_->right) : list_.size();
}

Index TestSet::without_prompt() const {
  if (choices_) {
    return std::count_if(choices_->examples.begin(), choices_->examples.end(),
                         [](const train::Example& example) { return example.prompt == 0; });
  }
  return own_ ? own_->counts().without_prompt : 0;  // records of the training file are counted there
}

std::vector<train::Example> TestSet::first(Index count) const {
  if (choices_) {
    const auto& all = choices_->examples;
    return {all.begin(), all.begin() + std::min(count, std::ssize(all))};
  }
  return file_->at(list_.slice(0, count));
}

train::Batch TestSet::largest(Index batch_size, Index inserted) const {
  if (empty()) {
    return {};
  }
  if (!choices_) {
    return train::largest_batch(*file_, list_, batch_size, inserted);
  }
  std::vector<Index> order = train::epoch_order(std::ssize(choices_->examples), Random(0));
  const Index count = std::min(batch_size, std::ssize(order));
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](Index a, Index b) {
    const auto length = [&](Index i) { return choices_->examples[static_cast<std::size_t>(i)].ids.size(); };
    return length(a) > length(b);
  });
  order.resize(static_cast<std::size_t>(count));
  return train::make_batch(choices_->examples, order, inserted);
}

Score TestSet::measure(Engine& engine, Index batch_size, const LogitsVisitor& visit) const {
  if (choices_) {
    const train::ChoiceScore score = train::choose(*choices_, engine.evaluate(choices_->examples, batch_size, visit));
    return {score.likelihood.loss(), score.likelihood.perplexity(), score.accuracy(), score.likelihood.tokens};
  }
  train::Evaluation found;
  const Index slice = 32 * batch_size;  // examples in memory at once
  for (Index first = 0; first < size(); first += slice) {
    std::vector<train::Evaluation> each = engine.evaluate(file_->at(list_.slice(first, slice)), batch_size, visit);
    each.insert(each.begin(), found);
    found = train::total(each);
  }
  return {found.loss(), found.perplexity(), found.accuracy(), found.tokens};
}

io::Json counts_json(const std::string& path, const train::DatasetCounts& data) {
  return {{"path", path},
          {"keys", data.keys},
          {"records", data.records},
          {"examples", data.records - data.too_long - data.untrained},
          {"cut", data.cut},
          {"too_long", data.too_long},
          {"untrained", data.untrained},
          {"tokens", data.tokens},
          {"trained_tokens", data.labelled}};
}

std::string counts_text(const train::DatasetCounts& data) {
  std::string text =
      with_commas(data.records) + " records {" + data.keys + "}, " + with_commas(data.tokens) + " tokens";
  text += data.cut > 0 ? "; " + with_commas(data.cut) + " cut" : "";
  text += data.too_long > 0 ? "; " + with_commas(data.too_long) + " left out (prompt too long)" : "";
  return text + (data.untrained > 0 ? "; " + with_commas(data.untrained) + " left out (nothing to train)" : "");
}

}  // namespace graft::program
