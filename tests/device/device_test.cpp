// SPDX-License-Identifier: Apache-2.0
// What needs a CUDA device: the kernels themselves, beside the same ones on the processor (tests/backends/cuda_test.cpp).
#include <optional>

#include <graft/backends/cuda.hpp>
#include <graft/backends/cuda/nccl.hpp>
#include <graft/optimizers/adamw.hpp>
#include <graft/schedules/constant.hpp>
#include <graft/train/trainer.hpp>

#include "contracts/adapter_contract.hpp"
#include "contracts/backend_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/golden_model.hpp"
#include "support/in_memory.hpp"

using namespace graft;

namespace {

const int device_count = backends::cuda::Queue::count();

std::string refusal(int device) {
  try {
    const backends::cuda::Queue queue(device);
  } catch (const Error& error) {
    return error.id();
  }
  return "none";
}

test::EveryMethod method_on_prompts(std::size_t method) {
  return test::only_number(method, 3, {.positions = ends(2, 2)});
}

/// Hidden states and gradients of one method.
template <class T, class B>
auto computed(std::size_t method, B be) {
  const test::InMemory kind(std::same_as<B, backends::Reference> ? host_memory : memory());
  test::Bench<T, B, test::EveryMethod> bench(test::small_config(), method_on_prompts(method), true, be);
  bench.disturb(2);
  bench.differentiate(bench.batch(test::detail::ragged, 3));
  return std::pair{bench.hidden(), bench.gradients(bench.attached)};
}

/// Beside the golden ones, relative to the largest.
template <class P>
double logits_error(const backends::Cuda& be, const models::Checkpoint& checkpoint, const std::string& name) {
  using Model = models::Llama<P, backends::Cuda>;
  Model model = Model::load(checkpoint);
  const io::Safetensors io = io::Safetensors::open(test::golden("models/" + name + "/io.safetensors"));
  const train::Batch batch = test::golden_batch(io);
  auto nothing = attach(be, model, Stack<>{}, 1);
  auto* member = &nothing;
  models::LlamaRun<Model, decltype(nothing)> run;
  run.forward(be, model, std::span(&member, 1), batch.ragged, batch.tokens, batch.ragged.tokens());
  Tensor<float> logits(batch.ragged.tokens(), model.config.vocab);
  run.logits(be, model, test::every_row(batch.ragged.tokens()), logits.view());
  return test::relative_error(logits.view(), test::golden_tensor(io, "logits").view());
}

/// The parameters of LoRA and LoReFT after some steps.
std::vector<Tensor<float>> trained(const backends::Cuda& be) {
  test::Bench<float, backends::Cuda, test::EveryMethod> bench(
      test::small_config(),
      test::only(test::OnLinear<adapters::Lora<>>{{.rank = 2}, {}}, test::OnStream<adapters::LoReft<>>{{.rank = 3}, {.positions = ends(2, 2)}}),
      false, be);
  const std::vector<train::Batch> data = {bench.batch(test::detail::ragged, 3)};
  train::Trainer trainer(bench.be, bench.model, bench.attached, optimizers::AdamW{}, schedules::Constant{}, {.rate = 1e-2});
  for (int step = 0; step < 20; ++step) {
    (void)trainer.step(data);
  }
  std::vector<Tensor<float>> values;
  bench.attached.for_each_parameter([&](const std::string&, Parameter<float>& p) { values.push_back(bench.copied(p.value)); });
  return values;
}

/// A group of one, so that NCCL runs on a machine with one device.
struct OneProcess {
  [[nodiscard]] Index rank() const { return 0; }
  [[nodiscard]] Index size() const { return 1; }
  void sum(std::span<double>) const {}
  void broadcast(std::span<std::byte>) const {}
};

void check_identical(const std::vector<Tensor<float>>& first, const std::vector<Tensor<float>>& second) {
  REQUIRE(first.size() == second.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    CHECK(test::identical(first[i].view(), second[i].view()));
  }
}

}  // namespace

TEST_CASE("a device that is not there is named") {
  CHECK(refusal(device_count) == "cuda.001");
}

TEST_CASE("a CUDA device does what Reference specifies", "[device]") {
  test::check_backend(backends::Cuda());
}

TEST_CASE("every adapter on a CUDA device equals Reference in double", "[device]") {
  const backends::Cuda device;
  for (std::size_t method = 0; method < test::method_count; ++method) {
    CAPTURE(method);
    const auto expected = computed<double>(method, backends::Reference{});
    const auto found = computed<float>(method, device);
    CHECK(test::relative_error(found.first.view(), expected.first.view()) < 2e-5);
    REQUIRE(found.second.size() == expected.second.size());
    for (std::size_t i = 0; i < found.second.size(); ++i) {
      CAPTURE(i);
      CHECK(test::relative_error(found.second[i].view(), expected.second[i].view()) < 2e-4);
    }
  }
}

