// SPDX-License-Identifier: Apache-2.0
// In place of yaml_yamlcpp.cpp where yaml-cpp was not found.
#include "config_file.hpp"

namespace graft::program {

io::Json read_yaml(const std::string& path) {
  fail("train.460",
       "this graft was built without yaml-cpp: write the configuration in JSON, or install libyaml-cpp-dev and build "
       "again",
       path);
}

}  // namespace graft::program
