// SPDX-License-Identifier: Apache-2.0
// graft merge: a model with an adapter in its weights, as a folder that any program for Hugging Face models reads.
#include <algorithm>  // any_of
#include <cstdio>

#include "commands.hpp"
#include "run_folder.hpp"
#include "session.hpp"
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

}  // namespace

int merge(const MergeSettings& settings) {
  if (settings.dtype != "auto" && settings.dtype != "fp32" && settings.dtype != "bf16") {
    fail("train.431", "--dtype is \"" + settings.dtype + "\", expected auto, fp32 or bf16", "--dtype");
  }
  refuse_taken(settings.out, settings.overwrite);
  ModelSettings model;
  model.model = settings.model;
  model.positions = settings.positions;
  Session session(model, settings.adapter);
  const models::Checkpoint& checkpoint = session.checkpoint();
  const std::string dtype = settings.dtype == "auto" ? own_dtype(checkpoint) : settings.dtype;
  const models::MergeReport done = session.engine().merge(checkpoint, settings.out, dtype);
  std::fprintf(stderr, "%s: %s of %s tensors changed, %s, %s\n", settings.out.c_str(),
               with_commas(done.changed).c_str(), with_commas(done.tensors).c_str(), dtype.c_str(),
               done.tokenizer ? "with the tokenizer" : "no tokenizer, since the model has none");
  std::printf("%s\n", settings.out.c_str());
  return exit_success;
}

}  // namespace graft::program
