// SPDX-License-Identifier: Apache-2.0
// control_vector: LobiReFT at all positions as a GGUF control vector of llama.cpp, and back.
//
// h + R'b is a constant added to the residual stream: direction.N, one number a column, added after block N counted from 0 (so
// N >= 1: llama.cpp never adds one after the first block). Back, a direction v is a LobiReFT of rank 1 with R = v / |v|, b = |v|.
// Source: llama.cpp, src/llama-adapter.cpp, common/common.cpp (common_control_vector_load).
#pragma once

#include <cmath>
#include <cstdint>
#include <list>
#include <map>
#include <memory>  // make_shared
#include <string>
#include <type_traits>
#include <utility>  // as_const
#include <vector>

#include <graft/adapters/subspace.hpp>
#include <graft/interchange/peft_lora.hpp>  // placement_of
#include <graft/io/write_gguf.hpp>
#include <graft/models/adapter_file.hpp>
#include <graft/models/checkpoint.hpp>
#include <graft/models/gguf_names.hpp>

namespace graft::interchange {

namespace detail {

/// Whether the edit adds a constant: h + R'b, whatever R is.
template <class A>
inline constexpr bool adds_constant = false;
template <Index Rank, basis Basis, class Start>
inline constexpr bool
    adds_constant<adapters::Subspace<Rank, Basis, adapters::policies::Constant, adapters::policies::Direct, Start>> =
        true;

/// Adds R'b of a module to the direction of its layer.
template <class A, scalar T>
void add_direction(Grafted<A, T>& grafted, std::vector<double>& direction) {
  const View<const T> basis = grafted.module.basis();
  grafted.module.for_each_parameter([&](std::string_view name, Parameter<T>& parameter) {
    for (Index i = 0; name == "b" && i < basis.rows; ++i) {
      for (Index j = 0; j < basis.cols; ++j) {
        direction[static_cast<std::size_t>(j)] +=
            static_cast<double>(real_part(parameter.value(0, i))) * static_cast<double>(real_part(basis(i, j)));
      }
    }
  });
}

}  // namespace detail

/// Writes a stack of LobiReFT on the residual stream, at all positions and from the second block on, as one control vector;
/// modules at one block add up. Anything else is adapter.804 with the reason.
template <class AttachedType, class Model>
void write_control_vector(const std::string& path, AttachedType& attached, const Model& model) {
  std::map<Index, std::vector<double>> directions;  // by layer
  attached.for_each_module([&](const auto&, const Placement& placement, auto& grafted) {
    using A = std::remove_cvref_t<decltype(grafted.recipe)>;
    const auto refuse = [&](const std::string& why) {
      fail("adapter.804", "\"" + grafted.path() + "\" " + why + ", so it is no control vector", path);
    };
    if constexpr (!detail::adds_constant<A>) {
      refuse("does not add a constant (LobiReFT does)");
    } else {
      if (grafted.place.where != site::residual) {
        refuse("does not stand on the residual stream after a block");
      }
      if (!placement.positions.all) {
        refuse("edits some positions of a prompt, where llama.cpp adds to every token");
      }
      if (grafted.place.layer == 0) {
        refuse("stands after the first block, where llama.cpp never adds");
      }
      auto& direction = directions[grafted.place.layer];
      direction.resize(static_cast<std::size_t>(grafted.place.outputs));
      detail::add_direction(grafted, direction);
    }
  });
  if (directions.empty()) {
    fail("adapter.804", "the stack holds no module, so there is nothing to write", path);
  }
  io::GgufMetadata metadata;
  metadata.set("general.architecture", "controlvector");
  metadata.set("controlvector.model_hint", models::gguf_architecture(model.config));
  metadata.set("controlvector.layer_count", static_cast<std::int32_t>(directions.size()));
  std::list<std::vector<float>> rounded;
  std::vector<io::TensorRef> refs;
  for (const auto& [layer, direction] : directions) {
    const auto& row = rounded.emplace_back(direction.begin(), direction.end());
    const Index width = std::ssize(row);
    refs.push_back(
        io::tensor_ref("direction." + std::to_string(layer), View<const float>(row.data(), 1, width), {width}));
    models::check_finite<float>(*io::in_place<float>(refs.back()), refs.back());
  }
  io::write_gguf(path, metadata, refs);
}

namespace detail {

/// N of "direction.N", or adapter.805.
[[nodiscard]] inline Index direction_layer(const io::TensorRef& tensor, const models::LlamaConfig& config) {
  for (Index layer = 1; layer < config.layers; ++layer) {
    if (tensor.name == "direction." + std::to_string(layer)) {
      if (tensor.dtype == io::Dtype::f32 && tensor.rows() == 1 && tensor.cols() == config.dim) {
        return layer;
      }
      break;
    }
  }
  fail("adapter.805",
       "tensor \"" + tensor.name + "\" of type " + std::string(io::dtype_name(tensor.dtype)) + " and shape " +
           io::shape_text(tensor.shape) + " is no direction of this model, expected direction.1 to direction." +
           std::to_string(config.layers - 1) + ", F32, [" + std::to_string(config.dim) + "]",
       tensor.file);
}

}  // namespace detail

/// Reads a control vector as the AdapterFile of a LobiReFT of rank 1 at all positions. A file that is none, or does not fit the
/// model, is adapter.805.
[[nodiscard]] inline models::AdapterFile open_control_vector(const std::string& path,
                                                             const models::LlamaConfig& config) {
  const io::Gguf gguf = io::Gguf::open(path);
  const auto kind = gguf.get<std::string_view>("general.architecture").value_or("");
  if (kind != "controlvector" || gguf.tensors().empty()) {
    fail("adapter.805",
         "the file is of architecture \"" + std::string(kind) + "\" with " + std::to_string(gguf.tensors().size()) +
             " tensors, expected \"controlvector\" with one at least",
         path);
  }
  adapters::LobiReft<> recipe;
  recipe.rank = 1;
  models::AdapterFile file;
  file.path = path;
  file.peft_type = "controlvector";
  models::AdapterPart part;
  part.adapter = adapters::LobiReft<>::name;
  part.policies = models::policies_of<adapters::LobiReft<>>();
  part.settings = models::settings_of(recipe);
  const auto memory = std::make_shared<std::list<Tensor<float>>>();
  std::vector<io::TensorRef> tensors;
  std::vector<std::pair<Index, Sites>> places;
  for (const io::TensorRef& tensor : gguf.tensors()) {
    const Index layer = detail::direction_layer(tensor, config);
    places.emplace_back(layer, site::residual);
    Tensor<float>& basis = memory->emplace_back(1, config.dim);
    Tensor<float>& length = memory->emplace_back(1, 1);
    io::decode_rows(tensor, 0, basis.view());
    models::check_finite<float>(std::as_const(basis).view(), tensor);
    double square = 0;
    for (Index j = 0; j < config.dim; ++j) {
      square += static_cast<double>(basis(0, j)) * static_cast<double>(basis(0, j));
    }
    const double norm = std::sqrt(square);
    length(0, 0) = static_cast<float>(norm);
    basis(0, 0) = norm > 0 ? basis(0, 0) : 1;  // any R does where nothing is added
    for (Index j = 0; j < config.dim && norm > 0; ++j) {
      basis(0, j) = static_cast<float>(static_cast<double>(basis(0, j)) / norm);
    }
    const std::string prefix = module_path(layer, site::residual) + "." + part.adapter + ".";
    tensors.push_back(io::tensor_ref(prefix + "R", std::as_const(basis).view()));
    tensors.push_back(io::tensor_ref(prefix + "b", std::as_const(length).view()));
  }
  part.placement = detail::placement_of(places, config.layers);
  file.parts.push_back(std::move(part));
  file.tensors = {path, std::move(tensors), memory};
  return file;
}

}  // namespace graft::interchange
