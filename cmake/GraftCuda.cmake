# SPDX-License-Identifier: Apache-2.0
# Looks for nvcc and what the kernels of backends::Cuda link with. CUDA_FOUND says whether all is there; nothing is probed on a
# device. CMAKE_CUDA_ARCHITECTURES says what is compiled for: Ampere, Hopper and Blackwell, with PTX for what comes after.
include_guard()
option(GRAFT_CUDA "The kernels of backends::Cuda, where nvcc is found" ON)
set(CUDA_FOUND FALSE)
if(GRAFT_CUDA)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 100)
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    find_package(CUDAToolkit QUIET)
    if(TARGET CUDA::cublasLt AND TARGET CUDA::cudart_static)  # the first for its header: it is opened when a queue is made
      set(CUDA_FOUND TRUE)
    endif()
  endif()
endif()
