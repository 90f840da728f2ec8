// SPDX-License-Identifier: Apache-2.0
// ChatTemplate: a conversation as the text that a model was trained on, with the stretches that an assistant said.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>  // move, pair
#include <vector>

#include <graft/base/index.hpp>
#include <graft/base/require.hpp>
#include <graft/text/utf8.hpp>

namespace graft::text {

/// One turn of a conversation.
struct Message {
  std::string role;     ///< "system", "user" or "assistant"
  std::string content;  ///< as it stands in the data
};

/// A rendered conversation. `trained` are the bytes of each assistant turn: its content and the token that ends it.
struct Rendered {
  std::string text;                              ///< its BOS is part of it
  std::vector<std::pair<Index, Index>> trained;  ///< bytes [begin, end), rising
};

/// The families of templates.
enum class ChatStyle : std::uint8_t { chatml, llama2, llama3, mistral, gemma, zephyr, plain };

/// A text without the white space around it, as Python's str.strip leaves it.
[[nodiscard]] inline std::string_view trim(std::string_view text) {
  const auto separator = [](char c) { return c >= 0x1C && c <= 0x1F; };  // white space to Python, not to Unicode
  for (std::size_t n = 1; n > 0;) {
    n = leading_white_space(text);
    n += n < text.size() && separator(text[n]) ? 1 : 0;
    text.remove_prefix(n);
  }
  for (std::size_t n = 1; n > 0;) {
    n = trailing_white_space(text);
    n += n < text.size() && separator(text[text.size() - n - 1]) ? 1 : 0;
    text.remove_suffix(n);
  }
  return text;
}

/// Renders a conversation as the checkpoint's Jinja template would, in one of the styles that are known.
class ChatTemplate {
 public:
  /// `default_system` is what ChatML puts first where a conversation has no system turn of its own (empty: nothing).
  ChatTemplate(ChatStyle style, std::string default_system, std::string bos, std::string eos)
      : style_(style), default_system_(std::move(default_system)), bos_(std::move(bos)), eos_(std::move(eos)) {}

  [[nodiscard]] ChatStyle style() const { return style_; }                             ///< its family
  [[nodiscard]] const std::string& default_system() const { return default_system_; }  ///< of ChatML; empty = none

  /// The conversation as text; what the checkpoint's template refuses is text.342, in its words. The text holds its BOS
  /// itself, so encode it without special tokens. `add_generation_prompt` opens the assistant's next turn.
  [[nodiscard]] Rendered render(std::span<const Message> messages, bool add_generation_prompt) const {
    if (messages.empty()) {
      refuse("a conversation needs a message");
    }
    Rendered out;
    switch (style_) {
      case ChatStyle::chatml: chatml(messages, add_generation_prompt, out); break;
      case ChatStyle::llama2: llama2(messages, out); break;
      case ChatStyle::llama3: llama3(messages, add_generation_prompt, out); break;
      case ChatStyle::mistral: mistral(messages, out); break;
      case ChatStyle::gemma: gemma(messages, add_generation_prompt, out); break;
      case ChatStyle::zephyr: zephyr(messages, add_generation_prompt, out); break;
      case ChatStyle::plain: plain(messages, out); break;
    }
    return out;
  }

 private:
  [[noreturn]] static void refuse(const std::string& why) {
    fail("text.342", "the chat template refuses the conversation: " + why);
  }

  /// Appends a content and its end; they are trained where an assistant says them.
  static void say(const Message& message, std::string_view content, std::string_view end, Rendered& out) {
    const auto begin = static_cast<Index>(out.text.size());
    out.text.append(content).append(end);
    if (message.role == "assistant") {
      out.trained.emplace_back(begin, static_cast<Index>(out.text.size()));
    }
  }

  static void require_turn(const Message& message, std::size_t turn) {
    if ((message.role == "user") != (turn % 2 == 0)) {
      refuse("Conversation roles must alternate user/assistant/user/assistant/...");
    }
  }

  void chatml(std::span<const Message> messages, bool generate, Rendered& out) const {
    if (!default_system_.empty() && messages[0].role != "system") {
      out.text += "<|im_start|>system\n" + default_system_ + "<|im_end|>\n";
    }
    for (const Message& message : messages) {
      out.text += "<|im_start|>" + message.role + "\n";
      say(message, message.content, "<|im_end|>", out);
      out.text += "\n";
    }
    out.text += generate ? "<|im_start|>assistant\n" : "";
  }

  void llama2(std::span<const Message> messages, Rendered& out) const {
    std::string system;
    if (messages[0].role == "system") {
      system = "<<SYS>>\n" + messages[0].content + "\n<</SYS>>\n\n";
      messages = messages.subspan(1);
    }
    for (std::size_t turn = 0; turn < messages.size(); ++turn) {
      const Message& message = messages[turn];
      require_turn(message, turn);
      const std::string content = (turn == 0 ? system : "") + message.content;
      if (message.role == "user") {
        out.text.append(bos_).append("[INST] ").append(trim(content)).append(" [/INST]");
      } else if (message.role == "assistant") {
        say(message, " " + std::string(trim(content)), " " + eos_, out);
      } else {
        refuse("it has no place for the role \"" + message.role + "\"");
      }
    }
  }

  void llama3(std::span<const Message> messages, bool generate, Rendered& out) const {
    out.text += bos_;
    for (const Message& message : messages) {
      out.text += "<|start_header_id|>" + message.role + "<|end_header_id|>\n\n";
      say(message, trim(message.content), "<|eot_id|>", out);
    }
    out.text += generate ? "<|start_header_id|>assistant<|end_header_id|>\n\n" : "";
  }

  void mistral(std::span<const Message> messages, Rendered& out) const {
    out.text += bos_;
    for (std::size_t turn = 0; turn < messages.size(); ++turn) {
      const Message& message = messages[turn];
      require_turn(message, turn);
      if (message.role == "user") {
        out.text += "[INST] " + message.content + " [/INST]";
      } else if (message.role == "assistant") {
        say(message, message.content, eos_, out);
      } else {
        refuse("Only user and assistant roles are supported!");
      }
    }
  }

  void gemma(std::span<const Message> messages, bool generate, Rendered& out) const {
    if (messages[0].role == "system") {
      refuse("System role not supported");
    }
    out.text += bos_;
    for (std::size_t turn = 0; turn < messages.size(); ++turn) {
      const Message& message = messages[turn];
      require_turn(message, turn);
      out.text += "<start_of_turn>" + (message.role == "assistant" ? "model" : message.role) + "\n";
      say(message, trim(message.content), "<end_of_turn>", out);
      out.text += "\n";
    }
    out.text += generate ? "<start_of_turn>model\n" : "";
  }

  void zephyr(std::span<const Message> messages, bool generate, Rendered& out) const {
    for (const Message& message : messages) {
      if (message.role != "system" && message.role != "user" && message.role != "assistant") {
        refuse("it has no place for the role \"" + message.role + "\"");
      }
      out.text += "<|" + message.role + "|>\n";
      say(message, message.content, eos_, out);
      out.text += "\n";
    }
    out.text += generate ? "<|assistant|>\n" : "";
  }

  /// No markers: every content on lines of its own, an assistant's closed by EOS.
  void plain(std::span<const Message> messages, Rendered& out) const {
    for (const Message& message : messages) {
      say(message, message.content, message.role == "assistant" ? eos_ : "", out);
      out.text += "\n";
    }
  }

  ChatStyle style_;
  std::string default_system_;
  std::string bos_;
  std::string eos_;
};

}  // namespace graft::text
