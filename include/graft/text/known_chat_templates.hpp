// SPDX-License-Identifier: Apache-2.0
// known_chat_templates: which of graft's templates a checkpoint's own Jinja text is, and templates by name.
// A checkpoint's text is compared whole (in jinja_form): a template that differs in what it renders is not recognised.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>  // move

#include <graft/base/require.hpp>
#include <graft/text/chat_template.hpp>
#include <graft/text/jinja_form.hpp>
#include <graft/text/tokenizer.hpp>

namespace graft::text {

/// The names that chat_template() takes.
inline constexpr std::string_view chat_template_names =
    "chatml, smollm2, qwen2, llama2, llama3, mistral, gemma, zephyr, plain";

namespace detail {

struct KnownTemplate {
  ChatStyle style;
  std::string_view source;  // @system@ stands for a default system turn of any words
};

inline constexpr KnownTemplate known_templates[] = {
    {ChatStyle::chatml,
     "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] +"
     " '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
     "{% endif %}"},
    {ChatStyle::chatml,
     "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
     "{{ '<|im_start|>system\n@system@<|im_end|>\n' }}"
     "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
     "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"},
    {ChatStyle::llama2,
     "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
     "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}"
     "{% set system_message = false %}{% endif %}{% for message in loop_messages %}"
     "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
     "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
     "{% endif %}{% if loop.index0 == 0 and system_message != false %}"
     "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
     "{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
     "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
     "{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"},
    {ChatStyle::llama3,
     "{% set loop_messages = messages %}{% for message in loop_messages %}"
     "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+"
     " message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
     "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
     "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"},
    {ChatStyle::mistral,
     "{{ bos_token }}{% for message in messages %}"
     "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
     "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
     "{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
     "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}"
     "{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"},
    {ChatStyle::gemma,
     "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
     "{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}"
     "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
     "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
     "{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}"
     "{% set role = message['role'] %}{% endif %}"
     "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
     "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"},
    {ChatStyle::zephyr,
     "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
     "{{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n"
     "{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n"
     "{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
     "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}"},
};

inline constexpr std::string_view system_hole = "@system@";

/// What stands in the hole of `known`, if `form` is equal to it elsewhere.
inline std::optional<std::string> match_form(std::string_view form, std::string_view known) {
  const std::size_t hole = known.find(system_hole);
  if (hole == std::string_view::npos) {
    return form == known ? std::optional(std::string()) : std::nullopt;
  }
  const std::string_view before = known.substr(0, hole), after = known.substr(hole + system_hole.size());
  if (form.size() < before.size() + after.size() || !form.starts_with(before) || !form.ends_with(after)) {
    return std::nullopt;
  }
  std::string words;
  const std::string_view found = form.substr(before.size(), form.size() - before.size() - after.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i] == '\'') {  // the string ends: what follows is code
      return std::nullopt;
    }
    i += found[i] == '\\' && i + 1 < found.size() ? 1 : 0;
    words.push_back(found[i]);
  }
  return words.empty() || words.find("<|im_") != std::string::npos ? std::nullopt : std::optional(words);
}

}  // namespace detail

/// The template that a checkpoint's Jinja text is; text.340 with advice where it is none that graft knows.
[[nodiscard]] inline ChatTemplate recognise(const std::string& jinja, std::string bos, std::string eos) {
  const std::string form = jinja_form(jinja);
  for (const detail::KnownTemplate& known : detail::known_templates) {
    if (auto system = detail::match_form(form, jinja_form(known.source))) {
      return {known.style, std::move(*system), std::move(bos), std::move(eos)};
    }
  }
  fail("text.340", "the checkpoint's chat template is " +
                       (jinja.empty() ? "absent" : "none that graft knows (it begins " + jinja.substr(0, 60) + ")") +
                       "; choose one with --chat-template NAME: " + std::string(chat_template_names));
}

/// A template by name; text.341 for a name that is none of chat_template_names.
[[nodiscard]] inline ChatTemplate chat_template(std::string_view name, std::string bos, std::string eos) {
  struct Named {
    std::string_view name;
    ChatStyle style;
    std::string_view system;
  };
  constexpr Named named[] = {
      {"chatml", ChatStyle::chatml, ""},
      {"smollm2", ChatStyle::chatml, "You are a helpful AI assistant named SmolLM, trained by Hugging Face"},
      {"qwen2", ChatStyle::chatml, "You are a helpful assistant."},
      {"llama2", ChatStyle::llama2, ""},
      {"llama3", ChatStyle::llama3, ""},
      {"mistral", ChatStyle::mistral, ""},
      {"gemma", ChatStyle::gemma, ""},
      {"zephyr", ChatStyle::zephyr, ""},
      {"plain", ChatStyle::plain, ""},
  };
  for (const Named& one : named) {
    if (one.name == name) {
      return {one.style, std::string(one.system), std::move(bos), std::move(eos)};
    }
  }
  fail("text.341", "the chat template \"" + std::string(name) + "\" is unknown, expected one of " +
                       std::string(chat_template_names));
}

/// The template of a tokenizer's checkpoint, or the one that `name` asks for where it is not empty.
[[nodiscard]] inline ChatTemplate chat_template_of(const Tokenizer& tokenizer, std::string_view name = {}) {
  const auto spelling = [&](std::optional<std::int32_t> id) {
    return id ? std::string(tokenizer.token(*id)) : std::string();
  };
  return name.empty() ? recognise(tokenizer.chat_template(), spelling(tokenizer.bos()), spelling(tokenizer.eos()))
                      : chat_template(name, spelling(tokenizer.bos()), spelling(tokenizer.eos()));
}

}  // namespace graft::text