TEST_CASE("golden models give their logits on a CUDA device", "[device]") {
  for (const std::string name : {"llama-gqa", "llama3-rope", "mistral-window", "qwen3-qknorm", "gemma"}) {
    CAPTURE(name);
    const backends::Cuda be;
    CHECK(logits_error<Uniform<float>>(be, models::open_checkpoint(test::golden("models/" + name)), name) < 1e-4);
  }
}

TEST_CASE("a model in bf16 stays near its logits on a CUDA device", "[device]") {
  const auto checkpoint = models::open_checkpoint(test::golden("models/llama-gqa"));
  graft::backends::Cuda be;  // first: memory taken from now on is the device's, or managed
  auto model = graft::models::Llama<graft::Mixed<graft::bf16, float>, graft::backends::Cuda>::load(checkpoint);
  CHECK(model.config.vocab == checkpoint.config.vocab);
  be.rounds = true;
  CHECK(logits_error<Mixed<bf16, float>>(be, checkpoint, "llama-gqa") < 5e-2);
}

TEST_CASE("attention on tensor cores stays near fp32", "[device]") {
  backends::Cuda be;
  const ops::AttentionShape shape{4, 2, 64, 0.125};
  const std::vector<ops::AttentionSpan> spans = {{0, 100, 0, 100}, {100, 300, 100, 300}};
  const auto q = test::normal<float>(400, 256, 1), k = test::normal<float>(400, 128, 2), v = test::normal<float>(400, 128, 3);
  const auto d_o = test::normal<float>(400, 256, 4);
  const auto results = [&] {
    std::vector<Tensor<float>> all;
    for (const Index cols : {256, 4, 256, 128, 128}) {
      all.emplace_back(400, cols);
    }
    be.attention(shape, spans, q.view(), k.view(), v.view(), all[0].view(), all[1].view());
    be.attention_vjp(shape, spans, q.view(), k.view(), v.view(), all[0].view(), all[1].view(), d_o.view(), all[2].view(),
                     all[3].view(), all[4].view());
    return all;
  };
  const auto exact = results();
  be.rounds = true;
  const auto rounded = results();
  for (std::size_t i = 0; i < exact.size(); ++i) {
    CAPTURE(i);
    CHECK(test::relative_error(rounded[i].view(), exact[i].view()) < 2e-2);
    CHECK(test::relative_error(rounded[i].view(), exact[i].view()) > 0);
  }
}

TEST_CASE("two runs with one seed end in the same bits", "[device]") {
  const backends::Cuda be;
  const auto first = trained(be);
  const auto second = trained(be);
  check_identical(first, second);
}

TEST_CASE("steps that are sent as graphs end in the bits of those sent call by call", "[device]") {
  const backends::Cuda be;
  const auto as_graphs = trained(be);
  be.queue().set_replay(false);
  const auto singly = trained(be);
  check_identical(as_graphs, singly);
}

TEST_CASE("a product of one row on a CUDA device equals Reference", "[device]") {
  const backends::Cuda be;
  const auto a = test::normal<float>(1, 576, 1), b = test::normal<float>(1536, 576, 2);
  Tensor<float> c(1, 1536), expected(1, 1536);
  be.gemm_nt(1, a.view(), b.view(), 0, c.view());
  backends::Reference().gemm_nt(1, a.view(), b.view(), 0, expected.view());
  CHECK(test::relative_error(c.view(), expected.view()) < 1e-5);
}

TEST_CASE("the peak of a device's memory counts what was given back", "[device]") {
  const backends::Cuda be;
  const std::size_t before = backends::cuda::Queue::peak_bytes();
  { const Tensor<std::byte> much(1, static_cast<Index>(before)); }
  CHECK(backends::cuda::Queue::peak_bytes() > before);
}

TEST_CASE("more memory than the device has is refused with what is free", "[device]") {
  const backends::Cuda be;
  try {
    const Tensor<std::byte> much(1, static_cast<Index>(be.queue().facts().bytes) + 1);
    FAIL("it was given");
  } catch (const Error& error) {
    CHECK(error.id() == "cuda.002");
    CHECK_THAT(error.what(), test::contains("MiB"));
  }
}

TEST_CASE("NCCL takes our declarations of its functions: a group of one leaves gradients as the kernels made them", "[device]") {
  const backends::Cuda be;
  std::optional<backends::cuda::NcclLibrary> library;
  try {
    library = backends::cuda::NcclLibrary::open();
  } catch (const Error& error) {
    WARN(error.what());
    return;
  }
  backends::cuda::Nccl<OneProcess> processes(OneProcess{}, *library);
  Tensor<float> one(3, 5), two(1, 70000);
  const auto burst = be.burst();
  be.fill(2, one.view());
  be.fill(3, two.view());
  const View<float> gradients[] = {one.view(), two.view()};
  processes.sum(be, std::span<const View<float>>(gradients));
  CHECK(one(2, 4) == 2.0f);
  CHECK(two(0, 69999) == 3.0f);
}
