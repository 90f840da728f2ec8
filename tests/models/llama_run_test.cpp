// SPDX-License-Identifier: Apache-2.0
#include <graft/models/llama_run.hpp>

#include <graft/adapters/lora.hpp>
#include <graft/backends/gemm/eigen.hpp>
#include <graft/backends/simd.hpp>
#if __has_include(<oneapi/dnnl/dnnl.hpp>)
#include <graft/backends/gemm/onednn.hpp>
#endif

#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/golden_model.hpp"
#include "support/tiny_llama.hpp"

using namespace graft;

namespace {

using Everything = Stack<At<site::everything & ~site::stream, adapters::Full>>;
using Nothing = Stack<>;

const char* const golden_models[] = {"llama-mha",      "llama-gqa",  "llama3-rope",  "llama-headdim",
                                     "mistral-window", "qwen2-bias", "qwen3-qknorm", "gemma"};

/// Errors relative to the golden numbers of one model: logits, hidden states and all gradients under full finetuning.
struct Errors {
  double logits = 0, hidden = 0, gradients = 0, loss = 0;
};

template <class P, class B>
Errors compare(const B& be, const std::string& folder, const io::Safetensors& io) {
  using C = typename P::Computed;
  using Model = models::Llama<P, B>;
  Model model = Model::load(models::open_checkpoint(folder));
  const train::Batch batch = test::golden_batch(io);
  auto attached = attach(be, model, Everything{}, 1);
  auto* member = &attached;
  models::LlamaRun<Model, decltype(attached)> run;
  run.forward(be, model, std::span(&member, 1), batch.ragged, batch.tokens, static_cast<Index>(batch.rows.size()),
              {.keep = true});
  Errors errors;
  for (Index l = 0; l < model.layer_count(); ++l) {
    errors.hidden =
        std::max(errors.hidden,
                 test::relative_error(run.hidden(l), test::golden_tensor(io, "hidden." + std::to_string(l)).view()));
  }
  const std::vector<Index> all_rows = test::every_row(batch.ragged.tokens());
  Tensor<C> logits(batch.ragged.tokens(), model.config.vocab);
  run.logits(be, model, all_rows, logits.view());
  errors.logits = test::relative_error(logits.view(), test::golden_tensor(io, "logits").view());
  const double loss =
      test::mean_of(batch) * run.loss(be, model, batch.rows, batch.targets, static_cast<C>(test::mean_of(batch)));
  errors.loss = std::abs(loss - test::golden_tensor(io, "loss")(0, 0));
  run.backward(be, model);
  attached.for_each_parameter([&](std::string key, Parameter<C>& parameter) {
    key.erase(key.find(".full"), 5);
    const auto expected = test::golden_tensor(io, "grad." + key);
    const double error = test::relative_error(parameter.gradient.view(),
                                              expected.view().reshape(parameter.value.rows, parameter.value.cols));
    UNSCOPED_INFO(key << " " << error);
    errors.gradients = std::max(errors.gradients, error);
  });
  return errors;
}

template <class P, class B>
Errors compare(const B& be, const std::string& name) {
  const std::string folder = test::golden("models/" + name);
  return compare<P>(be, folder, io::Safetensors::open(folder + "/io.safetensors"));
}

/// golden/README.md's tolerances of fp32.
void check_single(const Errors& errors) {
  CHECK(errors.logits < 2e-5);
  CHECK(errors.hidden < 2e-5);
  CHECK(errors.gradients < 1e-4);
  CHECK(errors.loss < 1e-5);
}

/// Gradients of a LoRA on every linear map, over the golden batch.
template <class P>
std::vector<Tensor<float>> lora_gradients(const std::string& folder, const train::Batch& batch, bool recompute) {
  using B = backends::Simd<backends::EigenGemm>;
  using Model = models::Llama<P, B>;
  const B be;
  Model model = Model::load(models::open_checkpoint(folder));
  auto attached = attach(be, model, Stack{At<site::linear, adapters::Lora<>>{{.rank = 4}}}, 1);
  auto* member = &attached;
  models::LlamaRun<Model, decltype(attached)> run;
  run.forward(be, model, std::span(&member, 1), batch.ragged, batch.tokens, batch.labelled(),
              {.keep = true, .recompute = recompute});
  (void)run.loss(be, model, batch.rows, batch.targets, static_cast<float>(test::mean_of(batch)));
  run.backward(be, model);
  std::vector<Tensor<float>> all;
  attached.for_each_parameter(
      [&](const std::string&, Parameter<float>& parameter) { all.push_back(parameter.gradient.clone()); });
  return all;
}

/// llama-gqa with its weights in bf16.
struct HalfModel {
  test::TempFolder folder;

