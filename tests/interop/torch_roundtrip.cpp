// SPDX-License-Identifier: Apache-2.0
// torch_roundtrip IN OUT: reads a file of torch.save and writes its tensors again, for tests/interop/torch_zip.py.
#include <cstdio>
#include <exception>
#include <vector>

#include <graft/io/torch_zip.hpp>

int main(int argc, char** argv) {
  try {
    const auto file = graft::io::open_torch_zip(argc == 3 ? argv[1] : "");
    const std::vector<graft::io::TensorRef> tensors(file.tensors().begin(), file.tensors().end());
    graft::io::write_torch_zip(argv[2], tensors);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
