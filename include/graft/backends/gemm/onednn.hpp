// SPDX-License-Identifier: Apache-2.0
// OneDnn: the gemm door to oneDNN, which chooses its instruction set at run time. fp32 by sgemm, which generates no code
// for a shape; bf16 by matmul primitives, one a shape and thread. Below AVX-512 oneDNN has no bf16 product, and on AVX-512
// without bf16 instructions it emulates one (128 rows: 25 GFLOP/s against 80 to 100 by widening): there the door says no,
// and Simd widens the operands to fp32 tile by tile, which sums the same products in fp32.
//
// Block signals on the threads that compute, and wait for them on one that does not (examples/graft/interrupt.cpp): oneDNN's
// AVX-512 sgemm points the stack pointer into a workspace on the heap (jit_avx512_common_gemm_f32.cpp, K > 84), which a
// handler that runs there overwrites.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <unordered_map>  // execution arguments of oneDNN

#include <oneapi/dnnl/dnnl.hpp>

#include <graft/backends/gemm/calling_thread.hpp>
#include <graft/backends/gemm/paired_rows.hpp>
#include <graft/backends/isa.hpp>
#include <graft/backends/scratch.hpp>
#include <graft/core/bf16.hpp>
#include <graft/core/tensor.hpp>
#include <graft/core/view.hpp>

namespace graft::backends {

/// c = alpha op(a) op(b) + beta c on row-major views, on the calling thread; beta 0 ignores c.
struct OneDnn {
  /// Whether the processor multiplies bf16 natively (AVX512_BF16, AMX).
  [[nodiscard]] static bool multiplies_bf16() {
    obey_chosen_isa();
    constexpr auto native = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
    return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & native) == native;
  }

  /// c = alpha a b' + beta c. A b of few rows (an adapter's) is turned first.
  static void nt(float alpha, View<const float> a, View<const float> b, float beta, View<float> c) {
    if (b.rows <= few_nt && a.rows > b.rows) {
      nn(alpha, a, turned(b), beta, c);
    } else {
      sgemm('N', 'T', a.cols, alpha, a, b, beta, c);
    }
  }
  /// c = alpha a b + beta c.
  static void nn(float alpha, View<const float> a, View<const float> b, float beta, View<float> c) {
    sgemm('N', 'N', a.cols, alpha, a, b, beta, c);
  }
  /// c = alpha a' b + beta c. A c of few columns is computed as a c of few rows, and turned.
  static void tn(float alpha, View<const float> a, View<const float> b, float beta, View<float> c) {
    if (b.cols > few_tn || b.cols >= a.cols) {
      sgemm('T', 'N', a.rows, alpha, a, b, beta, c);
      return;
    }
    const View<float> wide(scratch<Purpose::turned, float>(c.size()), c.cols, c.rows);
    sgemm('T', 'N', a.rows, alpha, b, a, 0, wide);
    for (Index i = 0; i < c.rows; ++i) {
      for (Index j = 0; j < c.cols; ++j) {
        c(i, j) = wide(j, i) + (beta == 0.0f ? 0.0f : beta * c(i, j));
      }
    }
  }

  /// c = a b', summed in fp32; nothing may be empty. Views with gaps between their rows are multiplied at some 0.7 of the rate.
  static void nt(View<const bf16> a, View<const bf16> b, View<float> c) { matmul(a, b.data, b.stride, c); }
  /// c = a b, summed in fp32: at twice the rate of a b that oneDNN has to put into pairs itself (decisions/0020).
  static void nn(View<const bf16> a, const PairedRows& b, View<float> c) { matmul(a, b.data, in_pairs, c); }

 private:
  /// Columns of a result that sgemm computes at half its rate until something is turned. GFLOP/s of one core, 112 rows, K 576: nt of
  /// 8, 16 and 32 columns 29, 58 and 72 against 45, 97 and 136 by nn; tn of 8, 16 and 32 columns 36, 88 and 125 against 127 to 137.
  static constexpr Index few_nt = 64;
  static constexpr Index few_tn = 16;

