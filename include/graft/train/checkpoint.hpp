// SPDX-License-Identifier: Apache-2.0
// checkpoint: all that a trainer remembers, in one file that is whole or absent, so that a run goes on bit for bit.
//
// A safetensors file holds each parameter as it is trained, in its own precision, and the optimizer's state; its metadata,
// under "graft", how far the run has come, what it is made of, and the notes of the program that trains. Dropout, order and
// schedule are functions of seed and step: no state of a generator exists.
#pragma once

#include <cstring>  // memcpy
#include <set>
#include <string>
#include <vector>

#include <graft/io/path.hpp>
#include <graft/io/safetensors.hpp>
#include <graft/models/load_adapter.hpp>
#include <graft/train/run_identity.hpp>
#include <graft/train/trainer.hpp>

namespace graft::train {

/// The file of a checkpoint in its folder; where it is, the checkpoint is whole.
inline constexpr std::string_view checkpoint_name = "checkpoint.safetensors";
/// The version of the file's metadata that is written, and the only one that is read.
inline constexpr Index checkpoint_version = 1;

namespace detail {

/// A module whose basis is more than what it trains remembers something that no checkpoint carries: train.456.
template <class B, class TrainerType>
void require_plain_state(TrainerType& trainer) {
  trainer.attached().for_each_module([&](const auto&, const Placement&, auto& grafted) {
    using T = typename std::remove_reference_t<decltype(trainer.attached())>::Scalar;
    if constexpr (models::has_basis<std::remove_cvref_t<decltype(grafted.module)>, B, T>) {
      grafted.module.for_each_parameter([&](std::string_view name, Parameter<T>& p) {
        if (name == "R" && grafted.module.basis().data != p.value.data) {
          fail("train.456", "module \"" + grafted.path() +
                                "\" keeps state beside its parameters, which a checkpoint does not carry");
        }
      });
    }
  });
}

[[nodiscard]] inline io::Json to_json(const TrainerProgress& progress) {
  return {{"steps", progress.steps},
          {"updates", progress.updates},
          {"loss_mean", progress.losses.mean},
          {"losses", progress.losses.count}};
}

[[nodiscard]] inline TrainerProgress progress_from(const io::Json& json, const std::string& where) {
  return {io::json_get<Index>(json, "steps", where),
          io::json_get<Index>(json, "updates", where),
          {io::json_get<double>(json, "loss_mean", where), io::json_get<Index>(json, "losses", where)}};
}

}  // namespace detail

/// What a checkpoint says about itself, read without a model.
struct CheckpointHead {
  TrainerProgress progress;  ///< how far the run had come
  RunIdentity run;           ///< what it is made of
  io::Json notes;            ///< of the program that trains
};

/// Opens the file in `folder`: one that is absent is train.450, one that is cut or damaged io.220 to io.224, one of another
/// format or version train.451.
[[nodiscard]] inline io::Safetensors open_checkpoint_file(const std::string& folder) {
  const std::string path = io::join(folder, checkpoint_name);
  if (!io::exists(path)) {
    fail("train.450", "the folder holds no " + std::string(checkpoint_name) + ", so it is no checkpoint of a run",
         folder);
  }
  return io::Safetensors::open(path);
}

/// The head of an opened checkpoint (train.451).
[[nodiscard]] inline CheckpointHead checkpoint_head(const io::Safetensors& file) {
  const auto text = file.metadata().find("graft");
  const io::Json json = text == file.metadata().end() ? io::Json() : io::parse_json(text->second, file.path());
  if (!json.is_object() || json.value("checkpoint_version", io::Json()) != checkpoint_version) {
    fail("train.451",
         "the file is no checkpoint of version " + std::to_string(checkpoint_version) +
             "; another program or another version of graft wrote it",
         file.path());
  }
  return {detail::progress_from(io::json_get<io::Json>(json, "progress", file.path()), file.path()),
          run_identity_from(io::json_get<io::Json>(json, "run", file.path()), file.path()),
          io::json_get<io::Json>(json, "notes", file.path())};
}

/// Writes the trainer's state into `folder`, which is made where it is absent; an older checkpoint there is replaced in one
/// step. An error (io.202: a full disk) leaves that older one whole and nothing beside it.
template <class TrainerType>
void save_checkpoint(const std::string& folder, TrainerType& trainer, const RunIdentity& run, const io::Json& notes) {
  using T = typename TrainerType::C;
  detail::require_plain_state<typename TrainerType::B>(trainer);
  std::vector<io::TensorRef> tensors;
  trainer.for_each_stored([&](const std::string& name, View<T> values) {
    if (values.size() > 0) {
      tensors.push_back(io::tensor_ref(name, View<const T>(values)));
    }
  });
  const io::Json head = {{"checkpoint_version", checkpoint_version},
                         {"progress", detail::to_json(trainer.progress())},
                         {"run", to_json(run)},
                         {"notes", notes}};
  (void)io::make_folder(folder);
  io::write_safetensors(io::join(folder, checkpoint_name), tensors, {{"graft", head.dump()}});
}

/// Puts the state of a checkpoint back into a trainer that was made as the saved one was, and returns the program's notes.
/// Another run is refused (check_same_run), and so are tensors that are missing, left over, or of another shape or precision
/// (train.455). Nothing is changed before all is checked.
template <class TrainerType>
io::Json load_checkpoint(const std::string& folder, TrainerType& trainer, const RunIdentity& run) {
  using T = typename TrainerType::C;
  const io::Safetensors file = open_checkpoint_file(folder);
  const CheckpointHead head = checkpoint_head(file);
  check_same_run(head.run, run, file.path());
  detail::require_plain_state<typename TrainerType::B>(trainer);
  std::set<std::string> expected;
  trainer.for_each_stored([&](const std::string& name, View<T> values) {
    if (values.size() == 0) {
      return;
    }
    expected.insert(name);
    const std::vector<Index> shape = {values.rows, values.cols};
    const io::TensorRef* found = file.find(name);
    if (found == nullptr || found->dtype != io::dtype_of<T>() || found->shape != shape) {
      const auto text = [](io::Dtype dtype, const std::vector<Index>& extents) {
        return std::string(io::dtype_name(dtype)) + " " + io::shape_text(extents);
      };
      fail("train.455",
           "the trainer remembers \"" + name + "\" as " + text(io::dtype_of<T>(), shape) + ", the checkpoint has " +
               (found == nullptr ? "none" : text(found->dtype, found->shape)),
           file.path());
    }
  });
  for (const io::TensorRef& tensor : file.tensors()) {
    if (!expected.contains(tensor.name)) {
      fail("train.455", "the checkpoint holds \"" + tensor.name + "\", which the trainer does not remember",
           file.path());
    }
  }
  trainer.for_each_stored([&](const std::string& name, View<T> values) {
    if (values.size() > 0) {
      const io::TensorRef& tensor = *file.find(name);
      std::memcpy(values.data, tensor.data, tensor.bytes);
    }
  });
  trainer.resume(head.progress);
  return head.notes;
}

}  // namespace graft::train
