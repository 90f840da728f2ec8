// SPDX-License-Identifier: Apache-2.0
#include "report_html.hpp"

#include <algorithm>  // max, min
#include <optional>
#include <vector>

#include <graft/io/atomic_file.hpp>
#include <graft/io/jsonl.hpp>
#include <graft/io/path.hpp>

#include "page.hpp"

namespace graft::program {

namespace {

/// Numbers of a curve, and how those of neighbouring steps become one.
struct Curve {
  const char* key;
  bool largest = false;  // else the mean
};

constexpr Curve curves_of_a_log[] = {{"loss"}, {"lr"}, {"grad_norm", true}, {"tokens_per_second"}};

/// The number under `key`; a null, which is how JSON writes what is not finite, is none.
std::optional<double> number_at(const io::Json& record, const char* key) {
  const auto found = record.find(key);
  return found != record.end() && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

/// The records of a run, `each` of them together.
io::Json thinned(const std::vector<io::Json>& records, std::size_t each) {
  io::Json log = {{"step", io::Json::array()}};
  for (const Curve& curve : curves_of_a_log) {
    log[curve.key] = io::Json::array();
  }
  for (std::size_t first = 0; first < records.size(); first += each) {
    const std::size_t end = std::min(first + each, records.size());
    log["step"].push_back(records[end - 1]["step"]);
    for (const Curve& curve : curves_of_a_log) {
      double sum = 0, largest = 0, count = 0;
      for (std::size_t i = first; i < end; ++i) {
        if (const auto value = number_at(records[i], curve.key)) {
          sum += *value;
          largest = std::max(largest, *value);
          ++count;
        }
      }
      log[curve.key].push_back(count == 0 ? io::Json() : io::Json(curve.largest ? largest : sum / count));
    }
  }
  return log;
}

}  // namespace

io::Json page_data(const std::string& folder) {
  std::vector<io::Json> records;
  io::Json valid = io::Json::array();
  io::for_each_record(io::join(folder, "log.jsonl"), [&](const io::Json& record, Index) {
    if (!record.contains("step")) {
      return;
    }
    if (record.contains("valid_loss")) {
      valid.push_back({{"step", record["step"]},
                       {"loss", record["valid_loss"]},
                       {"accuracy", record.value("valid_accuracy", io::Json())}});
    }
    records.push_back(record);
    const auto tokens = number_at(record, "tokens"), seconds = number_at(record, "seconds");
    if (tokens && seconds && *seconds > 0) {
      records.back()["tokens_per_second"] = *tokens / *seconds;
    }
  });
  const std::string edits = io::join(folder, "edits.json");
  return {{"log", thinned(records, records.size() / 2000 + 1)},
          {"valid", valid},
          {"edits", io::exists(edits) ? io::parse_json(io::read_text(edits), edits) : io::Json()}};
}

std::string report_html(const io::Json& data) {
  if (page::chart_js.empty()) {
    fail("train.504",
         "this graft was built without Chart.js, which draws the curves: install Debian's libjs-chart.js (or name the "
         "file by "
         "-D GRAFT_CHART_JS=chart.min.js) and build again",
         "--html");
  }
  std::string json;
  for (const char c : data.dump(-1, ' ', false, io::Json::error_handler_t::replace)) {
    json += c == '<' ? "\\u003c" : std::string(1, c);  // no text of a file can end the element that holds it
  }
  const auto script = [](std::string_view text) { return "<script>\n" + std::string(text) + "\n</script>\n"; };
  return "<!doctype html>\n"
         "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline'; "
         "style-src "
         "'unsafe-inline'; img-src data:\">\n"
         "<meta name=\"viewport\" content=\"width=device-width\">\n<link rel=\"icon\" href=\"data:,\">\n"
         "<title>graft report</title>\n<style>\n" +
         std::string(page::style) +
         "</style>\n</head>\n<body>\n<main id=\"page\"></main>\n"
         "<noscript>The page draws itself by JavaScript, which is switched off here.</noscript>\n"
         "<script type=\"application/json\" id=\"data\">" +
         json + "</script>\n" + script(page::chart_js) + script(page::script) + "</body>\n</html>\n";
}

}  // namespace graft::program
