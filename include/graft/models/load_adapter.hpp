// SPDX-License-Identifier: Apache-2.0
// load_adapter: makes the modules that an AdapterFile describes and fills them with its numbers, exactly and completely.
#pragma once

#include <algorithm>  // max
#include <concepts>
#include <set>
#include <string>
#include <vector>

#include <graft/adapters/policies/basis.hpp>     // Orthonormal
#include <graft/adapters/policies/selector.hpp>  // Skeleton
#include <graft/io/decode.hpp>
#include <graft/models/adapter_file.hpp>
#include <graft/models/attach.hpp>

namespace graft::models {

/// What a user may waive.
struct LoadOptions {
  bool any_base = false;  ///< the adapter was trained on other weights, and that is meant
};

/// A module that is continued from a given basis, whatever its chart trains.
template <class Module, class B, class T>
concept has_basis = requires(Module& module, const B& be, View<const T> rows) {
  { module.basis() } -> std::convertible_to<View<const T>>;
  module.set_basis(be, rows);
};

/// Calls visit(key, view of the values, grafted) for the parameters and the frozen factors that a file holds, once for what
/// modules share, and list(key, indices).
template <class B, class AttachedType, class Visit, class List>
void for_each_stored(AttachedType& attached, const AdapterFile& file, Visit&& visit, List&& list) {
  using T = typename AttachedType::Scalar;
  std::set<std::string> shared;
  attached.for_each_module([&](const auto& recipe, const Placement&, auto& grafted) {
    auto& module = grafted.module;
    if constexpr (requires { module.for_each_shared([](const char*, View<const T>) {}); }) {
      module.for_each_shared([&](const char* name, View<const T> values) {
        const std::string key = file.template shared_key<std::remove_cvref_t<decltype(recipe)>>(name);
        if (shared.insert(key).second) {
          visit(key, values, grafted);
        }
      });
    }
    module.for_each_parameter([&](std::string_view name, Parameter<T>& parameter) {
      if constexpr (has_basis<std::remove_cvref_t<decltype(module)>, B, T>) {
        if (name == "R") {
          return visit(file.key(grafted, name), module.basis(), grafted);
        }
      }
      visit(file.key(grafted, name), View<const T>(parameter.value), grafted);
    });
    if constexpr (requires { module.for_each_frozen([](const char*, View<T>) {}); }) {
      module.for_each_frozen(
          [&](const char* name, View<T> values) { visit(file.key(grafted, name), View<const T>(values), grafted); });
    }
    if constexpr (requires { module.for_each_index([](const char*, std::vector<std::int32_t>&) {}); }) {
      module.for_each_index(
          [&](const char* name, std::vector<std::int32_t>& indices) { list(file.key(grafted, name), indices); });
    }
  });
}

namespace detail {

/// The index list of that key, each number one that an int32 holds.
[[nodiscard]] inline std::vector<std::int32_t> index_list(const AdapterFile& file, const std::string& key) {
  const io::TensorRef* found = file.tensors.find(key);
  const io::TensorRef& tensor = file.tensor(key, {found == nullptr ? 0 : found->cols()});
  std::vector<std::int32_t> list;
  for (const Index index : io::read_integers(tensor)) {
    if (!std::in_range<std::int32_t>(index)) {
      fail("adapter.655", "tensor \"" + key + "\" holds the index " + std::to_string(index), tensor.file);
    }
    list.push_back(static_cast<std::int32_t>(index));
  }
  return list;
}

/// Makes modules with the settings and skeletons of a file, where attach would select or factor the weight again.
struct FileModules {
  const AdapterFile& file;

  /// What the modules of an adapter share: the file's own where it carries that, else drawn as ever.
  template <class Module, class A>
    requires requires { A::carried; }
  [[nodiscard]] typename Module::Shared shared(const A& recipe, Index outputs, Index inputs) const {
    if (recipe.projection_seed != A::carried) {
      return Module::shared(recipe, outputs, inputs);
    }
    return Module::shared_from([&](const char* name) {
      const std::string key = file.template shared_key<A>(name);
      const io::TensorRef* found = file.tensors.find(key);
      const Index rows = found == nullptr ? 0 : found->rows();
      const io::TensorRef& tensor = file.tensor(key, {rows, found == nullptr ? 0 : found->cols()});
      decltype(Module::Shared::a) values(tensor.rows(), tensor.cols());
      io::decode_rows(tensor, 0, values.view());
      check_finite(std::as_const(values).view(), tensor);
      return values;
    });
  }

