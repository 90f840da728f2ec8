// SPDX-License-Identifier: Apache-2.0
// graft merge: a model with an adapter in its weights, as files that need no graft, and a receipt that they are it.
#include <algorithm>  // any_of, find_if
#include <cstdio>
#include <memory>
#include <vector>

#include <graft/models/open_checkpoint.hpp>

#include "commands.hpp"
#include "exports.hpp"
#include "receipt.hpp"
#include "run_folder.hpp"
#include "words.hpp"

namespace graft::program {

namespace {

/// "fp32" where the checkpoint holds a matrix in it, else "bf16".
std::string own_dtype(const models::Checkpoint& checkpoint) {
  const bool wide = std::any_of(checkpoint.tensors.begin(), checkpoint.tensors.end(), [](const io::TensorRef& tensor) {
    return tensor.shape.size() > 1 && (tensor.dtype == io::Dtype::f32 || tensor.dtype == io::Dtype::f64);
  });
  return wide ? "fp32" : "bf16";
}

/// The row of merge_formats that the flags name.
const MergeFormat& format_asked_for(const MergeSettings& settings) {
  std::string format = settings.format == "auto" ? "hf" : settings.format;
  for (const MergeFormat& row : merge_formats) {
    if (settings.format == "auto" && !row.ending.empty() && settings.out.ends_with(row.ending)) {
      format = row.name;
    }
  }
  std::vector<const MergeFormat*> rows;
  std::string dtypes;
  for (const MergeFormat& row : merge_formats) {
    if (row.name == format) {
      rows.push_back(&row);
      dtypes += ", " + std::string(row.dtype);
    }
  }
  if (rows.empty()) {
    fail("train.431", "--format is \"" + format + "\", expected auto, " + names_of(merge_formats), "--format");
  }
  const std::string dtype =
      settings.dtype == "auto" ? own_dtype(models::open_checkpoint(settings.model)) : settings.dtype;
  const auto same = std::find_if(rows.begin(), rows.end(), [&](const MergeFormat* row) { return row->dtype == dtype; });
  if (same == rows.end() && settings.dtype != "auto") {
    fail("train.431", "--dtype is \"" + dtype + "\", expected auto" + dtypes, "--dtype");
  }
  return same == rows.end() ? *rows.front() : **same;
}

}  // namespace

int merge(const MergeSettings& settings) {
  const MergeFormat& to = format_asked_for(settings);
  refuse_taken(settings.out, settings.overwrite, to.ending);
  Draft draft(settings.out, to.ending);
  // What is written in fp32 is compared in it; anything else as the program runs such a model.
  ModelSettings model = witnessed(settings.model, settings.adapter, to.dtype == "fp32" ? "fp32" : "auto");
  model.positions = settings.positions;
  auto session = std::make_unique<Session>(model, settings.adapter);
  models::MergeReport done;
  io::Json receipt = draft.named([&] {
    done = session->engine().merge(session->checkpoint(), draft.path(), to);
    Witness witness(*session);
    model.dtype = session->engine().precision();
    model.model = draft.path();
    model.quiet = true;
    model.positions.clear();
    session.reset();  // two models are never in memory
    session = std::make_unique<Session>(model);
    return witness.receipt(*session, std::string(to.dtype));
  });
  session.reset();
  receipt.update({{"format", to.name},
                  {"model", settings.model},
                  {"adapter", settings.adapter},
                  {"tensors", done.tensors},
                  {"changed", done.changed},
                  {"added", done.added}});
  commit_with_receipt(draft, settings.out, receipt);
  const std::string added = done.added > 0 ? ", of them " + with_commas(done.added) + " new biases" : "";
  std::fprintf(stderr, "%s: %s of %s tensors changed%s, %s, %s\n", settings.out.c_str(),
               with_commas(done.changed).c_str(), with_commas(done.tensors).c_str(), added.c_str(),
               std::string(to.dtype).c_str(),
               done.tokenizer ? "with the tokenizer" : "no tokenizer, since the model has none");
  std::printf("%s\n", settings.json ? receipt.dump().c_str() : settings.out.c_str());
  return exit_success;
}

}  // namespace graft::program
