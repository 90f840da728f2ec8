// SPDX-License-Identifier: Apache-2.0
// Replay: the calls between two waits of a queue are remembered, and where they come again they are sent as one graph. To send a
// call costs the processor microseconds, to compare it with the last time a fraction of one; and a device has the next kernel of
// a graph at hand when one ends. Whoever sends notices nothing: a stretch that goes another way than last time is sent call by call.
#pragma once

#include <cstddef>
#include <cstring>  // memcmp, memcpy
#include <list>
#include <span>
#include <type_traits>  // is_trivially_copyable
#include <utility>      // exchange, move
#include <vector>

#include <graft/base/index.hpp>

namespace graft::backends::cuda {

/// A kernel, or a product of a library, as it is sent; its arguments beside it are bytes that may be copied.
struct Call {
  const void* what = nullptr;  ///< a kernel's entry, or a product's plan
  bool is_kernel = true;       ///< a graph can exchange the arguments and extents of kernels, not those of products
  Index tasks = 0;             ///< of a kernel
  Index threads = 0;           ///< of a kernel's teams
  Index shared_bytes = 0;      ///< of a kernel's teams

  friend bool operator==(const Call&, const Call&) = default;
};

/// Fills the gaps between members with zeros, where the compiler can: equal arguments then are equal bytes. Where it cannot, a graph
/// is given what it has.
template <class T>
  requires std::is_trivially_copyable_v<T>
void clear_gaps([[maybe_unused]] T& arguments) {
#if __has_builtin(__builtin_clear_padding)
  __builtin_clear_padding(&arguments);
#endif
}

/// Between sends and a Device that can
///   perform(call, arguments)            send one call
///   begin_recording(), end_recording()  give the Graph, false where empty, of the calls performed meanwhile, which do not run
///   exchange(graph, n, call, arguments) exchange call n of a graph
///   run(graph)                          send it
template <class Device>
class Replay {
 public:
  /// Stretches that are remembered; those met last stay.
  static constexpr std::size_t most = 16;

  /// The device outlives this.
  explicit Replay(Device& device) : device_(device) {}

  /// Sends a call: at once, or with the others that came after it the last times, by flush() at the latest.
  void send(const Call& call, std::span<const std::byte> arguments) {
    if (sent_ == 0) {
      now_ = known_beginning(call, arguments);
    }
    if (sent_ < now_.size() && now_.agrees(sent_, call, arguments)) {
      now_.exchange(sent_, call, arguments);
    } else {
      leave_known_way();
      now_.append(call, arguments);
    }
    ++sent_;
    if (!now_.graph) {
      device_.perform(call, arguments);
    }
  }

  /// Ends a stretch: all that was sent is on its way. What comes a second time becomes a graph for the third.
  void flush() {
    if (sent_ == 0) {
      return;
    }
    if (sent_ < now_.size()) {
      leave_known_way();
    }
    sent_ = 0;
    Stretch done = std::exchange(now_, {});
    if (done.graph) {
      for (const std::size_t n : std::exchange(done.exchanged, {})) {
        device_.exchange(done.graph, n, done.entries[n].call, done.arguments_of(n));
      }
      device_.run(done.graph);
    } else if (++done.times == 2) {
      device_.begin_recording();
      for (std::size_t n = 0; n < done.size(); ++n) {
        device_.perform(done.entries[n].call, done.arguments_of(n));
      }
      done.graph = device_.end_recording();
      done.exchanged.clear();
    }
    known_.push_back(std::move(done));
    if (known_.size() > most) {
      known_.pop_front();
    }
  }

 private:
  /// A call of a stretch, and where its arguments stand.
  struct Entry {
    Call call;
    std::size_t begin, bytes;
  };
  /// Calls in their order, as they came the last time; with a graph, the first `sent_` of now_ wait for flush().
  struct Stretch {
    std::vector<Entry> entries;
    std::vector<std::byte> arguments;
    int times = 0;  // that it came so, up to the graph
    typename Device::Graph graph{};
    std::vector<std::size_t> exchanged;  // of the graph's calls, since it ran

    [[nodiscard]] std::size_t size() const { return entries.size(); }
    [[nodiscard]] std::span<const std::byte> arguments_of(std::size_t n) const {
      return std::span(arguments).subspan(entries[n].begin, entries[n].bytes);
    }
    [[nodiscard]] bool equals(std::size_t n, const Call& call, std::span<const std::byte> with) const {
      const Entry& had = entries[n];
      return had.call == call && had.bytes == with.size() &&
             std::memcmp(arguments.data() + had.begin, with.data(), with.size()) == 0;
    }
    /// Whether a graph can make call n this one.
    [[nodiscard]] bool agrees(std::size_t n, const Call& call, std::span<const std::byte> with) const {
      const Entry& had = entries[n];
      return equals(n, call, with) ||
             (call.is_kernel && had.call.is_kernel && had.call.what == call.what && had.bytes == with.size());
    }
    void exchange(std::size_t n, const Call& call, std::span<const std::byte> with) {
      if (!equals(n, call, with)) {
        entries[n].call = call;
        std::memcpy(arguments.data() + entries[n].begin, with.data(), with.size());
        exchanged.push_back(n);
      }
    }
    void append(const Call& call, std::span<const std::byte> with) {
      constexpr std::size_t alignment = 16;
      const std::size_t begin = (arguments.size() + alignment - 1) / alignment * alignment;
      entries.push_back({call, begin, with.size()});
      arguments.resize(begin + with.size());
      std::memcpy(arguments.data() + begin, with.data(), with.size());
    }
  };

  /// The stretch that began so, or at least by the same kernel; else an empty one.
  [[nodiscard]] Stretch known_beginning(const Call& call, std::span<const std::byte> arguments) {
    auto found = known_.end();
    for (auto one = known_.begin(); one != known_.end(); ++one) {
      if (one->equals(0, call, arguments)) {
        found = one;
        break;
      }
      if (one->agrees(0, call, arguments)) {
        found = one;
      }
    }
    if (found == known_.end()) {
      return {};
    }
    Stretch taken = std::move(*found);
    known_.erase(found);
    return taken;
  }
  /// From here on what was known is of no use: what waits for it is sent, the rest forgotten.
  void leave_known_way() {
    const typename Device::Graph graph = std::exchange(now_.graph, {});
    if (graph) {
      for (std::size_t n = 0; n < sent_; ++n) {
        device_.perform(now_.entries[n].call, now_.arguments_of(n));
      }
    }
    if (sent_ < now_.size()) {
      now_.arguments.resize(now_.entries[sent_].begin);
      now_.entries.resize(sent_);
    }
    now_.exchanged.clear();
    now_.times = 0;
  }

  Device& device_;
  std::list<Stretch> known_;  // those met last at the end; none is empty
  Stretch now_;
  std::size_t sent_ = 0;  // calls of now_ that came this time
};

}  // namespace graft::backends::cuda
