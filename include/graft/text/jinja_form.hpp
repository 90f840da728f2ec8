// SPDX-License-Identifier: Apache-2.0
// jinja_form: one spelling for templates that differ in white space, quotes, escapes, or member access only.
#pragma once

#include <algorithm>  // min
#include <cstddef>
#include <string>
#include <string_view>

namespace graft::text {

namespace detail {

/// Text between tags, cut as transformers does it (trim_blocks, lstrip_blocks) and by the minus signs around it.
inline std::string_view jinja_text(std::string_view text, bool opens_source, bool after_block, bool cut_left,
                                   std::string_view next) {
  constexpr std::string_view white = " \t\r\n\f\v";
  bool line_starts = opens_source;
  if (cut_left) {
    text.remove_prefix(std::min(text.find_first_not_of(white), text.size()));
  } else if (after_block && text.starts_with('\n')) {
    text.remove_prefix(1);
    line_starts = true;
  }
  if (next.size() > 2 && next[2] == '-') {
    return text.substr(0, text.find_last_not_of(white) + 1);
  }
  if (next.starts_with("{%")) {
    const std::size_t end = text.find_last_not_of(" \t") + 1;
    return end == 0 ? text.substr(0, line_starts ? 0 : text.size())
                    : text.substr(0, text[end - 1] == '\n' ? end : text.size());
  }
  return text;
}

inline void append_quoted(std::string& form, char c) {
  if (c == '\'' || c == '\\') {
    form.push_back('\\');
  }
  form.push_back(c);
}

/// Appends what stands in a tag: no white space outside strings, strings in single quotes with their escapes resolved.
inline void append_jinja_code(std::string_view code, std::string& form) {
  for (std::size_t i = 0; i < code.size(); ++i) {
    const char c = code[i];
    if (c == '\'' || c == '"') {
      form.push_back('\'');
      for (++i; i < code.size() && code[i] != c; ++i) {
        const bool escape = code[i] == '\\' && i + 1 < code.size();
        i += escape ? 1 : 0;
        append_quoted(form, escape && code[i] == 'n' ? '\n' : escape && code[i] == 't' ? '\t' : code[i]);
      }
      form.push_back('\'');
      continue;
    }
    bool member = false;
    for (const std::string_view name : {".role", ".content"}) {
      if (code.substr(i, name.size()) == name) {
        form.append("['").append(name.substr(1)).append("']");
        i += name.size() - 1;
        member = true;
        break;
      }
    }
    if (!member && std::string_view(" \t\r\n").find(c) == std::string_view::npos) {
      form.push_back(c);
    }
  }
}

}  // namespace detail

/// The form of a template: equal for two only if they render every conversation alike.
[[nodiscard]] inline std::string jinja_form(std::string_view source) {
  source.remove_suffix(source.ends_with('\n') ? 1 : 0);  // Jinja drops the last newline
  std::string form;
  bool after_block = false, cut_left = false;
  for (std::size_t at = 0; at < source.size();) {
    std::size_t open = at;
    while (open < source.size() && source.substr(open, 2) != "{{" && source.substr(open, 2) != "{%") {
      ++open;
    }
    const auto text =
        detail::jinja_text(source.substr(at, open - at), at == 0, after_block, cut_left, source.substr(open, 3));
    if (!text.empty()) {
      form += "{{'";
      for (const char c : text) {
        detail::append_quoted(form, c);
      }
      form += "'}}";
    }
    if (open == source.size()) {
      break;
    }
    const std::string_view close = source[open + 1] == '%' ? "%}" : "}}";
    const std::size_t end = std::min(source.find(close, open + 2), source.size());
    std::string_view code = source.substr(open + 2, end - open - 2);
    cut_left = code.ends_with('-');
    after_block = close[0] == '%';
    code.remove_suffix(cut_left ? 1 : 0);
    code.remove_prefix(code.starts_with('-') ? 1 : 0);
    form.append(source.substr(open, 2));
    detail::append_jinja_code(code, form);
    form.append(close);
    at = std::min(end + 2, source.size());
  }
  return form;
}

}  // namespace graft::text
