// SPDX-License-Identifier: Apache-2.0
// Products: cuBLASLt's, planned once for each shape.
#pragma once

#include <array>
#include <cstdint>
#include <map>

#include <graft/backends/cuda/cublas_lt.cuh>
#include <graft/backends/cuda/queue.hpp>
#include <graft/base/index.hpp>
#include <graft/core/view.hpp>

namespace graft::backends::cuda {

/// What cuBLASLt needs to know of a product that it has met before.
struct Plan {
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t left = nullptr, right = nullptr, result = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
};

/// What changes from one product of a plan to the next: c = alpha op(a) op(b) + beta c.
struct ProductArguments {
  const void* a;
  const void* b;
  float* c;
  float alpha, beta;
};

/// The plans of one queue; those of a shape stay where they are.
class Products {
 public:
  static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  ///< what cuBLAS advises for Hopper

  /// `workspace` has workspace_bytes of the device, and outlives this.
  explicit Products(void* workspace) : workspace_(workspace) { check(cublas().create(&handle_), "starting"); }
  ~Products() {  // reports nothing: what failed has been said
    for (auto& [key, made] : plans_) {
      (void)cublas().destroy_product(made.product);
      (void)cublas().destroy_matrix(made.left);
      (void)cublas().destroy_matrix(made.right);
      (void)cublas().destroy_matrix(made.result);
    }
    (void)cublas().destroy(handle_);
  }
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  /// For operands of A, fp32 or bf16, of these extents, strides and alignments; fp32 as TF32 where `rounds`.
  template <class A>
  [[nodiscard]] const Plan& plan(Product which, View<const A> a, View<const A> b, View<float> c, bool rounds) {
    constexpr cudaDataType_t type = sizeof(A) == 2 ? CUDA_R_16BF : CUDA_R_32F;
    const Index depth = which == Product::tn ? a.rows : a.cols;
    const Key key = {static_cast<Index>(which),
                     c.rows,
                     c.cols,
                     depth,
                     type,
                     rounds,
                     a.stride,
                     b.stride,
                     c.stride,
                     alignment_of(a.data),
                     alignment_of(b.data),
                     alignment_of(c.data)};
    const auto found = plans_.find(key);
    return found != plans_.end() ? found->second : plans_.emplace(key, make(key)).first->second;
  }
  /// Sends one.
  void multiply(const Plan& how, const ProductArguments& with, cudaStream_t stream) const {
    check(cublas().multiply(handle_, how.product, &with.alpha, with.b, how.left, with.a, how.right, &with.beta, with.c,
                            how.result, with.c, how.result, &how.algorithm, workspace_, workspace_bytes, stream),
          "multiplying");
  }

 private:
  using Key = std::array<Index, 12>;

  /// The largest power of two up to 16 that divides an address.
  static Index alignment_of(const void* pointer) {
    const auto address = reinterpret_cast<std::uintptr_t>(pointer);
    return static_cast<Index>(address % 16 == 0 ? 16 : address & (~address + 1) & 15);
  }
  /// cuBLAS counts by columns, where c(M,N) is (N,M): so c' = op(b)' op(a)', and b is its left operand.
  Plan make(const Key& key) const {
    const auto [number, rows, cols, depth, type_number, rounds, a_stride, b_stride, c_stride, a_aligned, b_aligned,
                c_aligned] = key;
    const auto which = static_cast<Product>(number);
    const auto type = static_cast<cudaDataType_t>(type_number);
    Plan made;
    const cublasComputeType_t compute =
        type == CUDA_R_32F && rounds != 0 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    const cublasOperation_t turn_b = which == Product::nt ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t turn_a = which == Product::tn ? CUBLAS_OP_T : CUBLAS_OP_N;
    const auto extent = [](Index n) { return static_cast<std::uint64_t>(n); };
    check(cublas().create_product(&made.product, compute, CUDA_R_32F), "describing a product");
    check(cublas().set_product(made.product, CUBLASLT_MATMUL_DESC_TRANSA, &turn_b, sizeof turn_b),
          "describing a product");
    check(cublas().set_product(made.product, CUBLASLT_MATMUL_DESC_TRANSB, &turn_a, sizeof turn_a),
          "describing a product");
    check(cublas().create_matrix(&made.left, type, extent(which == Product::nt ? depth : cols),
                                 extent(which == Product::nt ? cols : depth), b_stride),
          "describing a matrix");
    check(cublas().create_matrix(&made.right, type, extent(which == Product::tn ? rows : depth),
                                 extent(which == Product::tn ? depth : rows), a_stride),
          "describing a matrix");
    check(cublas().create_matrix(&made.result, CUDA_R_32F, extent(cols), extent(rows), c_stride),
          "describing a matrix");
    cublasLtMatmulPreference_t wishes = nullptr;
    check(cublas().create_wishes(&wishes), "choosing a product");
    const auto wish = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
      check(cublas().set_wish(wishes, name, &value, sizeof value), "choosing a product");
    };
    wish(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<std::uint32_t>(b_aligned));
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<std::uint32_t>(a_aligned));
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<std::uint32_t>(c_aligned));
    wish(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<std::uint32_t>(c_aligned));
    cublasLtMatmulHeuristicResult_t best{};
    int count = 0;
    const cublasStatus_t status = cublas().choose(handle_, made.product, made.left, made.right, made.result,
                                                  made.result, wishes, 1, &best, &count);
    check(cublas().destroy_wishes(wishes), "choosing a product");
    check(count > 0 ? status : CUBLAS_STATUS_NOT_SUPPORTED, "choosing a product");
    made.algorithm = best.algo;
    return made;
  }

  cublasLtHandle_t handle_ = nullptr;
  void* workspace_;
  std::map<Key, Plan> plans_;
};

}  // namespace graft::backends::cuda
