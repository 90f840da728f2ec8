// SPDX-License-Identifier: Apache-2.0
// Checkpoint: a configuration and the tensors it demands, all checked, under their Hugging Face names, still in their files.
#pragma once

#include <algorithm>  // sort, lower_bound
#include <array>
#include <bit>  // bit_cast
#include <cstdint>
#include <cstring>  // memcpy
#include <memory>   // shared_ptr
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>  // conditional_t
#include <vector>

#include <graft/base/require.hpp>
#include <graft/core/parallel.hpp>
#include <graft/core/tensor.hpp>
#include <graft/io/decode.hpp>
#include <graft/io/gguf_tokenizer.hpp>
#include <graft/io/nearest.hpp>
#include <graft/io/tensor_ref.hpp>
#include <graft/models/llama_config.hpp>

namespace graft::models {

/// A model as it lies on disk. Its tensors live as long as keepalive does.
struct Checkpoint {
  std::string path;                                    ///< file or folder
  std::string kind;                                    ///< "Hugging Face", "GGUF" or "llama2.c"
  LlamaConfig config;                                  ///< what the tensors are held against
  std::vector<io::TensorRef> tensors;                  ///< sorted by name
  std::vector<std::shared_ptr<const void>> keepalive;  ///< the mapped files
  std::optional<io::TokenizerData> tokenizer;          ///< where the model file carries it (GGUF)

  /// The tensor of that name, or null.
  [[nodiscard]] const io::TensorRef* find(std::string_view name) const {
    const auto found = std::lower_bound(tensors.begin(), tensors.end(), name,
                                        [](const io::TensorRef& t, std::string_view n) { return t.name < n; });
    return found != tensors.end() && found->name == name ? &*found : nullptr;
  }
  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }  ///< whether find() finds it

  /// The tensor of that name, or model.510 with the nearest name that exists.
  [[nodiscard]] const io::TensorRef& tensor(std::string_view name) const {
    if (const io::TensorRef* found = find(name)) {
      return *found;
    }
    fail("model.510",
         "tensor \"" + std::string(name) + "\" is missing; the nearest name in the checkpoint is \"" +
             io::nearest_name(name, tensors, [](const io::TensorRef& t) { return t.name; }) + "\"",
         path);
  }
};

/// Sorts the tensors and holds them against the configuration: one too few is model.510, one too many model.511, another
/// shape model.512, a coding that holds no weights model.514.
inline void check_tensors(Checkpoint& checkpoint) {
  std::sort(checkpoint.tensors.begin(), checkpoint.tensors.end(),
            [](const io::TensorRef& a, const io::TensorRef& b) { return a.name < b.name; });
  std::vector<TensorSpec> specs = tensor_specs(checkpoint.config);
  for (const TensorSpec& spec : specs) {
    const io::TensorRef& tensor = checkpoint.tensor(spec.name);
    if (tensor.shape != spec.shape) {
      const bool transposed =
          std::equal(tensor.shape.rbegin(), tensor.shape.rend(), spec.shape.begin(), spec.shape.end());
      fail("model.512",
           "tensor \"" + spec.name + "\" has shape " + io::shape_text(tensor.shape) + ", expected " +
               io::shape_text(spec.shape) + (transposed ? ": it is transposed" : ""),
           tensor.file);
    }
    if (!io::is_real(tensor.dtype)) {
      fail("model.514",
           "tensor \"" + spec.name + "\" has dtype " + std::string(io::dtype_name(tensor.dtype)) +
               ", expected one of " + std::string(io::real_dtypes),
           tensor.file);
    }
  }
  std::sort(specs.begin(), specs.end(), [](const TensorSpec& a, const TensorSpec& b) { return a.name < b.name; });
  for (std::size_t i = 0; i < checkpoint.tensors.size();
       ++i) {  // all specs are there, so the first difference is an extra
    const io::TensorRef& tensor = checkpoint.tensors[i];
    if (i == specs.size() || tensor.name != specs[i].name) {
      fail("model.511",
           "tensor \"" + tensor.name + "\" " + io::shape_text(tensor.shape) +
               " has no place in a model of this configuration and would be ignored",
           tensor.file);
    }
  }
}

namespace detail {

/// No NaN and no infinity: an exponent of all ones, collected without a branch.
template <class T>
[[nodiscard]] bool is_finite_row(const T* row, Index count) {
  if constexpr (graft::detail::is_complex<T>) {
    return is_finite_row(reinterpret_cast<const real_type<T>*>(row), 2 * count);
  } else {
    using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t,
                                    std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint16_t>>;
    constexpr Bits exponent = sizeof(T) == 8   ? static_cast<Bits>(0x7ff0000000000000u)
                              : sizeof(T) == 4 ? static_cast<Bits>(0x7f800000u)
                                               : static_cast<Bits>(0x7f80u);
    std::array<Bits, 16> bad{};  // lanes of a vector
    Index i = 0;
    for (; i + std::ssize(bad) <= count; i += std::ssize(bad)) {
      std::array<Bits, 16> part;
      std::memcpy(part.data(), row + i, sizeof part);
      for (std::size_t lane = 0; lane < part.size(); ++lane) {
        bad[lane] = static_cast<Bits>(bad[lane] | ((part[lane] & exponent) == exponent));
      }
    }
    for (; i < count; ++i) {
      bad[0] = static_cast<Bits>(bad[0] | ((std::bit_cast<Bits>(row[i]) & exponent) == exponent));
    }
    return bad == std::array<Bits, 16>{};
  }
}

}  // namespace detail

/// Throws model.513 where a row of `values`, whose first row is row `first_row` of the tensor, is not finite.
template <storable T>
void check_finite(View<const T> values, const io::TensorRef& tensor, Index first_row = 0) {
  for (Index i = 0; i < values.rows; ++i) {
    if (!detail::is_finite_row(values.row(i), values.cols)) {
      fail("model.513", "tensor \"" + tensor.name + "\" holds NaN or infinity in row " + std::to_string(first_row + i),
           tensor.file);
    }
  }
}

/// Decodes a tensor of rows x cols (a vector is one row) into memory of T, on all threads, and checks that it is finite.
template <storable T>
[[nodiscard]] Tensor<T> load_tensor(const Checkpoint& checkpoint, std::string_view name, Index rows, Index cols) {
  const io::TensorRef& tensor = checkpoint.tensor(name);
  if (tensor.rows() != rows || tensor.cols() != cols) {
    fail("model.512",
         "tensor \"" + tensor.name + "\" has shape " + io::shape_text(tensor.shape) + ", expected " +
             std::to_string(rows) + " x " + std::to_string(cols),
         tensor.file);
  }
  Tensor<T> values(rows, cols);
  const Index chunk = std::max<Index>(1, 65536 / std::max<Index>(1, cols));
  parallel_for(ceil_div(rows, chunk), [&](Index task, Index) {
    const View<T> part = values.view().middle_rows(task * chunk, std::min(chunk, rows - task * chunk));
    io::decode_rows(tensor, task * chunk, part);
    check_finite<T>(part, tensor, task * chunk);
  });
  return values;
}

}  // namespace graft::models
