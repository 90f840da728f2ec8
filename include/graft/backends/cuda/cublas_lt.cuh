// SPDX-License-Identifier: Apache-2.0
// CublasLt: the functions of cuBLASLt that the queue calls, opened at run time, and the check of what they and CUDA return.
#pragma once

#include <string>
#include <type_traits>  // remove_reference

#include <dlfcn.h>

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <graft/base/require.hpp>

namespace graft::backends::cuda {

/// Fails by cuda.003 where CUDA or cuBLASLt did. @{
inline void check(cudaError_t status, const char* doing) {
  if (status != cudaSuccess) {
    fail("cuda.003", std::string("the device failed while ") + doing + ": " + cudaGetErrorString(status));
  }
}
inline void check(cublasStatus_t status, const char* doing) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    fail("cuda.003", std::string("cuBLASLt failed while ") + doing + ": status " + std::to_string(status));
  }
}
/// @}

/// cuBLASLt, opened by the first queue: it is half a gigabyte, which would cost every program that links graft::cuda 0.1 s and
/// 200 MB at its start, also where it computes on the processor.
struct CublasLt {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtMatmulDescCreate) create_product;
  decltype(&cublasLtMatmulDescDestroy) destroy_product;
  decltype(&cublasLtMatmulDescSetAttribute) set_product;
  decltype(&cublasLtMatrixLayoutCreate) create_matrix;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_matrix;
  decltype(&cublasLtMatmulPreferenceCreate) create_wishes;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_wishes;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_wish;
  decltype(&cublasLtMatmulAlgoGetHeuristic) choose;
  decltype(&cublasLtMatmul) multiply;

  /// Opens it: cuda.001 where it is not found.
  CublasLt() {
    const std::string name = "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR);
    void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      library = dlopen(("/usr/local/cuda/lib64/" + name).c_str(), RTLD_NOW | RTLD_LOCAL);
    }
    if (library == nullptr) {
      fail("cuda.001", "cuBLASLt is not found: " + std::string(dlerror()) + " (add its folder to LD_LIBRARY_PATH)", name);
    }
    const auto find = [&](auto& function, const char* symbol) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, symbol));
      if (function == nullptr) {
        fail("cuda.001", std::string("cuBLASLt lacks ") + symbol, name);
      }
    };
    find(create, "cublasLtCreate");
    find(destroy, "cublasLtDestroy");
    find(create_product, "cublasLtMatmulDescCreate");
    find(destroy_product, "cublasLtMatmulDescDestroy");
    find(set_product, "cublasLtMatmulDescSetAttribute");
    find(create_matrix, "cublasLtMatrixLayoutCreate");
    find(destroy_matrix, "cublasLtMatrixLayoutDestroy");
    find(create_wishes, "cublasLtMatmulPreferenceCreate");
    find(destroy_wishes, "cublasLtMatmulPreferenceDestroy");
    find(set_wish, "cublasLtMatmulPreferenceSetAttribute");
    find(choose, "cublasLtMatmulAlgoGetHeuristic");
    find(multiply, "cublasLtMatmul");
  }
};
/// The library, opened on first use.
inline const CublasLt& cublas() {
  static const CublasLt library;
  return library;
}

}  // namespace graft::backends::cuda