  HalfModel() {
    for (const auto& [from, to] :
         {std::pair{"config.json", "config.json"}, {"model-bf16.safetensors", "model.safetensors"}}) {
      (void)folder.write(to, test::slurp(test::golden("models/llama-gqa/") + from));
    }
  }
  [[nodiscard]] static io::Safetensors expected() {
    return io::Safetensors::open(test::golden("models/llama-gqa/io-bf16.safetensors"));
  }
};

}  // namespace

TEST_CASE("logits, hidden states, loss and every gradient equal the golden ones in double") {
  for (const char* name : golden_models) {
    INFO(name);
    for (const Index block_rows : {Index{128}, Index{5}}) {
      const Errors errors = compare<Uniform<double>>(backends::Reference{.block_rows = block_rows}, name);
      CHECK(errors.logits < 1e-11);
      CHECK(errors.hidden < 1e-11);
      CHECK(errors.gradients < 1e-10);
      CHECK(errors.loss < 1e-12);
    }
  }
}

TEST_CASE("in single precision the processor's backend equals the golden numbers of every family", "[isa]") {
  for (const char* name : golden_models) {
    INFO(name);
    check_single(compare<Uniform<float>>(backends::Simd<backends::EigenGemm>{}, name));
#if __has_include(<oneapi/dnnl/dnnl.hpp>)
    check_single(compare<Uniform<float>>(backends::Simd<backends::OneDnn>{}, name));
#endif
  }
}

TEST_CASE("weights stored in bf16 give the golden numbers: computed in fp32 to its precision, in bf16 products nearly",
          "[isa]") {
  const HalfModel half;
  const io::Safetensors expected = HalfModel::expected();
  check_single(compare<Uniform<float>>(backends::Simd<backends::EigenGemm>{}, half.folder.path(), expected));

  using B = backends::Simd<backends::EigenGemm>;
  using Model = models::Llama<Mixed<bf16, float>, B>;
  const B be;
  const Model model = Model::load(models::open_checkpoint(half.folder.path()));
  const train::Batch batch = test::golden_batch(expected);
  models::LlamaRun<Model, Attached<float, Nothing>> run;
  run.forward(be, model, {}, batch.ragged, batch.tokens, batch.ragged.tokens());
  const std::vector<Index> rows = test::every_row(batch.ragged.tokens());
  Tensor<float> logits(batch.ragged.tokens(), model.config.vocab);
  run.logits(be, model, rows, logits.view());
  const Tensor<double> golden = test::golden_tensor(expected, "logits");
  CHECK(test::relative_error(logits.view(), golden.view()) < 5e-2);
  const double rounding = test::relative_norm_error(logits.view(), golden.view());
  CHECK(rounding > 0);  // the products round
  CHECK(rounding < 2.5e-2);
  const double loss = test::mean_of(batch) * run.loss(be, model, batch.rows, batch.targets);
  CHECK(std::abs(loss - test::golden_tensor(expected, "loss")(0, 0)) < 1e-2);
}

TEST_CASE("gradients of activations that were kept in bf16, or computed again from them, are fp32's nearly", "[isa]") {
  const HalfModel half;
  const train::Batch batch = test::golden_batch(HalfModel::expected());
  const auto expected = lora_gradients<Uniform<float>>(half.folder.path(), batch, false);
  for (const bool recompute : {false, true}) {
    const auto found = lora_gradients<Mixed<bf16, float>>(half.folder.path(), batch, recompute);
    double worst = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (test::largest(expected[i].view()) > 0) {  // A's gradient is zero while B is
        worst = std::max(worst, test::relative_norm_error(found[i].view(), expected[i].view()));
      }
    }
    CAPTURE(recompute);
    CHECK(worst > 0);
    CHECK(worst < 3e-2);
  }
}