  template <class Model, class A>
  void operator()(const typename Model::Backend& be, Model& model, Grafted<A, typename Model::C>& grafted,
                  Random random) const {
    using Module = typename A::template Module<typename Model::C>;
    for (const AdapterPart& part : file.parts) {
      if (const auto own = part.exceptions.find(grafted.path()); own != part.exceptions.end()) {
        apply_settings(grafted.recipe, own->second, file.path);
      }
    }
    if constexpr (std::constructible_from<Module, const A&, Skeleton, const Place&>) {
      Skeleton skeleton{index_list(file, file.key(grafted, "J")), index_list(file, file.key(grafted, "K"))};
      grafted.module = Module(grafted.recipe, std::move(skeleton), grafted.place);
    } else if constexpr (std::constructible_from<Module, const A&, const Place&>) {
      grafted.module = Module(grafted.recipe, grafted.place);
    } else {
      FreshModules{}(be, model, grafted, random);
    }
  }
};

/// PEFT trains a copy of the table. Where the table is the head too, the head keeps the old one there: adapter.783.
template <class AttachedType, class Model>
void check_table(AttachedType& attached, const Model& model, const AdapterFile& file) {
  attached.for_each_module([&](const auto&, const Placement&, const auto& grafted) {
    if (!file.prefix.empty() && model.config.tied_head && grafted.place.where == site::embedding) {
      fail("adapter.783",
           "the file holds a trained \"" + grafted.place.name +
               "\", which is the head too in this model; PEFT computes with two tables, graft has one",
           file.path);
    }
  });
}

/// Every expected tensor is there in its shape, and nothing else is (adapter.650 to adapter.652).
template <class B, class AttachedType>
void check_names(AttachedType& attached, const AdapterFile& file) {
  std::set<std::string> expected;
  std::set<std::string> paths;
  for_each_stored<B>(
      attached, file,
      [&](const std::string& key, auto values, const auto& grafted) {
        (void)file.tensor(key, {values.rows, values.cols});
        expected.insert(key);
        paths.insert(grafted.path());
      },
      [&](const std::string& key, const auto& indices) {
        (void)file.tensor(key, {std::ssize(indices)});
        expected.insert(key);
      });
  for (const io::TensorRef& tensor : file.tensors.tensors()) {
    if (!expected.contains(tensor.name)) {
      fail("adapter.652",
           "tensor \"" + tensor.name + "\" " + io::shape_text(tensor.shape) +
               " has no place in the adapter that the configuration describes; the nearest name that has is \"" +
               io::nearest_name(tensor.name, expected, [](const std::string& name) { return name; }) + "\"",
           tensor.file);
    }
  }
  for (const AdapterPart& part : file.parts) {
    for (const auto& [path, settings] : part.exceptions) {
      if (!paths.contains(path)) {
        fail("adapter.653", "there are settings for \"" + path + "\", which is no module of this adapter", file.path);
      }
    }
  }
}

/// The largest entry of R R' - I.
template <scalar T>
[[nodiscard]] double distance_from_orthonormal(View<const T> rows) {
  double worst = 0;
  for (Index i = 0; i < rows.rows; ++i) {
    for (Index k = 0; k <= i; ++k) {
      double sum = i == k ? -1 : 0;
      for (Index j = 0; j < rows.cols; ++j) {
        sum += static_cast<double>(real_part(rows(i, j))) * static_cast<double>(real_part(rows(k, j)));
      }
      worst = std::max(worst, std::abs(sum));
    }
  }
  return worst;
}

/// Puts the file's R into a module; one that should be orthonormal and is not is adapter.656.
template <scalar T, class B, class Grafted>
void adopt_basis(const B& be, Grafted& grafted, const io::TensorRef& tensor) {
  Tensor<T> rows(tensor.rows(), tensor.cols());
  io::decode_rows(tensor, 0, rows.view());
  check_finite<T>(rows.view(), tensor);
  const double off = distance_from_orthonormal<T>(rows.view());
  const auto policies = policies_of<std::remove_cvref_t<decltype(grafted.recipe)>>();
  if (policies.value("basis", "") == policy_name<adapters::policies::Orthonormal>() && off > 1e-4) {
    fail("adapter.656",
         "tensor \"" + tensor.name + "\" is off orthonormal rows by " + std::to_string(off) +
             ", expected at most 0.0001",
         tensor.file);
  }
  grafted.module.set_basis(be, std::as_const(rows).view());
}

template <class B, class AttachedType>
void fill(const B& be, AttachedType& attached, const AdapterFile& file) {
  using T = typename AttachedType::Scalar;
  const auto read = [](const io::TensorRef& tensor, View<T> values) {
    io::decode_rows(tensor, 0, values);
    check_finite<T>(values, tensor);
  };
  attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {
    grafted.module.for_each_parameter([&](std::string_view name, Parameter<T>& parameter) {
      const io::TensorRef& tensor = *file.tensors.find(file.key(grafted, name));
      if constexpr (has_basis<std::remove_cvref_t<decltype(grafted.module)>, B, T>) {
        if (name == "R") {
          return adopt_basis<T>(be, grafted, tensor);
        }
      }
      read(tensor, parameter.value);
    });
    if constexpr (requires { grafted.module.for_each_frozen([](const char*, View<T>) {}); }) {
      grafted.module.for_each_frozen(
          [&](const char* name, View<T> values) { read(*file.tensors.find(file.key(grafted, name)), values); });
    }
  });
}

}  // namespace detail

/// An adapter trained on other weights than these is adapter.657, unless the user says that it is meant.
inline void check_base(const AdapterFile& file, const Fingerprint& base, const LoadOptions& options = {}) {
  if (file.base && *file.base != base && !options.any_base) {
    fail("adapter.657",
         "the adapter was trained on \"" + file.base_model + "\" (" + file.base->text() + "), this model has " +
             base.text(),
         file.path);
  }
}

/// The adapter of a file on a model: its stack attached, its numbers in place, its skeletons not selected again. Every
/// tensor that is missing, left over, of another shape or not finite is an error.
template <class StackType, class Model>
[[nodiscard]] auto load_adapter(const typename Model::Backend& be, Model& model, const Fingerprint& base,
                                const AdapterFile& file, const LoadOptions& options = {}) {
  check_base(file, base, options);
  auto attached = attach(be, model, stack_of<StackType>(file), 0, detail::FileModules{file});
  detail::check_table(attached, model, file);
  detail::check_names<typename Model::Backend>(attached, file);
  detail::fill(be, attached, file);
  return attached;
}

}  // namespace graft::models
