// SPDX-License-Identifier: Apache-2.0
// pyreft: reads a folder that pyreft saved (config.json, one intkey_*.bin an intervention), and writes one that it loads.
//
// pyreft's files hold neither positions nor activation nor dropout. A folder that graft wrote has positions and the base's
// fingerprint in graft.json beside them. rotate_layer is R'; parametrised, R' = base Q(original) (linalg/householder.hpp).
#pragma once

#include <algorithm>  // any_of, max, sort, unique
#include <cstdint>
#include <list>
#include <map>
#include <memory>  // make_shared
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <graft/interchange/asked_tensors.hpp>
#include <graft/interchange/peft_reader.hpp>
#include <graft/interchange/pyreft_config.hpp>
#include <graft/io/torch_zip.hpp>
#include <graft/linalg/householder.hpp>
#include <graft/models/adapter_directory.hpp>

namespace graft::interchange {

/// What graft writes beside pyreft's own files.
inline constexpr std::string_view pyreft_note_name = "graft.json";

namespace detail {

/// The tensors of one intervention: asked for by any of their names, each at most once, none left over.
class PyreftTensors {
 public:
  explicit PyreftTensors(const std::string& path) : file_(io::open_torch_zip(path)) {
    used_ = {"embed_dim", "interchange_dim"};  // sizes, which the tensors show themselves
  }

  /// The first of these names that is there, or null.
  [[nodiscard]] const io::TensorRef* find(std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (const io::TensorRef* found = file_.find(name)) {
        used_.insert(name);
        return found;
      }
    }
    return nullptr;
  }
  /// The same, in double; a missing one is adapter.764, another shape (0: any) adapter.765.
  [[nodiscard]] Tensor<double> get(std::initializer_list<const char*> names, Index rows, Index cols) {
    const io::TensorRef* found = find(names);
    if (found == nullptr) {
      fail("adapter.764",
           "tensor \"" + std::string(*names.begin()) + "\" is missing; the nearest name in the file is \"" +
               io::nearest_name(*names.begin(), file_.tensors(), [](const io::TensorRef& t) { return t.name; }) + "\"",
           file_.path());
    }
    if (found->shape.size() > 2 || (rows > 0 && found->rows() != rows) || (cols > 0 && found->cols() != cols)) {
      const bool transposed = found->rows() == cols && found->cols() == rows;
      fail("adapter.765",
           "tensor \"" + found->name + "\" has shape " + io::shape_text(found->shape) + ", expected " +
               std::to_string(rows) + " x " + std::to_string(cols) + (transposed ? ": it is transposed" : ""),
           file_.path());
    }
    Tensor<double> values(found->rows(), found->cols());
    io::decode_rows(*found, 0, values.view());
    models::check_finite<double>(values.view(), *found);
    return values;
  }
  /// What was not asked for is adapter.764.
  void nothing_left() const {
    for (const io::TensorRef& tensor : file_.tensors()) {
      if (!used_.contains(tensor.name)) {
        fail("adapter.764",
             "tensor \"" + tensor.name + "\" " + io::shape_text(tensor.shape) +
                 " has no place in an intervention of this class and would be ignored",
             file_.path());
      }
    }
  }
  [[nodiscard]] const std::string& path() const { return file_.path(); }

