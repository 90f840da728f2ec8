// SPDX-License-Identifier: Apache-2.0
// Nccl over a library that notes what it is asked for; NCCL itself needs two devices.
#include <graft/backends/cuda/nccl.hpp>

#include <cstring>
#include <vector>

#include <graft/core/tensor.hpp>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;
using backends::cuda::Nccl;
using backends::cuda::NcclLibrary;
using test::contains;

namespace {

/// One of two processes, whose other one has the same numbers.
struct Twins {
  Index me = 0;
  [[nodiscard]] Index rank() const { return me; }
  [[nodiscard]] Index size() const { return 2; }
  void sum(std::span<double> numbers) const {
    for (double& number : numbers) {
      number *= 2;
    }
  }
  void broadcast(std::span<std::byte> bytes) const {
    if (me != 0) {
      std::memset(bytes.data(), 'i', bytes.size());
    }
  }
};
struct Single : Twins {
  [[nodiscard]] Index size() const { return 1; }
};

struct StandInQueue {
  int object = 0;
  [[nodiscard]] void* stream() { return &object; }
};
struct StandInBackend {
  StandInQueue* sends;
  int* waits;
  [[nodiscard]] StandInQueue& queue() const { return *sends; }
  void finish() const { ++*waits; }
};

/// What the library was asked for.
struct Asked {
  std::vector<std::string> calls;
  void* stream = nullptr;
  int failing = 0;  // status of all_reduce
};
Asked asked;
int group_object = 0;

NcclLibrary noting() {
  asked = {};
  NcclLibrary library;
  library.make_id = [](NcclLibrary::Id* id) {
    id->bytes.fill('i');
    asked.calls.push_back("make_id");
    return 0;
  };
  library.join = [](NcclLibrary::Group* group, int size, NcclLibrary::Id id, int rank) {
    *group = &group_object;
    const bool whole = id.bytes.front() == 'i' && id.bytes.back() == 'i';
    asked.calls.push_back("join " + std::to_string(rank) + " of " + std::to_string(size) + (whole ? "" : " without an id"));
    return 0;
  };
  library.leave = [](NcclLibrary::Group group) {
    asked.calls.push_back(group == &group_object ? "leave" : "leave another");
    return 0;
  };
  library.begin_calls = [] {
    asked.calls.push_back("begin");
    return 0;
  };
  library.end_calls = [] {
    asked.calls.push_back("end");
    return 0;
  };
  library.all_reduce = [](const void* from, void* to, std::size_t count, int type, int operation, NcclLibrary::Group group,
                          NcclLibrary::Stream stream) {
    REQUIRE(from == to);
    REQUIRE(group == &group_object);
    REQUIRE(type == 7);
    REQUIRE(operation == 0);
    for (std::size_t i = 0; i < count; ++i) {
      static_cast<float*>(to)[i] *= 2;
    }
    asked.stream = stream;
    asked.calls.push_back("add " + std::to_string(count));
    return asked.failing;
  };
  library.say = [](int) { return "the words of NCCL"; };
  return library;
}

using Calls = std::vector<std::string>;

}  // namespace

TEST_CASE("gradients are added in place, in one group of calls on the queue's stream, and are there when sum() returns") {
  StandInQueue queue;
  int waits = 0;
  const StandInBackend be{&queue, &waits};
  Tensor<float> one(2, 3), two(1, 4);
  one(1, 2) = 5;
  two(0, 3) = 7;
  {
    Nccl<Twins> processes(Twins{1}, noting());
    CHECK(processes.rank() == 1);
    CHECK(processes.size() == 2);
    const View<float> gradients[] = {one.view(), two.view()};
    processes.sum(be, std::span<const View<float>>(gradients));
    double number = 3;
    processes.sum(std::span(&number, 1));
    CHECK(number == 6);
  }
  CHECK(asked.calls == Calls{"join 1 of 2", "begin", "add 6", "add 4", "end", "leave"});
  CHECK(asked.stream == queue.stream());
  CHECK(waits == 1);
  CHECK(one(1, 2) == 10.0f);
  CHECK(two(0, 3) == 14.0f);
}

TEST_CASE("the first process makes the id, copies are one group, and the last of them leaves it") {
  {
    const Nccl<Twins> processes(Twins{0}, noting());
    const Nccl<Twins> copy = processes;
    CHECK(asked.calls == Calls{"make_id", "join 0 of 2"});
  }
  CHECK(asked.calls.back() == "leave");
}

TEST_CASE("a single process opens no library and waits for nothing") {
  StandInQueue queue;
  int waits = 0;
  Nccl<Single> alone{Single{}};
  alone.sum(StandInBackend{&queue, &waits}, std::span<const View<float>>());
  CHECK(waits == 0);
}

TEST_CASE("a library that is absent, or is none, and a failure of it are told in a sentence") {
  const Error absent = test::error_of([] { (void)NcclLibrary::open("libabsent.so.7"); });
  CHECK(absent.id() == "cuda.005");
  CHECK_THAT(absent.what(), contains("libabsent.so.7"));
  const Error other = test::error_of([] { (void)NcclLibrary::open("libm.so.6"); });
  CHECK(other.id() == "cuda.005");
  CHECK_THAT(other.what(), contains("ncclGetUniqueId"));

  StandInQueue queue;
  int waits = 0;
  Nccl<Twins> processes(Twins{0}, noting());
  asked.failing = 3;
  Tensor<float> one(1, 1);
  const View<float> gradients[] = {one.view()};
  const Error failed = test::error_of(
      [&] { processes.sum(StandInBackend{&queue, &waits}, std::span<const View<float>>(gradients)); });
  CHECK(failed.id() == "cuda.006");
  CHECK_THAT(failed.what(), contains("the words of NCCL"));
}