TEST_CASE("a run refuses what it cannot run, in words") {
  using Model = models::Llama<Uniform<double>, backends::Reference>;
  const backends::Reference be;
  Model model = Model::load(models::open_checkpoint(test::golden("models/llama-gqa")));
  auto attached = attach(be, model, Everything{}, 1);
  auto* const member = &attached;
  const std::span bank(&member, 1);
  models::LlamaRun<Model, decltype(attached)> run;
  const std::vector<std::int32_t> tokens = {1, 2, 3};
  const std::vector<Index> rows = {0, 1};
  const std::vector<std::int32_t> labels = {2, 3};
  Ragged batch;
  batch.push(3, 1);

  CHECK_THROWS_WITH(run.forward(be, model, bank, batch, std::span(tokens).first(2), 1), test::contains("shape.146"));
  const std::vector<std::int32_t> foreign = {1, 2, 131};
  CHECK_THROWS_WITH(run.forward(be, model, bank, batch, foreign, 1),
                    test::contains("train.410: token id 131 lies outside the vocabulary of 131"));
  Ragged later;
  later.push(3, 1, 4);
  CHECK_THROWS_WITH(run.forward(be, model, bank, later, tokens, 1), test::contains("shape.142"));
  run.forward(be, model, bank, batch, tokens, 1);
  CHECK_THROWS_WITH(run.loss(be, model, rows, labels), test::contains("shape.143"));
  CHECK_THROWS_WITH(run.backward(be, model), test::contains("shape.144"));
}

TEST_CASE("logits and losses are computed in chunks of the rows that forward was told of, whatever their number") {
  using Model = models::Llama<Uniform<double>, backends::Reference>;
  const backends::Reference be;
  const Model model = Model::load(models::open_checkpoint(test::golden("models/llama-gqa")));
  const auto io = io::Safetensors::open(test::golden("models/llama-gqa/io.safetensors"));
  const train::Batch batch = test::golden_batch(io);
  models::LlamaRun<Model, Attached<double, Nothing>> run;
  run.forward(be, model, {}, batch.ragged, batch.tokens, 5);
  const std::vector<Index> rows = test::every_row(batch.ragged.tokens());
  Tensor<double> logits(batch.ragged.tokens(), model.config.vocab);
  run.logits(be, model, rows, logits.view());  // 62 rows, 5 at a time
  CHECK(test::relative_error(logits.view(), test::golden_tensor(io, "logits").view()) < 1e-11);
}

TEST_CASE("nothing is kept below the lowest module, and logits exist for one chunk of labelled rows at a time") {
  using Model = models::Llama<Uniform<double>, backends::Reference>;
  const backends::Reference be;
  models::LlamaConfig config = test::small_config();
  config.vocab = 5000;
  Model model = test::tiny_llama<Uniform<double>, backends::Reference>(config, 1);
  const auto bytes = [&](Index layer, Index tokens, std::string_view name) {
    auto attached = attach<Everything>(be, model, {.layers = only_layers({layer}), .sites = site::down}, 1);
    auto* const member = &attached;
    Ragged batch;
    batch.push(tokens, 1);
    models::LlamaRun<Model, decltype(attached)> run;
    run.measure(be, model, std::span(&member, 1), batch, tokens, {.keep = true});
    std::size_t found = 0;
    for (const ArenaEntry& entry : run.arena().entries()) {
      found += entry.name == name ? entry.bytes : 0;
    }
    return found;
  };
  for (const Index layer : {Index{0}, Index{1}, Index{2}}) {
    CHECK(bytes(layer, 1024, "kept: block input") ==
          static_cast<std::size_t>((3 - layer) * 1024 * 13) * sizeof(double));
  }
  for (const Index tokens : {Index{1024}, Index{4096}}) {
    CHECK(bytes(2, tokens, "head: logits of a chunk") == std::size_t{256} * 5000 * sizeof(double));
  }
}
