// SPDX-License-Identifier: Apache-2.0
// AskedTensors: the tensors of another program's adapter, asked for by name, until none is left over.
#pragma once

#include <set>
#include <string>
#include <utility>  // move

#include <graft/core/tensor.hpp>
#include <graft/io/decode.hpp>
#include <graft/io/named_tensors.hpp>
#include <graft/models/checkpoint.hpp>  // check_finite

namespace graft::interchange {

namespace detail {

[[nodiscard]] inline Tensor<double> transposed(View<const double> m) {
  Tensor<double> t(m.cols, m.rows);
  for (Index i = 0; i < m.rows; ++i) {
    for (Index j = 0; j < m.cols; ++j) {
      t(j, i) = m(i, j);
    }
  }
  return t;
}

}  // namespace detail

/// A file whose tensors a reader takes one by one: what it asks for must be there, what it leaves must be known to it.
class AskedTensors {
 public:
  /// Takes an open file.
  explicit AskedTensors(io::NamedTensors file) : file_(std::move(file)) {}

  /// All of them, asked for or not.
  [[nodiscard]] const io::NamedTensors& file() const { return file_; }
  /// Whether there is one of that name.
  [[nodiscard]] bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  /// Its numbers in double, a vector as one row. Of `rows` x `cols`, where 0 takes any; a missing one is adapter.820,
  /// another shape adapter.821, NaN and infinity model.513.
  [[nodiscard]] Tensor<double> get(const std::string& name, Index rows, Index cols) {
    const io::TensorRef* found = file_.find(name);
    if (found == nullptr) {
      fail("adapter.820",
           "tensor \"" + name + "\" is missing; the nearest name in the file is \"" +
               io::nearest_name(name, file_.tensors(), [](const io::TensorRef& t) { return t.name; }) + "\"",
           file_.path());
    }
    const auto fits = [](Index size, Index wanted) { return wanted == 0 || size == wanted; };
    if (found->shape.size() > 2 || !fits(found->rows(), rows) || !fits(found->cols(), cols)) {
      const bool transposed = fits(found->cols(), rows) && fits(found->rows(), cols);
      const auto word = [](Index size) { return size == 0 ? "any" : std::to_string(size); };
      fail("adapter.821",
           "tensor \"" + name + "\" has shape " + io::shape_text(found->shape) + ", expected " + word(rows) + " x " +
               word(cols) + (transposed ? ": it is transposed" : ""),
           file_.path());
    }
    asked_.insert(name);
    Tensor<double> values(found->rows(), found->cols());
    io::decode_rows(*found, 0, values.view());
    models::check_finite<double>(values.view(), *found);
    return values;
  }
  /// Takes the name off the list without its numbers.
  void pass_over(const std::string& name) { asked_.insert(name); }
  /// What was not asked for would be ignored: adapter.820.
  void nothing_left() const {
    for (const io::TensorRef& tensor : file_.tensors()) {
      if (!asked_.contains(tensor.name)) {
        fail("adapter.820",
             "tensor \"" + tensor.name + "\" " + io::shape_text(tensor.shape) +
                 " has no place in the adapter that the configuration describes; the nearest name that has is \"" +
                 io::nearest_name(tensor.name, asked_, [](const std::string& name) { return name; }) + "\"",
             file_.path());
      }
    }
  }

 private:
  io::NamedTensors file_;
  std::set<std::string> asked_;
};

}  // namespace graft::interchange
