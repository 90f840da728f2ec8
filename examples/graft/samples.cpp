// SPDX-License-Identifier: Apache-2.0
#include "samples.hpp"

#include <algorithm>  // find, min

#include "interrupt.hpp"

namespace graft::program {

namespace {

/// At most `most` different prompts of the examples, in their order; a text without one opens with its first half. Prompts
/// that fill half of the window, or 256 tokens, are left out, unless nothing else is there: then the first is cut.
std::vector<std::vector<std::int32_t>> prompts_of(const Session& session, std::span<const train::Example> examples,
                                                  Index most) {
  const Index longest = std::min<Index>(256, session.config().context / 2);
  const auto prompt = [](const train::Example& example, Index limit) {
    const Index count = example.prompt > 0 ? example.prompt : (std::ssize(example.ids) + 1) / 2;
    return std::vector<std::int32_t>(example.ids.begin(), example.ids.begin() + std::min(count, limit));
  };
  std::vector<std::vector<std::int32_t>> prompts;
  for (const train::Example& example : examples) {
    if (std::ssize(prompts) >= most) {
      break;
    }
    std::vector<std::int32_t> ids = prompt(example, longest + 1);
    if (std::ssize(ids) <= longest && std::find(prompts.begin(), prompts.end(), ids) == prompts.end()) {
      prompts.push_back(std::move(ids));
    }
  }
  if (prompts.empty() && most > 0 && !examples.empty()) {
    prompts.push_back(prompt(examples.front(), longest));
  }
  return prompts;
}

/// The text of some ids; without a tokenizer the ids themselves.
std::string text_of(const Session& session, std::span<const std::int32_t> ids) {
  if (session.has_tokenizer()) {
    return session.tokenizer().decode(ids, true);
  }
  std::string text;
  for (const std::int32_t id : ids) {
    text += (text.empty() ? "" : " ") + std::to_string(id);
  }
  return text;
}

std::vector<std::int32_t> ids_of(const Session& session, const std::string& text, bool conversations) {
  const text::Tokenizer& tokenizer = session.tokenizer();
  if (const text::ChatTemplate* const chat = conversations ? session.chat() : nullptr) {
    const text::Message turns[] = {{"user", text}};
    return tokenizer.encode(chat->render(turns, true).text, false);
  }
  return session.ids_of(text);
}

}  // namespace

Samples::Samples(const Session& session, const FinetuneSettings& settings, std::span<const train::Example> examples,
                 bool conversations)
    : most_(settings.sample_tokens) {
  for (const std::string& text : settings.samples) {
    prompts_.push_back(ids_of(session, text, conversations));
    json_.push_back({{"prompt", text}});
  }
  if (settings.samples.empty()) {
    prompts_ = prompts_of(session, examples, settings.sample_count);
    for (const std::vector<std::int32_t>& prompt : prompts_) {
      json_.push_back({{"prompt", text_of(session, prompt)}});
    }
  }
}

void Samples::answer(Session& session, const char* when) {
  if (prompts_.empty() || interrupted()) {
    return;
  }
  const auto answers = session.engine().generate_batch(prompts_, session.answering({.max_tokens = most_}),
                                                       [](Index, std::int32_t) { return !interrupted(); });
  for (std::size_t i = 0; i < answers.size(); ++i) {
    json_[i][when] = text_of(session, answers[i]);
  }
}

void Samples::remember(const io::Json& answered) {
  for (std::size_t i = 0; i < std::min(json_.size(), answered.size()); ++i) {
    if (answered[i].value("prompt", "") == json_[i]["prompt"] && answered[i].contains("before")) {
      json_[i]["before"] = answered[i]["before"];
    }
  }
}

io::Json edits_json(Session& session, std::span<const train::Example> examples, Index prompts) {
  io::Json json;
  const auto probed = prompts_of(session, examples, prompts);
  for (const train::BlockEdits& edits : session.engine().probe(probed)) {
    json["blocks"].push_back(
        {{"first", edits.first}, {"last", edits.last}, {"mean", edits.mean}, {"effective_rank", edits.effective_rank}});
  }
  if (json.contains("blocks")) {
    json["prompts"] = probed.size();
  }
  for (const ChosenSkeleton& chosen : session.engine().skeletons()) {
    json["skeletons"].push_back({{"module", chosen.module},
                                 {"outputs", chosen.outputs},
                                 {"inputs", chosen.inputs},
                                 {"columns", chosen.columns},
                                 {"rows", chosen.rows}});
  }
  return json;
}

}  // namespace graft::program
