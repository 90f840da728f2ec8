// SPDX-License-Identifier: Apache-2.0
// Arena: one caller-owned block of memory, laid out by a dry pass that takes the same views from no memory at all. Only the
// backend touches it: what the processor looks at is copied to a tensor first.
#pragma once

#include <algorithm>  // find_if, max
#include <cstddef>    // byte
#include <string_view>
#include <vector>

#include <graft/base/require.hpp>
#include <graft/core/block.hpp>
#include <graft/core/parallel.hpp>
#include <graft/core/memory.hpp>
#include <graft/core/view.hpp>

namespace graft {

/// What the arena was asked for under one name.
struct ArenaEntry {
  std::string_view name;  ///< as it was given to take()
  std::size_t bytes = 0;  ///< rounded up to the alignment, view by view
};

/// Hands out views in stack order. While measuring, views have shapes and no memory; the peak then says what to reserve,
/// and the entries are the forecast that users see. Names are string literals.
class Arena {
 public:
  /// Forgets every view and counts from zero; nothing is handed out until reserve(). `lanes`: how many carry blocks at once.
  void measure(Index lanes = lane_count()) {
    start_over();
    lanes_ = lanes;
    measuring_ = true;
  }

  /// Makes room for the peak just measured (memory grows, never shrinks) and starts to hand out real views.
  void reserve() {
    if (peak_ > storage_.size()) {
      const std::size_t bytes = peak_;
      storage_ = PrivateBlock();  // give the old memory back first
      storage_ = PrivateBlock(bytes);
    }
    start_over();
    measuring_ = false;
  }

  /// rows x cols numbers on top of the stack, without memory while measuring; more than was reserved is shape.112.
  template <class T>
  [[nodiscard]] View<T> take(std::string_view name, Index rows, Index cols) {
    const auto bytes = static_cast<std::size_t>(round_up(rows * cols * Index{sizeof(T)}, Index{alignment}));
    const std::size_t at = used_;
    used_ += bytes;
    taken_.push_back({name, bytes});
    if (used_ > peak_) {
      peak_ = used_;
      is_at_peak_ = true;
    }
    if (measuring_) {
      return {nullptr, rows, cols};
    }
    require(used_ <= storage_.size(), "shape.112",
            "Arena: more was taken than the dry pass measured");
    return {reinterpret_cast<T*>(static_cast<std::byte*>(storage_.data()) + at), rows, cols};
  }

  /// A slab with a row for every token where `wide`, else with `lane_rows` rows for every lane.
  template <class T>
  [[nodiscard]] Slab<T> slab(std::string_view name, bool wide, Index tokens, Index lane_rows, Index cols) {
    return wide ? Slab<T>{take<T>(name, tokens, cols), 0}
                : Slab<T>{take<T>(name, lanes_ * lane_rows, cols), lane_rows};
  }

  /// Everything taken after mark() is given back by rewind(): layers share their scratch so.
  [[nodiscard]] std::size_t mark() const { return used_; }
  /// Gives back what was taken since mark().
  void rewind(std::size_t mark) {
    if (is_at_peak_) {
      at_peak_ = taken_;
      is_at_peak_ = false;
    }
    while (used_ > mark) {
      used_ -= taken_.back().bytes;
      taken_.pop_back();
    }
  }

  [[nodiscard]] std::size_t peak() const { return peak_; }  ///< bytes that reserve() makes room for
  /// What the peak is made of, a sum for each name; the sums add up to it.
  [[nodiscard]] std::vector<ArenaEntry> entries() const {
    std::vector<ArenaEntry> sums;
    for (const ArenaEntry& taken : is_at_peak_ ? taken_ : at_peak_) {
      const auto found =
          std::find_if(sums.begin(), sums.end(), [&](const ArenaEntry& e) { return e.name == taken.name; });
      if (found == sums.end()) {
        sums.push_back(taken);
      } else {
        found->bytes += taken.bytes;
      }
    }
    return sums;
  }

 private:
  void start_over() {
    used_ = 0;
    peak_ = 0;
    is_at_peak_ = false;
    taken_.clear();
    at_peak_.clear();
  }

  PrivateBlock storage_;
  std::vector<ArenaEntry> taken_;    // what is taken now, in stack order
  std::vector<ArenaEntry> at_peak_;  // the same when the peak was reached, once something was given back since
  Index lanes_ = lane_count();
  std::size_t used_ = 0;
  std::size_t peak_ = 0;
  bool is_at_peak_ = false;
  bool measuring_ = true;
};

}  // namespace graft
