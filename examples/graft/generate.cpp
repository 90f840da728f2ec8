// SPDX-License-Identifier: Apache-2.0
// graft generate: continues a text, or answers a question through the chat template, as it comes.
#include <cstdio>

#include <graft/text/stream_decoder.hpp>

#include "commands.hpp"
#include "interrupt.hpp"
#include "session.hpp"

namespace graft::program {

namespace {

void check(const GenerateSettings& settings) {
  if (settings.prompt.has_value() == settings.chat.has_value()) {
    fail("train.430", "generate needs one of --prompt TEXT and --chat TEXT", "command line");
  }
  const auto refuse = [](const char* flag, const std::string& value, const char* expected) {
    fail("train.431", std::string(flag) + " is " + value + ", expected " + expected, flag);
  };
  if (settings.max_tokens < 1) {
    refuse("--max-tokens", std::to_string(settings.max_tokens), "at least 1");
  }
  if (!(settings.temperature >= 0)) {
    refuse("--temperature", std::to_string(settings.temperature), "at least 0");
  }
  if (!(settings.top_p > 0 && settings.top_p <= 1)) {
    refuse("--top-p", std::to_string(settings.top_p), "more than 0 and at most 1");
  }
}

std::vector<std::int32_t> prompt_ids(const GenerateSettings& settings, const Session& session) {
  const text::Tokenizer& tokenizer = session.tokenizer();
  if (settings.prompt) {
    std::vector<std::int32_t> ids = train::opening(tokenizer);
    const auto rest = tokenizer.encode(*settings.prompt, false);
    ids.insert(ids.end(), rest.begin(), rest.end());
    return ids;
  }
  const text::ChatTemplate* const chat = session.chat();
  if (chat == nullptr) {
    fail("text.340", "the model has no chat template; use --prompt, or choose one with --chat-template NAME",
         session.checkpoint().path);
  }
  std::vector<text::Message> messages;
  if (!settings.system.empty()) {
    messages.push_back({"system", settings.system});
  }
  messages.push_back({"user", *settings.chat});
  return tokenizer.encode(chat->render(messages, true).text, false);
}

}  // namespace

int generate(const GenerateSettings& settings) {
  check(settings);
  Session session(settings.model, settings.adapter);
  const text::Tokenizer& tokenizer = session.tokenizer();
  const std::vector<std::int32_t> prompt = prompt_ids(settings, session);
  train::GenerateOptions options;
  options.most = settings.max_tokens;
  options.sampling = {settings.temperature, settings.top_p, settings.seed};
  options.stop = session.stop_ids();
  listen_for_interrupt();
  text::StreamDecoder decoder(tokenizer, true, prompt.empty());
  std::string shown;
  const auto show = [&](const std::string& part) {
    shown += part;
    if (!settings.json) {
      std::fputs(part.c_str(), stdout);
      std::fflush(stdout);
    }
  };
  const std::vector<std::int32_t> ids = session.engine().generate(prompt, options, [&](std::int32_t id) {
    show(decoder.push(id));
    return !interrupted();
  });
  show(decoder.finish());
  if (settings.json) {
    std::printf("%s\n", io::Json{{"text", shown}, {"ids", ids}}.dump().c_str());
  } else {
    std::printf("\n");
  }
  return interrupted() ? exit_interrupted : exit_success;
}

}  // namespace graft::program
