// SPDX-License-Identifier: Apache-2.0
// Together: a communicator whose processes are threads of one, so that a test sees all of them.
#pragma once

#include <algorithm>  // copy
#include <barrier>
#include <memory>  // make_shared, shared_ptr
#include <span>
#include <thread>
#include <utility>  // pair
#include <vector>

#include <graft/core/view.hpp>

namespace graft::test {

/// Thread `rank` of `size`. Sums are made in the order of the ranks.
class Together {
 public:
  /// All of them, for as many threads.
  [[nodiscard]] static std::vector<Together> of(Index size) {
    const auto table = std::make_shared<Table>(size);
    std::vector<Together> all;
    for (Index rank = 0; rank < size; ++rank) {
      all.push_back(Together(table, rank));
    }
    return all;
  }

  [[nodiscard]] Index rank() const { return rank_; }
  [[nodiscard]] Index size() const { return std::ssize(table_->shown); }
  template <class B, class C>
  void sum(const B& be, std::span<const View<C>> gradients) const {
    be.finish();
    for (const View<C>& one : gradients) {
      sum(std::span(one.data, static_cast<std::size_t>(one.size())));
    }
  }
  template <class C>
  void sum(std::span<C> numbers) const {
    table_->shown[static_cast<std::size_t>(rank_)] = numbers.data();
    table_->all_there.arrive_and_wait();
    std::vector<C> total(numbers.size());
    for (const void* const one : table_->shown) {
      for (std::size_t i = 0; i < total.size(); ++i) {
        total[i] += static_cast<const C*>(one)[i];
      }
    }
    table_->all_there.arrive_and_wait();  // everybody has read
    std::copy(total.begin(), total.end(), numbers.begin());
  }

 private:
  struct Table {
    explicit Table(Index size) : all_there(size), shown(static_cast<std::size_t>(size)) {}
    std::barrier<> all_there;
    std::vector<const void*> shown;  // by rank
  };
  Together(std::shared_ptr<Table> table, Index rank) : table_(std::move(table)), rank_(rank) {}

  std::shared_ptr<Table> table_;
  Index rank_;
};

/// Calls body(communicator) on `size` threads at once, and waits for them.
template <class Body>
void run_together(Index size, const Body& body) {
  std::vector<std::thread> threads;
  for (const Together& one : Together::of(size)) {
    threads.emplace_back([&body, one] { body(one); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace graft::test
