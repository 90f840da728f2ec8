// SPDX-License-Identifier: Apache-2.0
// The page of graft report --html: one file, which opens from disk and asks no network for anything.
#pragma once

#include <string>

#include <graft/io/json.hpp>

namespace graft::program {

/// What the page shows of one run folder beside its run.json: log.jsonl, thinned out to some thousand steps, and edits.json.
/// {log: {step, loss, lr, grad_norm, tokens_per_second}, valid: [{step, loss, accuracy}], edits}
[[nodiscard]] io::Json page_data(const std::string& folder);

/// The page of {runs: [{name, run, log, valid, edits}]}. Texts of the data cannot become markup or script; a program that was
/// built without Chart.js is train.504.
[[nodiscard]] std::string report_html(const io::Json& data);

}  // namespace graft::program
