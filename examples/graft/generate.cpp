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
  check_answer(settings.answer);
}

std::vector<std::int32_t> prompt_ids(const GenerateSettings& settings, const Session& session) {
  const text::Tokenizer& tokenizer = session.tokenizer();
  if (settings.prompt) {
    return session.ids_of(*settings.prompt);
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
  const train::GenerateOptions options = session.answering(settings.answer);
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
