// SPDX-License-Identifier: Apache-2.0
#include "preview_page.hpp"

#include <algorithm>  // count_if, max
#include <array>
#include <cstdio>

#include <graft/text/utf8.hpp>

namespace graft::program {

namespace {

/// A token's bytes on one line: control characters and bytes of half a character as escapes.
std::string shown(const std::string& bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t whole = text::valid_until(bytes, at);
    for (; at < whole; ++at) {
      const char c = bytes[at];
      if (c == '\n') {
        text += "\\n";
      } else if (c == '\t') {
        text += "\\t";
      } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
        std::array<char, 8> escape{};
        std::snprintf(escape.data(), escape.size(), "\\x%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
        text += escape.data();
      } else {
        text += c;
      }
    }
    if (at < bytes.size()) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "<%02X>",
                    static_cast<unsigned>(static_cast<unsigned char>(bytes[at])));
      text += escape.data();
      ++at;
    }
  }
  return text;
}

std::string html_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
  }
  return out;
}

std::string head_of(const PreviewExample& example, std::size_t number) {
  const auto trained = std::count_if(example.tokens.begin(), example.tokens.end(),
                                     [](const PreviewToken& token) { return token.trained; });
  const auto edited = std::count_if(example.tokens.begin(), example.tokens.end(),
                                    [](const PreviewToken& token) { return !token.edits.empty(); });
  return "example " + std::to_string(number) + " (line " + std::to_string(example.line) +
         "): " + std::to_string(example.tokens.size()) + " tokens, prompt of " + std::to_string(example.prompt) + ", " +
         std::to_string(trained) + " trained" + (edited > 0 ? ", " + std::to_string(edited) + " edited" : "");
}

std::string padded(const std::string& text, std::size_t width, bool right) {
  const std::string blanks(text.size() < width ? width - text.size() : 0, ' ');
  return right ? blanks + text : text + blanks;
}

}  // namespace

std::string preview_text(const Preview& preview, bool colours) {
  const auto paint = [&](const char* code, const std::string& text) {
    return colours ? std::string("\x1b[") + code + "m" + text + "\x1b[0m" : text;
  };
  std::string text;
  for (const std::string& fact : preview.facts) {
    text += fact + "\n";
  }
  for (std::size_t i = 0; i < preview.examples.size(); ++i) {
    const PreviewExample& example = preview.examples[i];
    text += "\n" + paint("1", head_of(example, i + 1)) + "\n";
    if (!example.note.empty()) {
      text += paint("33", example.note) + "\n";
    }
    for (std::size_t t = 0; t < example.tokens.size(); ++t) {
      const PreviewToken& token = example.tokens[t];
      const std::string line = padded(std::to_string(t), 6, true) + padded(std::to_string(token.id), 8, true) + "  ";
      const std::string word = "\"" + shown(token.text) + "\"";
      text += line + (token.trained ? paint("1;34", padded(word, 24, false)) : padded(word, 24, false)) + "  " +
              (token.trained         ? paint("1;34", "trained")
               : token.edits.empty() ? ""
                                     : "       ") +
              (token.edits.empty() ? "" : "  " + paint("33", token.edits));
      text.erase(text.find_last_not_of(' ') + 1);
      text += "\n";
    }
  }
  return text;
}

io::Json preview_json(const Preview& preview) {
  io::Json examples = io::Json::array();
  for (const PreviewExample& example : preview.examples) {
    io::Json tokens = io::Json::array();
    for (const PreviewToken& token : example.tokens) {
      tokens.push_back({{"id", token.id},
                        {"text", text::replace_malformed(token.text)},
                        {"trained", token.trained},
                        {"edits", token.edits}});
    }
    examples.push_back(
        {{"line", example.line}, {"prompt", example.prompt}, {"note", example.note}, {"tokens", tokens}});
  }
  return {{"data", preview.title}, {"facts", preview.facts}, {"warnings", preview.warnings}, {"examples", examples}};
}

std::string preview_html(const Preview& preview) {
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>graft preview: " +
      html_text(preview.title) +
      "</title>\n<style>\n"
      ":root{color-scheme:light dark;--back:#fff;--text:#1b1b1b;--dim:#6b6b6b;--line:#d5d5d5;--trained:#cfe3f7;"
      "--mark:#b35900}\n"
      "@media(prefers-color-scheme:dark){:root{--back:#16181b;--text:#ececec;--dim:#9a9a9a;--line:#3a3d42;"
      "--trained:#1d466e;--mark:#ffb454}}\n"
      "body{background:var(--back);color:var(--text);font:16px/1.6 system-ui,sans-serif;max-width:72rem;margin:2rem "
      "auto;padding:0 1rem}\n"
      "h1{font-size:1.3rem}h2{font-size:1rem;border-top:1px solid var(--line);padding-top:1rem}\n"
      ".facts{color:var(--dim);white-space:pre-wrap;font-family:monospace;font-size:.85rem}\n"
      ".warn{border-left:4px solid var(--mark);padding-left:.7rem;font-weight:600}\n"
      ".tokens{font-family:monospace;line-height:2.6;word-break:break-word}\n"
      ".t{border:1px solid var(--line);border-radius:3px;padding:1px 2px;margin:0 1px;position:relative;"
      "white-space:pre-wrap}\n"
      ".y{background:var(--trained);font-weight:600}\n"
      ".e{border-bottom:3px solid var(--mark)}\n"
      ".e::after{content:attr(data-e);position:absolute;left:0;top:1.35rem;font-size:.62rem;color:var(--mark);"
      "white-space:nowrap}\n"
      "</style></head><body>\n<h1>graft preview: " +
      html_text(preview.title) +
      "</h1>\n<p><span class=\"t y\">trained</span> <span class=\"t\">only read</span> "
      "<span class=\"t e\" data-e=\"f1\">edited</span> (under it the position that the edit counts). Point at a token "
      "for its "
      "number and id.</p>\n";
  for (const std::string& warning : preview.warnings) {
    page += "<p class=\"warn\">" + html_text(warning) + "</p>\n";
  }
  page += "<p class=\"facts\">";
  for (const std::string& fact : preview.facts) {
    page += html_text(fact) + "\n";
  }
  page += "</p>\n";
  for (std::size_t i = 0; i < preview.examples.size(); ++i) {
    const PreviewExample& example = preview.examples[i];
    page += "<h2>" + html_text(head_of(example, i + 1)) + "</h2>\n";
    if (!example.note.empty()) {
      page += "<p class=\"warn\">" + html_text(example.note) + "</p>\n";
    }
    page += "<p class=\"tokens\">";
    for (std::size_t t = 0; t < example.tokens.size(); ++t) {
      const PreviewToken& token = example.tokens[t];
      page += std::string("<span class=\"t") + (token.trained ? " y" : "") + (token.edits.empty() ? "" : " e") +
              "\" title=\"" + std::to_string(t) + ": id " + std::to_string(token.id) +
              (token.trained ? ", trained" : "") + (token.edits.empty() ? "" : ", edited " + html_text(token.edits)) +
              "\" data-e=\"" + html_text(token.edits) + "\">" + html_text(shown(token.text)) + "</span>" +
              (token.text.find('\n') != std::string::npos ? "<br>" : "<wbr>");
    }
    page += "</p>\n";
  }
  return page + "</body></html>\n";
}

}  // namespace graft::program
