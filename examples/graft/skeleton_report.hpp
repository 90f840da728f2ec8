// SPDX-License-Identifier: Apache-2.0
// SkeletonReport: what skeletons keep of the matrices of a model, a line for each matrix and selector, and their means.
#pragma once

#include <string>
#include <vector>

#include <graft/adapter.hpp>  // Place
#include <graft/io/json.hpp>
#include <graft/linalg/kept_energy.hpp>

namespace graft::program {

class SkeletonReport {
 public:
  /// `of`: what is shared out, for the headline. An update is reported with its length beside that of the weight.
  SkeletonReport(std::string of, bool is_update, std::vector<std::string> selectors)
      : of_(std::move(of)), is_update_(is_update), selectors_(std::move(selectors)) {}

  /// One matrix: c columns and r rows of each selector keep `kept`, in the order of the selectors. `change`: |D| / |W| of an
  /// update; where that is 0 nothing is kept, and the means leave the matrix out.
  void add(const Place& place, Index c, Index r, std::vector<linalg::KeptEnergy> kept, double change = 0) {
    lines_.push_back({place, c, r, change, std::move(kept)});
  }

  /// A table in percent: each matrix, the mean of each kind of map, and that of all.
  [[nodiscard]] std::string text() const;
  /// The same in shares from 0 to 1.
  [[nodiscard]] io::Json json() const;

 private:
  struct Line {
    Place place;
    Index columns = 0;
    Index rows = 0;
    double change = 0;
    std::vector<linalg::KeptEnergy> kept;
  };
  struct Mean {
    std::string name;  // "q_proj", or "all"
    Index matrices = 0;
    double change = 0;
    std::vector<linalg::KeptEnergy> kept;
  };

  [[nodiscard]] std::vector<Mean> means() const;
  [[nodiscard]] io::Json kept_json(const std::vector<linalg::KeptEnergy>& kept) const;

  std::string of_;
  bool is_update_;
  std::vector<std::string> selectors_;
  std::vector<Line> lines_;
};

}  // namespace graft::program
