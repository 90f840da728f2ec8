// SPDX-License-Identifier: Apache-2.0
// pyreft_export: writes the Subspace modules of a stack as a folder that pyreft.ReftModel.load reads.
//
// The numbers are fp32. pyreft itself rounds W and b of LoReFT and DiReFT to bf16 while it loads, and cannot load any NoReFT or
// NodiReFT, its own included (it asks for add_bias, which no file holds). Parametrised classes get a completed base (d,d) and
// original = -I, which torch's map turns into the base's first columns.
#pragma once

#include <concepts>
#include <cstdint>
#include <list>
#include <set>
#include <string>
#include <utility>  // as_const
#include <vector>

#include <unistd.h>  // rmdir, unlink

#include <graft/interchange/pyreft.hpp>

namespace graft::interchange {

namespace detail {

/// One module in pyreft's terms.
struct PyreftModule {
  std::string kind;
  Place place;
  Part part = Part::both;
  PyreftNumbers numbers;
};

/// pyreft's class of these policies; empty where it has none.
[[nodiscard]] inline std::string pyreft_class_of(const io::Json& policies) {
  for (const auto& [kind, words] : pyreft_classes()) {
    if (words == policies) {
      return kind;
    }
  }
  return "";
}

template <scalar T>
[[nodiscard]] Tensor<double> in_double(View<const T> values) {
  Tensor<double> copy(values.rows, values.cols);
  for (Index i = 0; i < values.rows; ++i) {
    for (Index j = 0; j < values.cols; ++j) {
      copy(i, j) = static_cast<double>(real_part(values(i, j)));
    }
  }
  return copy;
}

/// The tensors of one intervention, as the class's state dict has them.
[[nodiscard]] inline models::Float32Tensors pyreft_state(const PyreftModule& module) {
  const auto& [r, w, b] = module.numbers;
  models::Float32Tensors state;
  if (module.kind == "LoreftIntervention") {
    state.add("weight", w.view());
    state.add("bias", b.view());
    const Tensor<double> columns = transposed(r.view());
    state.add("rotate_layer", columns.view());
    return state;
  }
  if (module.kind == "NoreftIntervention" || module.kind == "NodireftIntervention") {
    state.add("proj_layer.weight", r.view());
  } else {
    Tensor<double> original(r.cols(), r.rows());
    for (Index i = 0; i < r.rows(); ++i) {
      original(i, i) = -1;
    }
    const Tensor<double> base = transposed(linalg::complete_basis(r.view()).view());
    state.add("rotate_layer.parametrizations.weight.original", std::as_const(original).view());
    state.add("rotate_layer.parametrizations.weight.0.base", base.view());
  }
  if (w.size() > 0) {
    state.add("learned_source.weight", w.view());
  }
  state.add(w.size() > 0 ? "learned_source.bias" : "learned_source", b.view());
  return state;
}

/// Writes one intervention; biases are vectors there, and the width stands twice as a number.
inline void write_bin(const std::string& path, const PyreftModule& module) {
  const models::Float32Tensors state = pyreft_state(module);
  std::vector<io::TensorRef> tensors = state.refs();
  for (io::TensorRef& tensor : tensors) {
    if (tensor.name == "bias" || tensor.name == "learned_source.bias" || tensor.name == "learned_source") {
      tensor.shape = {tensor.cols()};
    }
  }
  const std::int64_t width = module.numbers.r.cols();
  for (const char* name : {"embed_dim", "interchange_dim"}) {
    if (module.kind != "LoreftIntervention") {
      tensors.push_back({name, io::Dtype::i64, {}, reinterpret_cast<const std::byte*>(&width), sizeof width, {}});
    }
  }
  io::write_torch_zip(path, tensors);
}

[[nodiscard]] inline std::string pyreft_component(Sites one) {
  for (const auto& [name, where] : pyvene_components) {
    if (where == one) {
      return std::string(name);
    }
  }
  return "";
}

/// Takes a module, or says in adapter.770 why pyreft has no place for it.
template <class A, scalar T>
[[nodiscard]] PyreftModule to_pyreft(Grafted<A, T>& grafted, const std::string& folder) {
  PyreftModule module{pyreft_class_of(models::policies_of<A>()), grafted.place, grafted.part, {}};
  if (A::name != adapters::LoReft<>::name || module.kind.empty() || pyreft_component(grafted.place.where).empty()) {
    fail("adapter.770",
         "\"" + grafted.path() + "\" (policies " + models::policies_of<A>().dump() +
             ") is no intervention of pyreft on block, attention or feed-forward output",
         folder);
  }
  if constexpr (requires { grafted.module.basis(); }) {
    module.numbers.r = in_double<T>(grafted.module.basis());
    grafted.module.for_each_parameter([&](std::string_view name, Parameter<T>& parameter) {
      if (name == "W" || name == "b") {
        (name == "W" ? module.numbers.w : module.numbers.b) = in_double<T>(View<const T>(parameter.value));
      }
    });
  }
  const bool parametrised =
      models::policies_of<A>().value("basis", "") != "free" && module.kind != "LoreftIntervention";
  if (parametrised && module.numbers.r.rows() >= module.numbers.r.cols()) {
    fail("adapter.770", "\"" + grafted.path() + "\" has a rank as large as its width, for which torch has another map",
         folder);
  }
  return module;
}

}  // namespace detail

/// Writes a stack of Subspace modules as a folder of pyreft, with positions and the base's fingerprint in graft.json. Another
/// adapter, or a member that pyreft lacks, is adapter.770; two rules of positions, or two modules at one place, adapter.771.
/// An error leaves no file behind.
template <class AttachedType>
void write_pyreft(const std::string& folder, AttachedType& attached, const models::Fingerprint& base,
                  const std::string& base_model) {
  std::vector<detail::PyreftModule> modules;
  const Placement* placed = nullptr;
  std::set<std::pair<std::string, Part>> taken;
  for (const Part wanted :
       {Part::prefix, Part::suffix}) {  // pyreft's order: the suffixes of untied pairs follow all else
    attached.for_each_module([&](const auto&, const Placement& placement, auto& grafted) {
      if ((grafted.part == Part::suffix) != (wanted == Part::suffix)) {
        return;
      }
      modules.push_back(detail::to_pyreft(grafted, folder));
      placed = placed == nullptr ? &placement : placed;
      if (placement.positions != placed->positions || placement.splits() != placed->splits() ||
          !taken.insert({grafted.place.name, grafted.part}).second) {
        fail("adapter.771",
             "\"" + grafted.path() +
                 "\" has other positions than the rest of the stack, or stands where another module stands",
             folder);
      }
    });
  }
  if (modules.empty()) {
    fail("adapter.770", "the stack holds no module, so there is nothing to write", folder);
  }
  io::Json config = {{"intervention_constant_sources", io::Json::array()},
                     {"intervention_dimensions", io::Json::array()},
                     {"intervention_types", io::Json::array()},
                     {"mode", "parallel"},
                     {"representations", io::Json::array()},
                     {"sorted_keys", io::Json::array()}};
  const bool made = io::make_folder(folder);
  std::list<std::string> written;
  try {
    for (const detail::PyreftModule& module : modules) {
      const std::string component = detail::pyreft_component(module.place.where);
      const std::string key =
          detail::pyreft_keys(module.place.layer, component, module.part == Part::suffix ? 1 : 0).front();
      io::Json fields = {module.place.layer, component, "pos", 1, module.numbers.r.rows()};
      for (int empty = 0; empty < 9; ++empty) {
        fields.push_back(nullptr);
      }
      config["representations"].push_back(std::move(fields));
      config["intervention_types"].push_back("<class 'pyreft.interventions." + module.kind + "'>");
      config["intervention_dimensions"].push_back(module.numbers.r.cols());
      config["intervention_constant_sources"].push_back(true);
      config["sorted_keys"].push_back(key);
      const std::string path = io::join(folder, "intkey_" + key + ".bin");
      detail::write_bin(path, module);
      written.push_back(path);
    }
    const Positions& positions = placed->positions;
    const io::Json note = {
        {"positions", positions.all ? io::Json("all") : io::Json{{"first", positions.first}, {"last", positions.last}}},
        {"base_model", models::to_json(base)},
        {"base_model_name_or_path", base_model}};
    written.push_back(io::join(folder, pyreft_note_name));
    io::write_text(written.back(), note.dump(2) + "\n");
    io::write_text(io::join(folder, "config.json"), config.dump(2) + "\n");
  } catch (...) {
    for (const std::string& path : written) {
      ::unlink(path.c_str());
    }
    if (made) {
      ::rmdir(folder.c_str());
    }
    throw;
  }
}

}  // namespace graft::interchange
