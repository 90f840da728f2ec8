// SPDX-License-Identifier: Apache-2.0
// graft chat: one model, several adapters in memory, and a conversation with any of them, or with two side by side.
#include <unistd.h>

#include <algorithm>  // any_of, find_if
#include <cstdio>
#include <iostream>
#include <string>
#include <utility>  // move

#include <graft/adapters/full.hpp>
#include <graft/io/nearest.hpp>
#include <graft/text/pcre2.hpp>
#include <graft/text/stream_decoder.hpp>

#include "commands.hpp"
#include "session.hpp"

namespace graft::program {

namespace {

constexpr const char* chat_commands =
    "/adapter NAME  talk to this adapter       /base   to the bare model       /both   to both, one after the other\n"
    "/system TEXT   the system turn from here  /reset  forget what was said    /quit   end\n";

/// Who answers: the bare model or an adapter, with a conversation of its own.
struct Voice {
  std::string name;
  std::vector<text::Message> said;
};

class Chat {
 public:
  explicit Chat(const ChatSettings& settings) : s_(settings), session_(s_.model), system_(s_.system) {
    voices_.push_back({"base", {}});
    for (const std::string& words : s_.adapters) {
      load(words);
    }
    adapter_ = voices_.size() > 1 ? 1 : 0;
    (void)session_.tokenizer();
    if (session_.chat() == nullptr) {
      std::fputs("the model has no chat template: each line is continued for itself (--chat-template names one)\n",
                 stderr);
    }
  }

  int run() {
    const bool terminal = ::isatty(STDIN_FILENO) == 1;
    if (terminal) {
      std::fputs(chat_commands, stderr);
    }
    const auto ask = [&] { return !terminal || std::fputs("> ", stderr) >= 0; };
    for (std::string line; ask() && std::getline(std::cin, line);) {
      if (line.empty()) {
        continue;
      }
      if (line == "/quit" || line == "/exit") {
        break;
      }
      try {
        if (line.front() == '/') {
          obey(line);
        } else {
          tell(line);
        }
      } catch (const Error& error) {
        if (!terminal) {
          throw;
        }
        std::fprintf(stderr, "%s\n", error.what());
      }
    }
    return exit_success;
  }

 private:
  /// "NAME=DIR", or a folder that gives the name.
  void load(const std::string& words) {
    const std::size_t equals = words.find('=');
    const std::string folder = equals == std::string::npos ? words : words.substr(equals + 1);
    std::string name = equals == std::string::npos ? folder : words.substr(0, equals);
    while (equals == std::string::npos && name.size() > 1 && name.back() == '/') {
      name.pop_back();
    }
    name = equals == std::string::npos ? name.substr(name.rfind('/') + 1) : name;
    if (name.empty() || named(name) != voices_.end()) {
      fail("train.502", "the name \"" + name + "\" is taken or empty; give each adapter one of its own: NAME=DIR",
           words);
    }
    const models::AdapterFile file = open_any_adapter(folder, s_.model.positions, session_.config());
    for (const std::string& warning : file.warnings) {
      std::fprintf(stderr, "%s: %s\n", folder.c_str(), warning.c_str());
    }
    if (std::any_of(file.parts.begin(), file.parts.end(),
                    [](const models::AdapterPart& part) { return part.adapter == adapters::Full::name; })) {
      fail("train.503",
           "full finetuning changes the weights that base and all adapters share; merge it, and chat with that",
           folder);
    }
    session_.engine().load_adapter(file);
    voices_.push_back({name, {}});
  }

  std::vector<Voice>::iterator named(const std::string& name) {
    return std::find_if(voices_.begin(), voices_.end(), [&](const Voice& voice) { return voice.name == name; });
  }

  void obey(const std::string& line) {
    const std::size_t blank = line.find(' ');
    const std::string command = line.substr(0, blank);
    const std::string rest = blank == std::string::npos ? "" : line.substr(blank + 1);
    if (command == "/base") {
      base_ = true;
      tuned_ = false;
    } else if (command == "/both" || command == "/adapter") {
      if (command == "/adapter" && !rest.empty()) {
        choose(rest);
      }
      if (adapter_ == 0) {
        fail("train.501", "no adapter is loaded: start with --adapter DIR", command);
      }
      base_ = command == "/both";
      tuned_ = true;
    } else if (command == "/system") {
      system_ = rest;
      forget();
    } else if (command == "/reset") {
      forget();
    } else if (command == "/help") {
      std::fputs(chat_commands, stderr);
    } else {
      const std::vector<std::string> names = {"/adapter", "/base", "/both", "/system", "/reset", "/help", "/quit"};
      fail("train.501",
           "unknown command \"" + command + "\"; did you mean \"" +
               io::nearest_name(command, names, [](const std::string& name) { return name; }) + "\"?",
           line);
    }
  }

  void choose(const std::string& name) {
    const auto found = named(name);
    if (found == voices_.end() || found == voices_.begin()) {
      std::string known;
      for (std::size_t i = 1; i < voices_.size(); ++i) {
        known += (known.empty() ? "" : ", ") + voices_[i].name;
      }
      fail("train.501", "no adapter is called \"" + name + "\"; loaded: " + (known.empty() ? "none" : known),
           "/adapter");
    }
    adapter_ = static_cast<std::size_t>(found - voices_.begin());
  }

  void forget() {
    for (Voice& voice : voices_) {
      voice.said.clear();
    }
  }

  void tell(const std::string& line) {
    if (base_ || adapter_ == 0) {
      answer(0, line);
    }
    if (tuned_ && adapter_ > 0) {
      answer(adapter_, line);
    }
  }

  void answer(std::size_t number, const std::string& line) {
    Voice& voice = voices_[number];
    const text::Tokenizer& tokenizer = session_.tokenizer();
    const text::ChatTemplate* const chat = session_.chat();
    std::vector<text::Message> said = voice.said;
    if (said.empty() && !system_.empty()) {
      said.push_back({"system", system_});
    }
    said.push_back({"user", line});
    const std::vector<std::int32_t> prompt =
        chat != nullptr ? tokenizer.encode(chat->render(said, true).text, false) : session_.ids_of(line);
    const train::GenerateOptions options = session_.answering(s_.answer);
    text::StreamDecoder decoder(tokenizer, true, prompt.empty());
    std::string shown;
    const auto show = [&](const std::string& part) {
      std::fputs(((shown.empty() && !part.empty() ? voice.name + ": " : "") + part).c_str(), stdout);
      std::fflush(stdout);
      shown += part;
    };
    session_.engine().use_adapter(static_cast<Index>(number));
    (void)session_.engine().generate(prompt, options, [&](std::int32_t id) {
      show(decoder.push(id));
      return true;
    });
    show(decoder.finish());
    std::fputs(shown.empty() ? (voice.name + ":\n").c_str() : "\n", stdout);
    std::fflush(stdout);
    said.push_back({"assistant", shown});
    voice.said = std::move(said);
  }

  const ChatSettings& s_;
  Session session_;
  std::string system_;
  std::vector<Voice> voices_;  // the bare model, then the adapters as the engine numbers them
  std::size_t adapter_ = 0;    // the chosen one
  bool base_ = true, tuned_ = true;
};

}  // namespace

int chat(const ChatSettings& settings) {
  check_answer(settings.answer);
  return Chat(settings).run();
}

}  // namespace graft::program