 private:
  io::NamedTensors file_;
  std::set<std::string> used_;
};

/// R(r,d), W(r,d) where the source reads h, b(1,r).
struct PyreftNumbers {
  Tensor<double> r, w, b;
};

/// R of an orthonormal class: stored as it is, or as base and original.
[[nodiscard]] inline Tensor<double> read_rotation(PyreftTensors& file) {
  if (file.find({"rotate_layer"}) != nullptr) {
    return transposed(file.get({"rotate_layer"}, 0, 0).view());
  }
  const auto original = file.get({"rotate_layer.parametrizations.weight.original"}, 0, 0);
  const Index d = original.rows();
  if (original.cols() >= d) {
    fail("adapter.766",
         "\"rotate_layer.parametrizations.weight.original\" is " + std::to_string(d) + " x " +
             std::to_string(original.cols()) +
             ": for a rank as large as the width torch takes a matrix exponential, which graft does not evaluate",
         file.path());
  }
  const auto base = file.get({"rotate_layer.parametrizations.weight.0.base"}, d, d);
  return linalg::orthonormal_rows(base.view(), original.view());
}

/// The numbers of one intervention. NoReFT's second bias acts through the difference only and is taken off the first;
/// NodiReFT's is never read by pyreft and is passed over with a warning.
[[nodiscard]] inline PyreftNumbers read_numbers(const PyreftUnit& unit, PyreftTensors& file,
                                                std::vector<std::string>& warnings) {
  const io::Json& policies = pyreft_classes().at(unit.kind);
  const bool is_free = policies["basis"] == "free";
  PyreftNumbers numbers;
  numbers.r = is_free ? file.get({"proj_layer.weight"}, 0, 0) : read_rotation(file);
  const Index r = numbers.r.rows();
  const Index d = numbers.r.cols();
  if ((unit.rank > 0 && unit.rank != r) || (unit.width > 0 && unit.width != d)) {
    fail("adapter.765",
         "the intervention is of rank " + std::to_string(r) + " and width " + std::to_string(d) +
             ", config.json says " + std::to_string(unit.rank) + " and " + std::to_string(unit.width),
         file.path());
  }
  if (policies["source"] == "affine") {
    numbers.w = file.get({"weight", "learned_source.weight"}, r, d);
    numbers.b = file.get({"bias", "learned_source.bias"}, 1, r);
  } else {
    numbers.b = file.get({"learned_source"}, 1, r);
  }
  if (is_free && file.find({"proj_layer.bias"}) != nullptr) {
    const auto second = file.get({"proj_layer.bias"}, 1, r);
    if (policies["form"] == "direct") {
      warnings.push_back("\"proj_layer.bias\" of " + file.path() + " was passed over: pyreft never reads it");
    }
    for (Index j = 0; j < r && policies["form"] == "difference"; ++j) {
      numbers.b(0, j) -= second(0, j);
    }
  }
  file.nothing_left();
  return numbers;
}

/// The file of an intervention under any spelling of its key; none is adapter.763.
[[nodiscard]] inline std::string bin_of(const std::string& folder, const PyreftUnit& unit,
                                        const std::vector<std::string>& listed) {
  for (const std::string& key : unit.keys) {
    if (const std::string path = io::join(folder, "intkey_" + key + ".bin"); io::exists(path)) {
      return path;
    }
  }
  fail("adapter.763",
       "the folder holds no \"intkey_" + unit.keys.front() + ".bin\", nor under an older spelling" +
           (listed.empty()
                ? std::string()
                : "; the nearest of sorted_keys is \"" +
                      io::nearest_name(unit.keys.front(), listed, [](const std::string& k) { return k; }) + "\""),
       folder);
}

/// Positions and base from graft.json, where that file is.
inline void read_note(models::AdapterFile& file, std::optional<Positions>& positions) {
  const std::string path = io::join(file.path, pyreft_note_name);
  if (!io::exists(path)) {
    return;
  }
  const io::Json note = io::parse_json(io::read_text(path), path);
  models::only_keys(note, {"positions", "base_model", "base_model_name_or_path"}, path);
  const auto noted = io::json_get<io::Json>(note, "positions", path);
  if (!positions) {
    positions = noted == "all"
                    ? every_position
                    : ends(io::json_get<Index>(noted, "first", path), io::json_get<Index>(noted, "last", path));
  }
  file.base = models::fingerprint_from(io::json_get<io::Json>(note, "base_model", path), path);
  file.base_model = io::json_get<std::string>(note, "base_model_name_or_path", path);
}

/// All interventions of one class as one part.
[[nodiscard]] inline models::AdapterPart pyreft_part(const std::vector<const PyreftUnit*>& units,
                                                     const std::map<std::string, Index>& ranks, bool tied,
                                                     const Positions& positions) {
  models::AdapterPart part;
  part.adapter = adapters::LoReft<>::name;
  part.policies = pyreft_classes().at(units.front()->kind);
  const auto of_rank = [](Index rank) {
    io::Json settings = models::settings_of(adapters::LoReft<>{});
    settings["rank"] = rank;
    return settings;
  };
  part.settings = of_rank(ranks.begin()->second);
  std::vector<std::pair<Index, Sites>> chosen;
  std::vector<Index> layers;
  for (const PyreftUnit* unit : units) {
    chosen.emplace_back(unit->layer, unit->where);
    layers.push_back(unit->layer);
  }
  for (const auto& [path, rank] : ranks) {
    if (rank != part.settings["rank"]) {
      part.exceptions[path] = of_rank(rank);
    }
  }
  std::sort(layers.begin(), layers.end());
  layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
  part.placement = placement_of(chosen, layers.back() + 1);
  part.placement.layers = only_layers(layers);
  part.placement.tied = tied;
  part.placement.positions = positions;
  return part;
}

}  // namespace detail

