// SPDX-License-Identifier: Apache-2.0
// A golden model in double with an adapter on it, and how far its numbers are from the golden ones.
#pragma once

#include <algorithm>
#include <string>

#include <graft/backends/reference.hpp>
#include <graft/interchange/open_adapter.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/golden_model.hpp"

namespace graft::test {

using GoldenLlama = models::Llama<Uniform<double>, backends::Reference>;
inline constexpr backends::Reference reference;

/// A golden model with its checkpoint.
struct GoldenBase {
  models::Checkpoint checkpoint;
  models::Fingerprint fingerprint;
  GoldenLlama model;

  explicit GoldenBase(const std::string& name)
      : checkpoint(models::open_checkpoint(golden("models/" + name))),
        fingerprint(models::fingerprint_of(checkpoint)),
        model(GoldenLlama::load(checkpoint)) {}

  template <class StackType>
  [[nodiscard]] auto load(const std::string& folder) {
    return models::load_adapter<StackType>(reference, model, fingerprint,
                                           interchange::open_adapter(folder, model.layer_count()));
  }
};

/// Errors relative to the largest entry, the loss absolute.
struct AdapterErrors {
  double logits = 0;
  double loss = 0;
  double gradients = 0;
};

/// One forward and backward of the attached model against io.safetensors; expected(grafted, name) is a gradient in it.
template <class AttachedType, class Expected>
AdapterErrors golden_errors_of(const GoldenLlama& model, AttachedType& attached, const io::Safetensors& io,
                               Expected expected) {
  const backends::Reference be;
  const std::string facts = io.path().substr(0, io.path().rfind('.')) + ".json";
  const auto base = io::json_get<std::string>(io::parse_json(slurp(facts), facts), "model", facts);
  const train::Batch batch =
      golden_batch(io::Safetensors::open(golden("models/" + base + "/io.safetensors")), {}, attached.inserted());
  auto* member = &attached;
  models::LlamaRun<GoldenLlama, AttachedType> run;
  run.forward(be, model, std::span(&member, 1), batch.ragged, batch.tokens, static_cast<Index>(batch.rows.size()),
              {.keep = true});
  const std::vector<Index> rows = token_rows(batch.ragged);
  Tensor<double> logits(static_cast<Index>(rows.size()), model.config.vocab);
  run.logits(be, model, rows, logits.view());
  AdapterErrors errors;
  errors.logits = relative_error(logits.view(), golden_tensor(io, "logits").view());
  const double loss = mean_of(batch) * run.loss(be, model, batch.rows, batch.targets, mean_of(batch));
  errors.loss = std::abs(loss - golden_tensor(io, "loss")(0, 0));
  run.backward(be, model);
  attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
    grafted.module.for_each_parameter([&](const char* name, Parameter<double>& parameter) {
      const Tensor<double> gradient = expected(grafted, name);
      errors.gradients = std::max(errors.gradients, relative_error(parameter.gradient.view(), gradient.view()));
    });
  });
  return errors;
}
/// The same where key(grafted, name) is a gradient's name there.
template <class AttachedType, class Key>
AdapterErrors golden_errors(const GoldenLlama& model, AttachedType& attached, const io::Safetensors& io, Key key) {
  return golden_errors_of(model, attached, io, [&](const auto& grafted, const char* name) {
    return golden_tensor(io, "grad." + key(grafted, name));
  });
}

/// The largest error of what merge() makes of the weights that a golden file holds merged.
template <class AttachedType>
double merged_error(const GoldenLlama& model, AttachedType& attached, const io::Safetensors& io) {
  double worst = 0;
  attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
    if constexpr (requires(View<double> into) { grafted.module.merge(reference, View<const double>{}, into); }) {
      if (const std::string key = "merged." + grafted.place.name + ".weight"; io.find(key) != nullptr) {
        const auto& block = model.blocks[static_cast<std::size_t>(grafted.place.layer)];
        const View<const double> base = block.linear(grafted.place.where).weight.view();
        Tensor<double> merged(base.rows, base.cols);
        reference.copy(base, merged.view());
        grafted.module.merge(reference, base, merged.view());
        worst = std::max(worst, relative_error(merged.view(), golden_tensor(io, key).view()));
      }
    }
  });
  return worst;
}

/// Checks the golden case adapters/<name> in double: its stack on its model, filled from PEFT's file by PEFT's keys (every
/// tensor of which must have a place), against what PEFT computed. The reader of such folders has tests of its own.
template <class StackType>
void check_peft_case(const StackType& stack, const std::string& name) {
  INFO(name);
  const std::string folder = golden("adapters/" + name);
  const io::Json facts = io::parse_json(slurp(folder + "/io.json"), folder);
  const io::Safetensors io = io::Safetensors::open(folder + "/io.safetensors");
  const io::Safetensors tensors = io::Safetensors::open(folder + "/adapter_model.safetensors");
  GoldenLlama model = GoldenLlama::load(models::open_checkpoint(golden("models/" + facts["model"].get<std::string>())));
  auto attached = attach(reference, model, stack, 1);
  const auto key = [](const auto& grafted, const std::string& own) {
    return "base_model.model." + grafted.place.name + "." + own;
  };
  std::size_t filled = 0;
  attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
    grafted.module.for_each_parameter([&](const char* own, Parameter<double>& parameter) {
      reference.copy(golden_tensor(tensors, key(grafted, own)).view(), parameter.value);
      ++filled;
    });
  });
  CHECK(filled == tensors.tensors().size());
  CHECK(parameter_count(attached) == facts["trainable"].get<Index>());
  const AdapterErrors errors = golden_errors(model, attached, io, key);
  CHECK(errors.logits < 1e-11);
  CHECK(errors.loss < 1e-12);
  CHECK(errors.gradients < 1e-10);
  CHECK(merged_error(model, attached, io) < 1e-12);
}

/// The configuration in an adapter's folder.
inline io::Json adapter_config(const std::string& folder) {
  return io::parse_json(slurp(folder + "/adapter_config.json"), folder);
}

/// A folder with the two files of an adapter, to be broken.
struct AdapterDraft {
  io::Json config;
  std::vector<io::TensorRef> tensors;
  io::Safetensors source;  // what the tensors point into

  explicit AdapterDraft(const std::string& folder)
      : config(adapter_config(folder)), source(io::Safetensors::open(folder + "/adapter_model.safetensors")) {
    tensors.assign(source.tensors().begin(), source.tensors().end());
  }
  [[nodiscard]] io::TensorRef& at(const std::string& name) {
    return *std::find_if(tensors.begin(), tensors.end(), [&](const io::TensorRef& t) { return t.name == name; });
  }
  /// Writes both files; the configuration learns the hash of the tensors where it holds one.
  void write(const std::string& folder) {
    if (config.contains("contents")) {
      config["contents"] = models::contents_hash(tensors);
    }
    models::write_adapter_folder(folder, config, tensors);
  }
};

}  // namespace graft::test
