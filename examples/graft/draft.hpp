// SPDX-License-Identifier: Apache-2.0
// Draft: a file or folder that is written under another name beside its own, and gets its own once it has been proved.
#pragma once

#include <string>

#include <graft/base/require.hpp>

namespace graft::program {

class Draft {
 public:
  /// For `out`, whose name ends in `ending` where it is a file.
  explicit Draft(std::string out, std::string_view ending = "");
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  /// Takes away what did not get its name.
  ~Draft();

  /// Where it is written, and read until commit().
  [[nodiscard]] const std::string& path() const { return path_; }
  /// body(), with the final name in place of the draft's in what it throws.
  template <class Body>
  auto named(const Body& body) const {
    try {
      return body();
    } catch (const Error& error) {
      throw Error(error.id(), final_names(error.what()).substr(error.id().size() + 2));
    }
  }
  /// Gives it its name: a folder's files take the place of those of the same name in a folder that is there already.
  void commit();

 private:
  [[nodiscard]] std::string final_names(std::string text) const;

  std::string out_;
  std::string path_;
};

}  // namespace graft::program
