// SPDX-License-Identifier: Apache-2.0
// adapter_directory: our own folder, read and written: adapter_model.safetensors and adapter_config.json.
//
// Tensors carry the names of for_each_parameter, index lists those of for_each_index; a basis is stored as R itself. The
// peft_type "GRAFT_..." is none of PEFT's, so PEFT refuses the folder in its own words.
#pragma once

#include <cerrno>
#include <cstring>  // strerror
#include <list>
#include <set>
#include <string>
#include <vector>

#include <sys/stat.h>  // mkdir
#include <unistd.h>    // rmdir

#include <graft/io/atomic_file.hpp>
#include <graft/io/path.hpp>
#include <graft/io/safetensors.hpp>
#include <graft/models/adapter_file.hpp>
#include <graft/models/load_adapter.hpp>

namespace graft::models {

/// The description in an adapter's folder, by PEFT's name and ours.
inline constexpr std::string_view adapter_config_name = "adapter_config.json";
/// The tensors in an adapter's folder, by PEFT's name and ours.
inline constexpr std::string_view adapter_tensors_name = "adapter_model.safetensors";

/// Writes both files: whole under their final names or not at all, the configuration last. The folder is made where it is
/// absent (and taken away again after an error); other files in it stay. `tensors_name` is that of the tensors' file, `format`
/// what its metadata calls the framework.
inline void write_adapter_folder(const std::string& folder, const io::Json& config,
                                 const std::vector<io::TensorRef>& tensors,
                                 std::string_view tensors_name = adapter_tensors_name,
                                 const std::string& format = "pt") {
  const bool made = io::make_folder(folder);
  try {
    io::AtomicFile text(io::join(folder, adapter_config_name));
    text.write(config.dump(2) + "\n");
    io::write_safetensors(io::join(folder, tensors_name), tensors, {{"format", format}});
    text.commit();
  } catch (...) {
    if (made) {
      ::rmdir(folder.c_str());
    }
    throw;
  }
}

/// Tensors on their way to a file: floats where they lie, anything else rounded to float once.
class Float32Tensors {
 public:
  /// Refuses NaN and infinity (model.513).
  template <scalar T>
  void add(const std::string& name, View<const T> values) {
    if constexpr (std::same_as<T, float>) {
      if (values.contiguous()) {
        return push(io::tensor_ref(name, values));
      }
    }
    Tensor<float>& rounded = rounded_.emplace_back(values.rows, values.cols);
    for (Index i = 0; i < values.rows; ++i) {
      for (Index j = 0; j < values.cols; ++j) {
        rounded(i, j) = static_cast<float>(real_part(values(i, j)));
      }
    }
    push(io::tensor_ref(name, std::as_const(rounded).view()));
  }
  /// An index list, which must outlive this.
  void add(const std::string& name, const std::vector<std::int32_t>& indices) {
    const Index count = std::ssize(indices);
    refs_.push_back(io::tensor_ref(name, View<const std::int32_t>(indices.data(), 1, count), {count}));
  }
  [[nodiscard]] const std::vector<io::TensorRef>& refs() const { return refs_; }  ///< in the order in which they came

 private:
  void push(io::TensorRef tensor) {
    check_finite<float>(*io::in_place<float>(tensor), tensor);
    refs_.push_back(std::move(tensor));
  }