  /// GRAFT_ISA holds for oneDNN too, which takes such a wish once a process, before its first product.
  static void obey_chosen_isa() {
    static const bool done = [] {
      using dnnl::cpu_isa;
      constexpr std::array most = {cpu_isa::sse41, cpu_isa::avx2, cpu_isa::avx512_core, cpu_isa::avx512_core_bf16,
                                   cpu_isa::avx512_core_amx};
      return chosen_isa() == best_isa() ||
             dnnl::set_max_cpu_isa(most[static_cast<std::size_t>(chosen_isa())]) == dnnl::status::success;
    }();
    require(done, "shape.148",
            "OneDnn: GRAFT_ISA came too late, something else in this process has used oneDNN before");
  }
  static void sgemm(char op_a, char op_b, Index inner, float alpha, View<const float> a, View<const float> b,
                    float beta, View<float> c) {
    if (c.empty() || inner == 0) {
      keep(beta, c);
      return;
    }
    obey_chosen_isa();
    const CallingThreadOnly scope;
    const dnnl::status status = dnnl::sgemm(op_a, op_b, c.rows, c.cols, inner, alpha, a.data, stride(a), b.data,
                                            stride(b), beta, c.data, stride(c));
    require(status == dnnl::status::success, "shape.141", "OneDnn: sgemm refused its arguments");
  }
  /// c = beta c: a sum of nothing, which oneDNN refuses.
  static void keep(float beta, View<float> c) {
    for (Index i = 0; i < c.rows; ++i) {
      for (Index j = 0; j < c.cols; ++j) {
        c(i, j) = beta == 0.0f ? 0.0f : beta * c(i, j);
      }
    }
  }
  template <class T>
  static Index stride(View<T> x) {
    return x.rows > 1 || x.stride >= x.cols ? x.stride : x.cols;
  }

  /// A compiled product of one shape, with the handles that execution fills in.
  struct Product {
    dnnl::matmul primitive;
    std::unordered_map<int, dnnl::memory> arguments;
  };
  /// Extents M, N and K and the strides of a, b and c: what code is generated for.
  using Shape = std::array<Index, 6>;
  /// The stride of a b whose rows are in pairs.
  static constexpr Index in_pairs = 0;

  static const dnnl::engine& engine() {
    static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
    return cpu;
  }

  static Product compile(const Shape& shape) {
    const auto [m, n, k, a_stride, b_stride, c_stride] = shape;
    using Type = dnnl::memory::data_type;
    using Dims = dnnl::memory::dims;
    const dnnl::memory::desc a(Dims{m, k}, Type::bf16, Dims{a_stride, 1});
    const dnnl::memory::desc b =
        b_stride == in_pairs ? dnnl::memory::desc(Dims{k, n}, Type::bf16, dnnl::memory::format_tag::BA16a64b2a)
                             : dnnl::memory::desc(Dims{k, n}, Type::bf16, Dims{1, b_stride});
    const dnnl::memory::desc c(Dims{m, n}, Type::f32, Dims{c_stride, 1});
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), attributes, engine());
    return {dnnl::matmul(description),
            {{DNNL_ARG_SRC, dnnl::memory(a, engine(), nullptr)},
             {DNNL_ARG_WEIGHTS, dnnl::memory(b, engine(), nullptr)},
             {DNNL_ARG_DST, dnnl::memory(c, engine(), nullptr)},
             {DNNL_ARG_SCRATCHPAD, dnnl::memory(description.scratchpad_desc(), engine())}}};
  }

  static void matmul(View<const bf16> a, const bf16* b, Index b_stride, View<float> c) {
    obey_chosen_isa();
    const CallingThreadOnly scope;
    static thread_local std::map<Shape, Product> products;
    static thread_local dnnl::stream stream(engine());
    const Shape shape{c.rows, c.cols, a.cols, OneDnn::stride(a), b_stride, OneDnn::stride(c)};
    auto found = products.find(shape);
    if (found == products.end()) {
      found = products.emplace(shape, compile(shape)).first;
    }
    auto& arguments = found->second.arguments;
    arguments.at(DNNL_ARG_SRC).set_data_handle(const_cast<bf16*>(a.data));  // oneDNN's handles know no const
    arguments.at(DNNL_ARG_WEIGHTS).set_data_handle(const_cast<bf16*>(b));
    arguments.at(DNNL_ARG_DST).set_data_handle(c.data);
    found->second.primitive.execute(stream, arguments);
    stream.wait();
  }
};

}  // namespace graft::backends
