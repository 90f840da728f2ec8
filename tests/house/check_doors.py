# SPDX-License-Identifier: Apache-2.0
"""Each third-party library enters through its own header and nowhere else; core, ops and backends know none."""
import re

import house

DOORS = {
    "Eigen": {"linalg/eigen.hpp", "linalg/svd.hpp", "linalg/truncated_svd.hpp", "backends/gemm/eigen.hpp"},
    "nlohmann": {"io/json.hpp"},
    "xtensor": {"interop/xtensor.hpp"},
    "pcre2.h": {"text/pcre2.hpp"},
    "zip.h": {"io/torch_zip.hpp"},
    "oneapi": {"backends/gemm/onednn.hpp"},
    "mpi.h": {"train/mpi.hpp"},
    "omp.h": {"core/parallel.hpp"},
    "cublasLt.h": {"backends/cuda/cublas_lt.cuh", "backends/cuda/kernels.cu"},
    "cuda_bf16.h": {"backends/cuda/kernels.cu"},
    "cuda_runtime.h": {"backends/cuda/cublas_lt.cuh", "backends/cuda/kernels.cu"},
    "mma.h": {"backends/cuda/team.cuh"},
}
STANDARD = re.compile(r"[a-z_0-9]+")                            # <vector>, <cstdint>
SYSTEM = re.compile(r"sys/[a-z_]+\.h|(unistd|dlfcn|fcntl|sched|time|errno|signal|immintrin|cpuid)\.h")  # the platform's own

findings = []
for header in house.headers(house.arguments().root):
    for name in header.foreign:
        library = name.split("/")[0]
        if library in DOORS:
            if header.name not in DOORS[library]:
                findings.append(f"{header.name}: includes <{name}>; its door is {', '.join(sorted(DOORS[library]))}")
        elif not (STANDARD.fullmatch(name) or SYSTEM.fullmatch(name)):
            findings.append(f"{header.name}: includes <{name}>, for which no door is known")
house.report(findings, "every library has its door")