  std::vector<io::TensorRef> refs_;
  std::list<Tensor<float>> rounded_;
};

/// One hash of all names and numbers, by which the two files of a folder know each other.
[[nodiscard]] inline std::string contents_hash(std::vector<io::TensorRef> tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  std::uint64_t hash = io::fnv1a({});
  for (const io::TensorRef& tensor : tensors) {
    hash = io::fnv1a(std::as_bytes(std::span(tensor.name)), hash);
    hash = io::fnv1a({tensor.data, tensor.bytes}, hash);
  }
  return io::hash_text(hash);
}

/// The keys of an object are exactly these (adapter.653, io.212).
inline void only_keys(const io::Json& object, const std::set<std::string>& expected, const std::string& where) {
  if (!object.is_object()) {
    fail("adapter.653", "found " + object.dump().substr(0, 60) + ", expected an object", where);
  }
  for (const auto& [key, value] : object.items()) {
    if (!expected.contains(key)) {
      fail("adapter.653",
           "key \"" + key + "\" is unknown; the nearest known one is \"" +
               io::nearest_name(key, expected, [](const std::string& name) { return name; }) + "\"",
           where);
    }
  }
}

namespace detail {

[[nodiscard]] inline std::string site_word(Sites one) {
  return one == site::residual ? "residual" : std::string(site_name(one));
}

[[nodiscard]] inline Sites sites_from(const std::vector<std::string>& words, const std::string& where) {
  Sites sites = site::none;
  for (const std::string& word : words) {
    Sites one = 1;
    while (one < (1u << site::count) && site_word(one) != word) {
      one <<= 1;
    }
    if (one == (1u << site::count)) {
      fail("adapter.653", "\"" + word + "\" is no site of a decoder", where);
    }
    sites |= one;
  }
  return sites;
}

template <class A, scalar T>
[[nodiscard]] io::Json part_json(const Grafts<A, T>& part) {
  io::Json json = {{"adapter", A::name}, {"policies", policies_of<A>()}, {"settings", settings_of(part.adapter)}};
  Sites sites = site::none;
  io::Json own = io::Json::object();
  for (const Grafted<A, T>& grafted : part.modules) {
    sites |= grafted.place.where;
    if (io::Json settings = settings_of(grafted.recipe); settings != json["settings"]) {
      own[grafted.path()] = std::move(settings);
    }
  }
  json["exceptions"] = std::move(own);
  json["sites"] = io::Json::array();
  for (Sites one = 1; one < (1u << site::count); one <<= 1) {
    if ((sites & one) != 0) {
      json["sites"].push_back(site_word(one));
    }
  }
  const Placement& placement = part.placement;
  json["layers"] = placement.layers.all ? io::Json("all") : io::Json(placement.layers.chosen);
  json["modules"] = placement.modules;
  json["tied"] = placement.tied;
  json["positions"] = placement.positions.all
                          ? io::Json("all")
                          : io::Json{{"first", placement.positions.first}, {"last", placement.positions.last}};
  return json;
}

[[nodiscard]] inline AdapterPart part_from(const io::Json& json, const std::string& where) {
  only_keys(json, {"adapter", "policies", "settings", "exceptions", "sites", "layers", "modules", "tied", "positions"},
            where);
  AdapterPart part;
  part.adapter = io::json_get<std::string>(json, "adapter", where);
  part.policies = io::json_get<io::Json>(json, "policies", where);
  part.settings = io::json_get<io::Json>(json, "settings", where);
  part.exceptions = io::json_get<std::map<std::string, io::Json>>(json, "exceptions", where);
  part.placement.sites = sites_from(io::json_get<std::vector<std::string>>(json, "sites", where), where);
  part.placement.modules = io::json_get<std::vector<std::string>>(json, "modules", where);
  part.placement.tied = io::json_get<bool>(json, "tied", where);
  if (io::json_get<io::Json>(json, "layers", where) != "all") {
    part.placement.layers = only_layers(io::json_get<std::vector<Index>>(json, "layers", where));
  }
  if (const auto positions = io::json_get<io::Json>(json, "positions", where); positions != "all") {
    only_keys(positions, {"first", "last"}, where);
    part.placement.positions =
        ends(io::json_get<Index>(positions, "first", where), io::json_get<Index>(positions, "last", where));
  }
  return part;
}

[[nodiscard]] inline std::string upper_case(std::string text) {
  for (char& c : text) {
    c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return text;
}

}  // namespace detail

/// The version of the folder's format that is written, and the only one that is read.
inline constexpr Index adapter_format_version = 1;

/// Writes every module of the stack, in single precision, with the fingerprint of the base it was trained on.
template <class AttachedType>
void save_adapter(const std::string& folder, AttachedType& attached, const Fingerprint& base,
                  const std::string& base_model) {
  io::Json parts = io::Json::array();
  std::apply(
      [&](const auto&... part) { ((part.modules.empty() ? void() : parts.push_back(detail::part_json(part))), ...); },
      attached.parts);
  using T = typename AttachedType::Scalar;
  Float32Tensors tensors;
  for_each_stored<backends::Reference>(
      attached, AdapterFile{},
      [&](const std::string& key, View<const T> values, const auto&) { tensors.add(key, values); },
      [&](const std::string& key, const auto& indices) { tensors.add(key, indices); });
  const std::string kind = parts.size() == 1 ? parts[0]["adapter"].template get<std::string>() : "stack";
  write_adapter_folder(folder,
                       {{"peft_type", "GRAFT_" + detail::upper_case(kind)},
                        {"format_version", adapter_format_version},
                        {"base_model_name_or_path", base_model},
                        {"base_model", to_json(base)},
                        {"contents", contents_hash(tensors.refs())},
                        {"parts", std::move(parts)}},
                       tensors.refs());
}

/// Reads a folder that save_adapter wrote; `config` is its adapter_config.json.
[[nodiscard]] inline AdapterFile open_adapter_directory(const std::string& folder, const io::Json& config) {
  const std::string where = io::join(folder, adapter_config_name);
  AdapterFile file;
  file.path = folder;
  file.peft_type = io::json_get<std::string>(config, "peft_type", where);
  const auto version = io::json_get<Index>(config, "format_version", where);
  if (version != adapter_format_version) {
    fail("adapter.658",
         "format_version is " + std::to_string(version) + ", expected " + std::to_string(adapter_format_version) +
             "; another version of graft wrote this folder",
         where);
  }
  only_keys(config, {"peft_type", "format_version", "base_model_name_or_path", "base_model", "contents", "parts"},
            where);
  file.base_model = io::json_get<std::string>(config, "base_model_name_or_path", where);
  file.base = fingerprint_from(io::json_get<io::Json>(config, "base_model", where), where);
  for (const auto& part : io::json_get<std::vector<io::Json>>(config, "parts", where)) {
    file.parts.push_back(detail::part_from(part, where));
  }
  file.tensors = io::Safetensors::open(io::join(folder, adapter_tensors_name));
  const std::string found = contents_hash({file.tensors.tensors().begin(), file.tensors.tensors().end()});
  const auto expected = io::json_get<std::string>(config, "contents", where);
  if (found != expected) {
    fail("adapter.659",
         "the tensors have the hash " + found + ", adapter_config.json expects " + expected +
             ": the files come from two savings, or one was changed",
         file.tensors.path());
  }
  return file;
}

}  // namespace graft::models
