// SPDX-License-Identifier: Apache-2.0
// Runs under mpirun, in a program of its own; each process checks what it has got.
#include <graft/train/mpi.hpp>

#include <graft/adapters/lora.hpp>
#include <graft/backends/reference.hpp>
#include <graft/core/random.hpp>
#include <graft/core/tensor.hpp>
#include <graft/models/attach.hpp>
#include <graft/optimizers/adamw.hpp>
#include <graft/schedules/constant.hpp>
#include <graft/train/communicator.hpp>
#include <graft/train/trainer.hpp>

#include "support/catch.hpp"
#include "support/tiny_llama.hpp"

using namespace graft;

namespace {

static_assert(train::communicator<train::Mpi, backends::Reference, float>);
static_assert(train::communicator<train::Mpi, backends::Reference, double>);

/// From the first test to the end of the program.
struct Started {
  Started() {
    int given = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &given);
  }
  ~Started() { MPI_Finalize(); }
  Started(const Started&) = delete;
  Started& operator=(const Started&) = delete;
};

train::Mpi processes() {
  static const Started started;
  return train::Mpi();
}

/// Number i of what process `rank` brings: sums depend on their order.
template <class C>
C number_of(Index rank, std::size_t i) {
  return static_cast<C>(Random(7, static_cast<std::uint64_t>(rank)).normal(i));
}
/// Number i of the sum in the order of the ranks.
template <class C>
C sum_at(Index size, std::size_t i) {
  C total = number_of<C>(0, i);
  for (Index rank = 1; rank < size; ++rank) {
    total += number_of<C>(rank, i);
  }
  return total;
}

template <class C>
Index wrong_after_sum(train::Mpi& all, std::size_t count) {
  std::vector<C> numbers(count);
  for (std::size_t i = 0; i < count; ++i) {
    numbers[i] = number_of<C>(all.rank(), i);
  }
  all.sum(std::span(numbers));
  Index wrong = 0;
  for (std::size_t i = 0; i < count; ++i) {
    wrong += numbers[i] != sum_at<C>(all.size(), i) ? 1 : 0;
  }
  return wrong;
}

}  // namespace

TEST_CASE("there are several processes, all of them on this machine") {
  train::Mpi all = processes();
  CHECK(all.size() > 1);
  CHECK(all.rank() < all.size());
  CHECK(all.rank_on_machine() == all.rank());
}

TEST_CASE("numbers are added in the order of the ranks, bit for bit on every process, also fewer than there are processes") {
  train::Mpi all = processes();
  for (const std::size_t count : {0, 1, 2, 3, 5, 1000}) {
    CAPTURE(count);
    CHECK(wrong_after_sum<float>(all, count) == 0);
    CHECK(wrong_after_sum<double>(all, count) == 0);
  }
}

TEST_CASE("matrices are added as one list, which goes round in pieces where it is long") {
  train::Mpi all = processes();
  std::vector<Tensor<float>> tensors;
  tensors.emplace_back(3, 5);
  tensors.emplace_back(0, 4);
  tensors.emplace_back(1024, 1030);  // more than one piece
  tensors.emplace_back(1, 1);
  tensors.emplace_back(700, 1500);
  REQUIRE(tensors[2].size() > static_cast<Index>(train::Mpi::most));
  std::vector<View<float>> views;
  std::size_t number = 0;
  for (Tensor<float>& tensor : tensors) {
    views.push_back(tensor.view());
    for (Index i = 0; i < tensor.size(); ++i) {
      views.back().data[i] = number_of<float>(all.rank(), number++);
    }
  }
  all.sum(backends::Reference(), std::span<const View<float>>(views));
  Index wrong = 0;
  number = 0;
  for (const View<float>& view : views) {
    for (Index i = 0; i < view.size(); ++i) {
      wrong += view.data[i] != sum_at<float>(all.size(), number++) ? 1 : 0;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("bytes go from one process to all") {
  train::Mpi all = processes();
  for (Index from = 0; from < all.size(); ++from) {
    std::string text = all.rank() == from ? "from " + std::to_string(from) : std::string(6, ' ');
    all.broadcast(std::as_writable_bytes(std::span(text)), from);
    CHECK(text == "from " + std::to_string(from));
  }
}

TEST_CASE("a trainer among processes does what one does with all shares, and ends in the same bits everywhere") {
  train::Mpi all = processes();
  const backends::Reference be;
  auto model = test::tiny_llama<Uniform<float>, backends::Reference>(test::small_config(), 1);
  const Stack<At<site::linear, adapters::Lora<2>>> recipe;
  auto tuned = attach(be, model, recipe, 4), reference = attach(be, model, recipe, 4);
  std::vector<train::Batch> shares;
  for (Index rank = 0; rank < all.size(); ++rank) {
    shares.push_back(test::tiny_batch(test::small_config(), {{9, 6}, {6, 3}}, static_cast<std::uint64_t>(3 + 10 * rank)));
  }
  const train::Batch& my_share = shares[static_cast<std::size_t>(all.rank())];
  train::Trainer alone{be, model, reference, optimizers::AdamW{}, schedules::Constant{}, {.rate = 1e-3}};
  train::Trainer trainer{be, model, tuned, optimizers::AdamW{}, schedules::Constant{}, {.rate = 1e-3},
                         train::TokenMean{}, train::Mpi{}};
  for (int step = 0; step < 3; ++step) {
    const train::StepReport report = trainer.step(my_share);
    const train::StepReport expected = alone.step(shares);
    CHECK(report.loss == Approx(expected.loss).epsilon(1e-5));
    CHECK(report.gradient_norm == Approx(expected.gradient_norm).epsilon(1e-4));
    CHECK(report.tokens == expected.tokens);
  }
  Index different = 0;
  tuned.for_each_parameter([&](const std::string&, Parameter<float>& p) {
    for (Index i = 0; i < p.size(); ++i) {
      float first = p.value.data[i];
      all.broadcast(std::as_writable_bytes(std::span(&first, 1)));
      different += first != p.value.data[i] ? 1 : 0;
    }
  });
  CHECK(different == 0);
}
