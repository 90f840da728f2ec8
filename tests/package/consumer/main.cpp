// SPDX-License-Identifier: Apache-2.0
// What a consumer may expect of graft::graft: the umbrella compiles, and its doors to Eigen and JSON link.
#include <graft/graft.hpp>

int main() {
  const graft::io::Json json = graft::io::parse_json(R"({"rows": 2, "cols": 3})", "consumer");
  const graft::Tensor<float> tensor(json["rows"].get<graft::Index>(), json["cols"].get<graft::Index>());
  return tensor.size() == 6 ? 0 : 1;
}
