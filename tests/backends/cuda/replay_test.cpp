// SPDX-License-Identifier: Apache-2.0
#include <graft/backends/cuda/replay.hpp>

#include <string>

#include "support/catch.hpp"

using namespace graft;
using backends::cuda::Call;

namespace {

/// Writes down what it is asked to do, and what would run.
struct NotingDevice {
  struct Graph {
    std::vector<std::string> calls;
    explicit operator bool() const { return !calls.empty(); }
  };
  std::vector<std::string> ran;
  std::vector<std::string>* recording = nullptr;
  std::vector<std::string> recorded;
  int singly = 0, graphs = 0, exchanges = 0, recordings = 0;

  static std::string text(const Call& call, std::span<const std::byte> arguments) {
    int number = 0;
    std::memcpy(&number, arguments.data(), sizeof number);
    return *static_cast<const std::string*>(call.what) + " " + std::to_string(number) + " of " +
           std::to_string(call.tasks);
  }
  void perform(const Call& call, std::span<const std::byte> arguments) {
    singly += recording == nullptr ? 1 : 0;
    (recording != nullptr ? *recording : ran).push_back(text(call, arguments));
  }
  void begin_recording() {
    recorded.clear();
    recording = &recorded;
    ++recordings;
  }
  Graph end_recording() {
    recording = nullptr;
    return {recorded};
  }
  void exchange(Graph& graph, std::size_t n, const Call& call, std::span<const std::byte> arguments) {
    ++exchanges;
    graph.calls[n] = text(call, arguments);
  }
  void run(const Graph& graph) {
    ++graphs;
    ran.insert(ran.end(), graph.calls.begin(), graph.calls.end());
  }
};

const std::string add = "add", scale = "scale", product = "product";

struct Bench {
  NotingDevice device;
  backends::cuda::Replay<NotingDevice> replay{device};

  void send(const std::string& what, int argument, Index tasks = 1) {
    const bool is_kernel = &what != &product;
    replay.send({&what, is_kernel, is_kernel ? tasks : 0}, std::as_bytes(std::span(&argument, 1)));
  }
  /// What ran since the last time.
  std::vector<std::string> flushed() {
    replay.flush();
    return std::exchange(device.ran, {});
  }
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("what comes a third time is sent as one graph, and runs the same") {
  Bench bench;
  for (int time = 1; time <= 5; ++time) {
    CAPTURE(time);
    bench.send(add, 1);
    bench.send(product, 2);
    bench.send(scale, 3);
    CHECK(bench.device.ran.size() == (time < 3 ? 3u : 0u));
    CHECK(bench.flushed() == Texts{"add 1 of 1", "product 2 of 0", "scale 3 of 1"});
  }
  CHECK(bench.device.singly == 6);
  CHECK(bench.device.recordings == 1);
  CHECK(bench.device.graphs == 3);
  CHECK(bench.device.exchanges == 0);
}

TEST_CASE("kernels of a graph take other arguments and extents, and keep them") {
  Bench bench;
  for (const int n : {1, 2, 3, 4, 4, 5}) {
    bench.send(add, 7);
    bench.send(scale, n, n);
    CHECK(bench.flushed() == Texts{"add 7 of 1", "scale " + std::to_string(n) + " of " + std::to_string(n)});
  }
  CHECK(bench.device.graphs == 4);
  CHECK(bench.device.exchanges == 3);  // to 3, 4 and 5
}

TEST_CASE("the first call may change, too") {
  Bench bench;
  for (int n = 0; n < 4; ++n) {
    bench.send(add, n);
    CHECK(bench.flushed() == Texts{"add " + std::to_string(n) + " of 1"});
  }
  CHECK(bench.device.graphs == 2);
}

TEST_CASE("a stretch that goes another way is sent call by call, and remembered as it went") {
  Bench bench;
  const auto send = [&](bool other, bool longer) {
    bench.send(add, 1);
    bench.send(scale, 2);
    bench.send(product, other ? 9 : 3);  // the arguments of products cannot be exchanged
    if (longer) {
      bench.send(add, 4);
    }
    Texts expected = {"add 1 of 1", "scale 2 of 1", other ? "product 9 of 0" : "product 3 of 0"};
    if (longer) {
      expected.push_back("add 4 of 1");
    }
    CHECK(bench.flushed() == expected);
  };
  for (int time = 0; time < 3; ++time) {
    send(false, false);
  }
  CHECK(bench.device.graphs == 1);
  SECTION("in the middle") {
    send(true, false);
    send(true, false);
    CHECK(bench.device.graphs == 1);
    send(true, false);
    CHECK(bench.device.graphs == 2);
  }
  SECTION("at the end, which comes later") {
    send(false, true);
    send(false, true);
    send(false, true);
    CHECK(bench.device.graphs == 2);
  }
  SECTION("at the end, which comes sooner") {
    bench.send(add, 1);
    CHECK(bench.flushed() == Texts{"add 1 of 1"});
    send(false, false);
    CHECK(bench.device.graphs == 1);
  }
}

TEST_CASE("stretches are told apart by how they begin, and the oldest are forgotten") {
  Bench bench;
  const auto send = [&](const std::string& what, int n) {
    bench.send(what, n);
    bench.send(product, n);
    CHECK(bench.flushed() == Texts{what + " " + std::to_string(n) + " of 1", "product " + std::to_string(n) + " of 0"});
  };
  for (int time = 0; time < 3; ++time) {
    send(add, 1);
    send(scale, 2);
  }
  CHECK(bench.device.graphs == 2);
  const std::vector<std::string> others(backends::cuda::Replay<NotingDevice>::most, "another");
  for (const std::string& another : others) {
    bench.send(another, 1);
    CHECK(bench.flushed() == Texts{"another 1 of 1"});
  }
  send(add, 1);
  CHECK(bench.device.graphs == 2);
}

TEST_CASE("a wait with nothing sent does nothing") {
  Bench bench;
  CHECK(bench.flushed().empty());
  CHECK(bench.device.graphs == 0);
}
