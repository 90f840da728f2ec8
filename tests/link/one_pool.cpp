// SPDX-License-Identifier: Apache-2.0
// One pool of threads a process: a parallel region of ours and a gemm of oneDNN's leave as many threads as OpenMP was
// given, not twice as many. (oneDNN links libgomp; under clang libomp must come before it and answer for it.)
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <vector>

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

int main() {
  const int threads = 4;  // more than this machine may have cores, so that a second pool would show
  omp_set_num_threads(threads);
  int started = 0;
#pragma omp parallel reduction(+ : started)
  started += 1;

  const dnnl_dim_t n = 512;
  const std::vector<float> a(n * n, 1.0F);
  const std::vector<float> b(n * n, 2.0F);
  std::vector<float> c(n * n);
  if (dnnl_sgemm('N', 'N', n, n, n, 1.0F, a.data(), n, b.data(), n, 0.0F, c.data(), n) != dnnl_success) {
    std::puts("dnnl_sgemm failed");
    return 1;
  }

  const auto tasks = std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
  std::printf("%d threads in our region, %td in the process after the gemm\n", started, tasks);
  return started == threads && tasks == threads ? 0 : 1;
}