/// Reads a folder of pyreft as if graft had written it. Positions come from the caller, else from graft.json, else the
/// folder is adapter.767; two interventions at a place are its prefix and suffix, and all places agree on it (adapter.768).
[[nodiscard]] inline models::AdapterFile open_pyreft(const std::string& folder,
                                                     std::optional<Positions> positions = {}) {
  const std::string where = io::join(folder, "config.json");
  const io::Json config = io::parse_json(io::read_text(where), where);
  const std::vector<PyreftUnit> units = read_pyreft_config(config, where);
  const auto listed = io::json_get_or<std::vector<std::string>>(config, "sorted_keys", {}, where);
  models::AdapterFile file;
  file.path = folder;
  file.peft_type = "pyreft";
  detail::read_note(file, positions);
  if (io::exists(io::join(folder, "pytorch_model.bin"))) {
    fail("adapter.769",
         "the folder also holds trained weights of the base (pytorch_model.bin), which graft does not read", folder);
  }
  if (!positions) {
    fail("adapter.767", "pyreft's files do not hold the positions that were edited: give them (f7+l7, or all)", folder);
  }
  const bool tied = std::none_of(units.begin(), units.end(), [](const PyreftUnit& unit) { return unit.turn > 0; });
  if (!tied && (positions->all || positions->first == 0 || positions->last == 0)) {
    fail("adapter.768", "the folder holds prefix and suffix apart, so positions need both: f7+l7, for example", folder);
  }
  const auto memory = std::make_shared<std::list<Tensor<float>>>();
  std::vector<io::TensorRef> tensors;
  std::map<std::string, std::vector<const PyreftUnit*>> classes;
  std::map<std::string, std::map<std::string, Index>> ranks;
  for (const PyreftUnit& unit : units) {
    const auto at_place = [&](const PyreftUnit& other) {
      return other.layer == unit.layer && other.where == unit.where;
    };
    if (std::count_if(units.begin(), units.end(), at_place) != (tied ? 1 : 2)) {
      fail("adapter.768",
           "\"" + module_path(unit.layer, unit.where) +
               "\" has not as many interventions as other places; expected one each, or prefix and suffix each",
           where);
    }
    const std::string path = module_path(unit.layer, unit.where) +
                             (tied            ? "."
                              : unit.turn > 0 ? ".suffix."
                                              : ".prefix.") +
                             std::string(adapters::LoReft<>::name);
    detail::PyreftTensors bin(detail::bin_of(folder, unit, listed));
    const detail::PyreftNumbers numbers = detail::read_numbers(unit, bin, file.warnings);
    const auto keep = [&](const char* name, const Tensor<double>& values) {
      if (values.size() > 0) {
        Tensor<float>& kept = memory->emplace_back(values.rows(), values.cols());
        for (Index i = 0; i < values.size(); ++i) {
          kept.data()[i] = static_cast<float>(values.data()[i]);
        }
        tensors.push_back(io::tensor_ref(path + "." + name, std::as_const(kept).view()));
        tensors.back().file = bin.path();
      }
    };
    keep("R", numbers.r);
    keep("W", numbers.w);
    keep("b", numbers.b);
    classes[unit.kind].push_back(&unit);
    ranks[unit.kind][path] = numbers.r.rows();
  }
  for (const auto& [kind, members] : classes) {
    file.parts.push_back(detail::pyreft_part(members, ranks[kind], tied, *positions));
  }
  file.tensors = {folder, std::move(tensors), memory};
  file.warnings.push_back(
      "pyreft's files hold neither act_fn nor dropout: the source is taken as linear, dropout as 0");
  return file;
}

}  // namespace graft::interchange
