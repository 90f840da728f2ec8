// SPDX-License-Identifier: Apache-2.0
#include <graft/train/checkpoint.hpp>

#include <sys/resource.h>

#include <csignal>

#include <graft/adapters/full.hpp>
#include <graft/backends/gemm/eigen.hpp>
#include <graft/backends/simd.hpp>
#include <graft/models/load_tokenizer.hpp>
#include <graft/models/open_checkpoint.hpp>
#include <graft/optimizers/adamw.hpp>
#include <graft/schedules/cosine.hpp>
#include <graft/schedules/warm_up.hpp>
#include <graft/train/dataset.hpp>

#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/files.hpp"
#include "support/householder_basis.hpp"
#include "support/paths.hpp"
#include "support/tiny_llama.hpp"

using namespace graft;

namespace {

using ResumeBackend = backends::Simd<backends::EigenGemm>;
using ResumeModel = models::Llama<Uniform<float>, ResumeBackend>;
using Everything = Stack<At<site::everything & ~site::stream, adapters::Full>>;
using RatesOfResume = schedules::WarmUp<schedules::Cosine>;

/// A model with one adapter in training; two of the same recipe are the same run.
template <class StackType>
struct ResumeRun {
  const ResumeBackend be;
  ResumeModel model;
  Attached<float, StackType> tuned;
  train::Trainer<ResumeModel, Attached<float, StackType>, optimizers::AdamW, RatesOfResume> trainer;

  ResumeRun(ResumeModel made, const StackType& stack)
      : model(std::move(made)),
        tuned(attach(be, model, stack, 1)),
        trainer(be, model, tuned, optimizers::AdamW{.decay = 0.01}, RatesOfResume{2, {}},
                {.rate = 3e-3, .clip = 1, .spike = 50, .total_steps = 12, .seed = 9}) {}

  [[nodiscard]] std::string bytes() {
    std::string all;
    trainer.for_each_stored([&](const std::string& name, View<float> values) {
      all += name;
      all.append(reinterpret_cast<const char*>(values.data), static_cast<std::size_t>(values.size()) * sizeof(float));
    });
    return all;
  }
};

/// 12 steps at once against 5, a checkpoint, and the other 7 in an object that was made anew: every bit of values, moments
/// and losses.
template <class MakeRun, class BatchAt>
void continues_bit_for_bit(const MakeRun& make, const BatchAt& batch_at) {
  const test::TempFolder home;
  const train::RunIdentity identity{{}, {{"data", "1"}}, {{"lr", 3e-3}}};
  const io::Json notes = {{"valid_loss", 0.25}, {"epoch", 2}};
  const auto whole = make();
  std::vector<double> expected;
  for (Index step = 0; step < 12; ++step) {
    expected.push_back(whole->trainer.step(batch_at(*whole, step)).loss);
    if (step == 4) {
      train::save_checkpoint(home.path("step"), whole->trainer, identity, notes);
    }
  }
  const auto resumed = make();
  CHECK(train::load_checkpoint(home.path("step"), resumed->trainer, identity) == notes);
  CHECK(resumed->trainer.steps() == 5);
  std::vector<double> found(expected.begin(), expected.begin() + 5);
  for (Index step = 5; step < 12; ++step) {
    found.push_back(resumed->trainer.step(batch_at(*resumed, step)).loss);
  }
  CHECK(found == expected);
  CHECK(resumed->bytes() == whole->bytes());
}

using TinyRun = ResumeRun<test::EveryMethod>;
std::unique_ptr<TinyRun> tiny_run(const test::EveryMethod& stack) {
  return std::make_unique<TinyRun>(test::tiny_llama<Uniform<float>, ResumeBackend>(test::small_config(), 1), stack);
}
train::Batch tiny_step(TinyRun& run, Index step) {
  const Index inserted = run.tuned.inserted();
  return test::tiny_batch(test::small_config(), {{9, 5, 1, inserted}, {7, 4, 1, inserted}},
                          static_cast<std::uint64_t>(step));
}
std::unique_ptr<TinyRun> tiny_lora(Index rank = 2) {
  return tiny_run(test::only(test::OnLinear<adapters::Lora<>>{{.rank = rank, .dropout = 0.1}, {.sites = site::query}}));
}

const train::RunIdentity tiny_identity{
    {.vocab = 19, .dim = 13, .layers = 3, .heads = 4, .kv_heads = 2, .head_dim = 4, .ffn = 17, .hash = "1234"},
    {{"data", "10-ab"}, {"valid", "3-cd"}},
    {{"lr", 3e-3}, {"adapters", {{{"name", "lora"}, {"rank", 2}}}}}};

}  // namespace

TEST_CASE("every method goes on from a checkpoint bit for bit") {
  for (std::size_t method = 0; method < test::method_count; ++method) {
    CAPTURE(method);
    continues_bit_for_bit([&] { return tiny_run(test::only_number(method, 2, {.positions = ends(2, 2)})); }, tiny_step);
  }
}

TEST_CASE("on the embedded model lora, loreft and pmss with dropout and full finetuning go on bit for bit") {
  const models::Checkpoint checkpoint = models::open_checkpoint((test::root() / "examples/models/village").string());
  const text::Tokenizer tokenizer = models::load_tokenizer(checkpoint).value();
  const train::Dataset data = train::load_dataset((test::root() / "examples/data/village/train.jsonl").string(),
                                                  {.tokenizer = &tokenizer, .close = false});
  const auto batch_at = [&](auto& run, Index step) {
    return train::batch_at(data.examples, step, 4, run.tuned.inserted());
  };
  const auto made_of = [&]<class StackType>(const StackType& stack) {
    continues_bit_for_bit([&] { return std::make_unique<ResumeRun<StackType>>(ResumeModel::load(checkpoint), stack); },
                          batch_at);
  };
  made_of(test::only(test::OnLinear<adapters::Lora<>>{{.rank = 4, .dropout = 0.1}, {}}));
  made_of(test::only(test::OnStream<adapters::LoReft<>>{{.rank = 4, .dropout = 0.1},
                                                        {.positions = ends(3, 3), .sites = site::residual}}));
  made_of(test::only(test::OnLinear<adapters::Pmss<>>{{.rank = 8}, {}}));
  made_of(Everything{});
}

TEST_CASE("a checkpoint of another base, data or setting is refused by name, and changes nothing") {
  const test::TempFolder home;
  const auto run = tiny_lora();
  (void)run->trainer.step(tiny_step(*run, 0));
  train::save_checkpoint(home.path(), run->trainer, tiny_identity, nullptr);
  const auto fresh = tiny_lora();
  const std::string before = fresh->bytes();
  const auto refused = [&](const train::RunIdentity& other, const char* id, const std::string& word) {
    const Error error = test::error_of([&] { (void)train::load_checkpoint(home.path(), fresh->trainer, other); });
    CHECK(error.id() == id);
    CHECK_THAT(error.what(), test::contains(word));
    CHECK(fresh->bytes() == before);
    CHECK(fresh->trainer.steps() == 0);
  };
  train::RunIdentity other = tiny_identity;
  other.base.hash = "5678";
  refused(other, "train.452", "weights 1234");
  other = tiny_identity;
  other.data["valid"] = "4-cd";
  refused(other, "train.453", "valid");
  other = tiny_identity;
  other.settings["lr"] = 1e-3;
  refused(other, "train.454", "lr 0.003, this one lr 0.001");
  other = tiny_identity;
  other.settings["clip"] = 1;
  refused(other, "train.454", "no clip");
  const auto larger = tiny_lora(3);  // the same settings in name only
  CHECK(test::error_of([&] { (void)train::load_checkpoint(home.path(), larger->trainer, tiny_identity); }).id() ==
        "train.455");
  CHECK(train::load_checkpoint(home.path(), fresh->trainer, tiny_identity).is_null());
}

TEST_CASE("a checkpoint that is absent, cut, foreign or of too many tensors is refused in a sentence") {
  const test::TempFolder home;
  const auto run = tiny_lora();
  (void)run->trainer.step(tiny_step(*run, 0));
  const auto error = [&] {
    return test::error_of([&] { (void)train::load_checkpoint(home.path(), run->trainer, tiny_identity); });
  };
  CHECK(error().id() == "train.450");
  train::save_checkpoint(home.path(), run->trainer, tiny_identity, {});
  const std::string path = home.path(std::string(train::checkpoint_name));
  const std::string bytes = test::slurp(path);
  for (const std::size_t length : {std::size_t{0}, std::size_t{5}, bytes.size() / 2, bytes.size() - 1}) {
    (void)home.write(std::string(train::checkpoint_name), bytes.substr(0, length));
    CHECK(test::says(error(), "io.22"));
  }
  const Tensor<float> numbers(2, 2);
  const auto write = [&](const std::map<std::string, std::string>& metadata) {
    const std::vector<io::TensorRef> one = {io::tensor_ref("x", numbers.view())};
    io::write_safetensors(path, one, metadata);
  };
  write({});
  CHECK(error().id() == "train.451");
  write({{"graft", R"({"checkpoint_version": 99})"}});
  CHECK(error().id() == "train.451");
  write({{"graft", "[]"}});
  CHECK(error().id() == "train.451");
  write({{"graft", R"({"checkpoint_version": 1})"}});
  CHECK(error().id() == "io.212");

  std::vector<io::TensorRef> tensors;  // one too many
  run->trainer.for_each_stored([&](const std::string& name, View<float> values) {
    tensors.push_back(io::tensor_ref(name, View<const float>(values)));
  });
  tensors.push_back(io::tensor_ref("x", numbers.view()));
  (void)home.write(std::string(train::checkpoint_name), bytes);
  const auto metadata = train::open_checkpoint_file(home.path()).metadata();
  io::write_safetensors(path, tensors, metadata);
  CHECK(error().id() == "train.455");
  CHECK_THAT(error().what(), test::contains("\"x\""));
}

TEST_CASE("a checkpoint that cannot be written leaves the one before it whole and nothing beside it") {
  const test::TempFolder home;
  const auto run = tiny_lora();
  (void)run->trainer.step(tiny_step(*run, 0));
  train::save_checkpoint(home.path(), run->trainer, tiny_identity, {});
  const std::string before = test::slurp(home.path(std::string(train::checkpoint_name)));
  (void)run->trainer.step(tiny_step(*run, 1));
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{before.size() / 2, old.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const Error error = test::error_of([&] { train::save_checkpoint(home.path(), run->trainer, tiny_identity, {}); });
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
  (void)std::signal(SIGXFSZ, handler);
  CHECK(error.id() == "io.202");
  CHECK(home.entries() == 1);
  CHECK(test::slurp(home.path(std::string(train::checkpoint_name))) == before);
}

TEST_CASE("a basis that remembers more than it trains has no checkpoint") {
  using Recipe = Stack<At<site::residual, adapters::Subspace<2, test::Householder>>>;
  const backends::Reference be;
  auto model = test::tiny_llama<Uniform<double>, backends::Reference>(test::small_config(), 1);
  auto tuned = attach(be, model, Recipe{}, 1);
  train::Trainer trainer{be, model, tuned, optimizers::AdamW{}, RatesOfResume{}, {}};
  const test::TempFolder home;
  CHECK(test::error_of([&] { train::save_checkpoint(home.path("step"), trainer, tiny_identity, {}); }).id() ==
        "train.456");
  CHECK(home.entries() == 0);
}
