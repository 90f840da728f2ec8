// SPDX-License-Identifier: Apache-2.0
// EngineOf: the one implementation of Engine. All adapters stand in one Stack; those that nobody asked for make no module.
#pragma once

#include <algorithm>  // min
#include <cstddef>
#include <optional>
#include <tuple>
#include <utility>  // index_sequence

#include <graft/adapters/bias.hpp>
#include <graft/adapters/bottleneck.hpp>
#include <graft/adapters/curlora.hpp>
#include <graft/adapters/dora.hpp>
#include <graft/adapters/ia3.hpp>
#include <graft/adapters/inserted.hpp>
#include <graft/adapters/loha.hpp>
#include <graft/adapters/lokr.hpp>
#include <graft/adapters/lora.hpp>
#include <graft/adapters/lora_xs.hpp>
#include <graft/adapters/olora.hpp>
#include <graft/adapters/pissa.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/red.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/adapters/vera.hpp>
#include <graft/backends/simd.hpp>
#include <graft/interchange/control_vector.hpp>
#include <graft/interchange/gguf_lora.hpp>
#include <graft/interchange/mlx_export.hpp>
#include <graft/interchange/peft.hpp>
#include <graft/interchange/pyreft_export.hpp>
#include <graft/models/attach.hpp>
#include <graft/models/fingerprint.hpp>
#include <graft/models/load_adapter.hpp>
#include <graft/models/skeleton_file.hpp>
#include <graft/models/write_gguf.hpp>
#include <graft/optimizers/lora_plus.hpp>
#include <graft/train/checkpoint.hpp>

#include "chosen.hpp"
#include "engine.hpp"
#include "exports.hpp"
#include "processes.hpp"

namespace graft::program {

/// Every adapter that the program has, as adapter_kinds lists them (engine.hpp).
using FrozenStack =
    Stack<At<site::linear, adapters::Lora<>>, At<site::linear, adapters::RsLora<>>, At<site::linear, adapters::Pmss<>>,
          At<site::linear, adapters::CurLora<>>, At<site::linear, adapters::Dora<>>,
          At<site::linear, adapters::Pissa<>>, At<site::linear, adapters::Olora<>>,
          At<site::linear, adapters::LoraXs<>>, At<site::linear, adapters::Vera<>>, At<site::linear, adapters::Loha<>>,
          At<site::linear, adapters::Lokr>, At<site::linear, adapters::Ia3>, At<site::linear, adapters::BitFit>,
          At<reft_sites, adapters::LoReft<>>, At<reft_sites, adapters::NoReft<>>, At<reft_sites, adapters::DiReft<>>,
          At<reft_sites, adapters::DiReftOrthonormal<>>, At<reft_sites, adapters::ConsReft<>>,
          At<reft_sites, adapters::LobiReft<>>, At<reft_sites, adapters::Red>,
          At<reft_sites, adapters::SeriesAdapter<>>, At<site::feed_forward, adapters::ParallelAdapter<>>,
          At<site::embedded, adapters::PromptTuning>, At<site::keys | site::values, adapters::PrefixTuning>>;

template <class StackType>
struct WithFull;
template <class... Ats>
struct WithFull<Stack<Ats...>> {
  using type = Stack<Ats..., At<weight_sites, adapters::Full>>;
};

namespace detail {

/// Whether parts and kinds agree one by one.
template <class... Ats>
consteval bool agrees_with_kinds(const Stack<Ats...>*) {
  if (sizeof...(Ats) > std::size(adapter_kinds)) {
    return false;
  }
  std::size_t i = 0;
  return ((adapter_kinds[i++].sites == Ats::sites) && ...);
}
static_assert(agrees_with_kinds(static_cast<const WithFull<FrozenStack>::type*>(nullptr)) &&
                  std::tuple_size_v<decltype(WithFull<FrozenStack>::type::parts)> == std::size(adapter_kinds),
              "adapter_kinds (engine.hpp) lists the parts of the engine's stack in its order");

/// Sets the recipe's settings; one that it does not have is train.434.
template <class Recipe>
void apply_settings(const AdapterRequest& request, Recipe& recipe) {
  std::size_t applied = 0;
  std::string known;
  recipe.for_each_setting([&](const char* name, auto& value) {
    known += (known.empty() ? "" : ", ") + std::string(name);
    if (const auto given = request.settings.find(name); given != request.settings.end()) {
      value = static_cast<std::remove_reference_t<decltype(value)>>(given->second);
      ++applied;
    }
  });
  if (applied == request.settings.size()) {
    return;
  }
  for (const auto& [name, value] : request.settings) {
    bool found = false;
    recipe.for_each_setting([&](const char* own, auto&) { found = found || name == own; });
    if (!found) {
      fail("train.434", "the adapter \"" + std::string(request.kind->name) + "\" has no setting --" + name +
                            ", expected " + (known.empty() ? "none" : "one of " + known));
    }
  }
}

/// The request, of the sides that prepared skeletons have where it says nothing of its own.
inline AdapterRequest sized(AdapterRequest request, const std::optional<models::SkeletonFile>& prepared) {
  auto& settings = request.settings;
  if (!request.skeletons.empty() && !settings.contains("rank") && !settings.contains("columns") &&
      !settings.contains("rows")) {
    settings["columns"] = static_cast<double>(prepared->choice.columns);
    settings["rows"] = static_cast<double>(prepared->choice.rows);
    settings["clamp"] = prepared->choice.clamp ? 1 : 0;
  }
  return request;
}

/// Makes modules with skeletons of a file, where there is one.
struct ModulesOf {
  const models::SkeletonFile* prepared = nullptr;

  template <class A, class Model>
  void operator()(const typename Model::Backend& be, Model& model, Grafted<A, typename Model::C>& grafted,
                  Random random) const {
    if (prepared != nullptr) {
      models::PreparedModules{*prepared}(be, model, grafted, random);
    } else {
      FreshModules{}(be, model, grafted, random);
    }
  }
};

}  // namespace detail

/// `Sums` adds up what the processes of a run have found; it is made of Processes.
template <precision P, class B, class Sums = Processes>
class EngineOf : public Engine {
 public:
  using Model = models::Llama<P, B>;
  using C = typename P::Computed;
  static constexpr bool trains_weights = std::same_as<typename P::Stored, C>;
  using StackType = std::conditional_t<trains_weights, typename WithFull<FrozenStack>::type, FrozenStack>;
  using AttachedType = Attached<C, StackType>;

  EngineOf(const models::Checkpoint& checkpoint, std::string door, const B& be = B())
      : be_(be), model_(Model::load(checkpoint)), base_(models::fingerprint_of(checkpoint)), door_(std::move(door)) {}

  std::string precision() const override { return trains_weights ? "fp32" : "bf16"; }
  std::string backend() const override { return door_; }
  std::size_t device_peak() const override {
    if constexpr (requires { be_.queue().peak_bytes(); }) {
      return be_.queue().peak_bytes();
    } else {
      return 0;
    }
  }

  void attach(std::span<const AdapterRequest> requests, std::uint64_t seed) override {
    std::optional<models::SkeletonFile> prepared;
    StackType stack;
    std::size_t found = 0;
    for_each_part(stack, [&](const AdapterKind& kind, auto& at) {
      at.placement.sites = site::none;
      for (const AdapterRequest& request : requests) {
        if (request.kind == &kind) {
          ++found;
          if (!request.skeletons.empty()) {
            prepared = models::open_skeletons(request.skeletons);
            prepared->check_base(base_);
          }
          detail::apply_settings(detail::sized(request, prepared), at.adapter);
          at.placement = request.placement;
        }
      }
    });
    if (found != requests.size()) {
      fail("train.435", "the adapter \"full\" trains the weights themselves, which needs --dtype fp32");
    }
    take(graft::attach(be_, model_, stack, seed, detail::ModulesOf{prepared ? &*prepared : nullptr}));
  }

  void load_adapter(const models::AdapterFile& file) override {
    take(models::load_adapter<StackType>(be_, model_, base_, file));
  }
  void use_adapter(Index number) override {
    attached_ = number > 0 ? loaded_[static_cast<std::size_t>(number - 1)].get() : nullptr;
  }
  void check_format(const std::string& path, AdapterFormat format) override {
    if (format == AdapterFormat::peft) {  // of what finetune writes, the one format that lacks adapters
      interchange::check_peft(path, *attached_, model_);
    }
  }
  void save_adapter(const std::string& path, const std::string& base, AdapterFormat format) override {
    if (format == AdapterFormat::by_adapter) {
      format = is_lora() ? AdapterFormat::peft : AdapterFormat::graft;
    }
    switch (format) {  // one line for each row of export_formats
      case AdapterFormat::peft: return interchange::write_peft(path, *attached_, model_, base);
      case AdapterFormat::pyreft: return interchange::write_pyreft(path, *attached_, base_, base);
      case AdapterFormat::mlx: return interchange::write_mlx(path, *attached_, model_, base);
      case AdapterFormat::gguf_lora: return interchange::write_gguf_lora(path, *attached_, model_);
      case AdapterFormat::control_vector: return interchange::write_control_vector(path, *attached_, model_);
      case AdapterFormat::by_adapter:
      case AdapterFormat::graft: return models::save_adapter(path, *attached_, base_, base);
    }
  }

  models::MergeReport merge(const models::Checkpoint& checkpoint, const std::string& path,
                            const MergeFormat& to) override {
    if (to.name == "gguf") {
      const io::Dtype dtype = to.dtype == "fp32"   ? io::Dtype::f32
                              : to.dtype == "f16"  ? io::Dtype::f16
                              : to.dtype == "q8_0" ? io::Dtype::q8_0
                                                   : io::Dtype::bf16;
      return models::write_merged_gguf(path, checkpoint, be_, *attached_, dtype);
    }
    if (to.dtype == "bf16") {
      return models::write_merged<bf16>(path, checkpoint, be_, *attached_);
    }
    return models::write_merged<float>(path, checkpoint, be_, *attached_);
  }

  Index inserted() override { return attached_ ? attached_->inserted() : 0; }
  std::vector<AdapterSummary> summary() override {
    std::vector<AdapterSummary> all;
    if (!attached_) {
      return all;
    }
    for_each_part(*attached_, [&](const AdapterKind& kind, auto& part) {
      if (part.modules.empty()) {
        return;
      }
      AdapterSummary& summary = all.emplace_back();
      summary.kind = &kind;
      summary.layers = part.placement.layers;
      summary.modules = part.placement.modules;
      summary.positions = part.placement.positions;
      summary.tied = part.placement.tied;
      part.adapter.for_each_setting(
          [&](const char* name, auto& value) { summary.settings[name] = static_cast<double>(value); });
      for (auto& grafted : part.modules) {
        const Place& place = grafted.place;
        const std::string where(place.where == site::residual ? "residual" : site_name(place.where));
        const std::string shape = std::to_string(place.outputs) + " x " + std::to_string(place.inputs);
        Index count = 0;
        grafted.module.for_each_parameter([&](const char*, Parameter<C>& p) { count += p.size(); });
        auto row = std::find_if(summary.rows.begin(), summary.rows.end(),
                                [&](const PlacementRow& r) { return r.site == where && r.shape == shape; });
        if (row == summary.rows.end()) {
          row = summary.rows.insert(row, {where, shape, 0, 0});
        }
        ++row->modules;
        row->trainable += count;
        summary.trainable += count;
      }
    });
    return all;
  }

  std::vector<train::BlockEdits> probe(std::span<const std::vector<std::int32_t>> prompts) override {
    const std::vector<AdapterSummary> parts = summary();
    const bool trains =
        std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part.kind->sites == weight_sites; });
    if (attached_ == nullptr || prompts.empty() || trains || attached_->inserted() > 0) {
      return {};
    }
    return train::probe(be_, model_, *attached_, prompts);
  }
  std::vector<ChosenSkeleton> skeletons() override {
    std::vector<ChosenSkeleton> all;
    if (attached_ != nullptr) {
      attached_->for_each_module([&](const auto&, const Placement&, auto& grafted) {
        if constexpr (requires { grafted.module.skeleton(); }) {
          const auto& chosen = grafted.module.skeleton();
          all.push_back({grafted.place.name, grafted.place.outputs, grafted.place.inputs, chosen.columns, chosen.rows});
        }
      });
    }
    return all;
  }

  std::vector<MemoryPart> forecast(const train::Batch& batch, const train::Batch& measured,
                                   const TrainingRequest& request) override {
    std::size_t numbers = 0, own = 0;
    for (const AdapterSummary& adapter : summary()) {
      const std::size_t bytes = static_cast<std::size_t>(adapter.trainable) * sizeof(C);
      numbers += bytes;
      own += adapter.kind->name == adapters::Full::name ? 0 : bytes;  // whose values are the model's own
    }
    Run run;
    run.measure(be_, model_, bank(), batch.ragged, batch.labelled(),
                {.keep = true, .recompute = request.settings.recompute});
    const std::size_t losses = static_cast<std::size_t>(batch.labelled()) * sizeof(C);
    std::size_t head = 0;
    std::vector<MemoryPart> details = {{"  head: losses", losses}};
    for (const ArenaEntry& entry : run.arena().entries()) {
      const bool is_head = entry.name.starts_with("head");
      head += is_head ? entry.bytes : 0;
      details.insert(is_head ? details.end() : details.begin(), {"  " + std::string(entry.name), entry.bytes});
    }
    std::vector<MemoryPart> parts = {
        {"weights of the model",
         static_cast<std::size_t>(models::parameter_count(model_.config)) * sizeof(typename P::Stored)},
        {"adapter", own},
        {"gradients", numbers},
        {"optimizer", request.optimizer == "sgd" ? 0 : 2 * numbers},
        {"activations of a batch", run.arena().peak() - head},
        {"head", head + losses}};
    parts.insert(parts.end(), details.begin(), details.end());
    if (measured.ragged.tokens() > 0) {
      Run forward;
      forward.measure(be_, model_, bank(), measured.ragged, measured.labelled(), {});
      const auto rows = static_cast<std::size_t>(std::min(measured.labelled(), Run::head_rows));
      parts.push_back({"validation",
                       forward.arena().peak() + rows * static_cast<std::size_t>(model_.config.vocab + 1) * sizeof(C)});
    }
    return parts;
  }

  void begin_training(const TrainingRequest& request) override {
    ChosenOptimizer method;
    method.is_sgd = request.optimizer == "sgd";
    method.adamw.decay = request.weight_decay;
    method.sgd.decay = request.weight_decay;
    trainer_.emplace(be_, model_, *attached_, optimizers::LoraPlus<ChosenOptimizer>{method, request.lora_plus},
                     ChosenSchedule{request.schedule, request.warmup, request.lowest_rate}, request.settings,
                     train::TokenMean(), Sums(Processes()));
  }
  train::StepReport step(std::span<const train::Batch> batches) override { return trainer_->step(batches); }
  void skip() override { trainer_->skip(); }
  std::string first_non_finite(std::span<const train::Batch> batches) override {
    return trainer_->first_non_finite(batches);
  }
  models::Fingerprint base() const override { return base_; }
  void save_checkpoint(const std::string& folder, const train::RunIdentity& run, const io::Json& notes) override {
    train::save_checkpoint(folder, *trainer_, run, notes);
  }
  io::Json load_checkpoint(const std::string& folder, const train::RunIdentity& run) override {
    return train::load_checkpoint(folder, *trainer_, run);
  }

  std::vector<train::Evaluation> evaluate(std::span<const train::Example> examples, Index batch_size,
                                          const LogitsVisitor& visit) override {
    AttachedType* const adapter = attached_ ? &*attached_ : nullptr;
    return visit ? train::evaluate_each(be_, model_, adapter, examples, batch_size, visit)
                 : train::evaluate_each(be_, model_, adapter, examples, batch_size);
  }

  std::vector<std::int32_t> generate(std::span<const std::int32_t> prompt, const train::GenerateOptions& options,
                                     const std::function<bool(std::int32_t)>& on_token) override {
    return train::generate(be_, model_, attached_ ? &*attached_ : nullptr, prompt, options, on_token);
  }
  std::vector<std::vector<std::int32_t>> generate_batch(
      std::span<const std::vector<std::int32_t>> prompts, const train::GenerateOptions& options,
      const std::function<bool(Index, std::int32_t)>& on_token) override {
    return train::generate_batch(be_, model_, attached_ ? &*attached_ : nullptr, prompts, options, on_token);
  }

 private:
  using Run = models::LlamaRun<Model, AttachedType>;

  void take(AttachedType&& attached) {
    loaded_.push_back(std::make_unique<AttachedType>(std::move(attached)));
    attached_ = loaded_.back().get();
  }
  /// Calls visit(kind, part) for the parts of the stack, or for what they became when it was attached.
  template <class Parts, class Visitor>
  static void for_each_part(Parts& all, Visitor&& visit) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (visit(adapter_kinds[I], std::get<I>(all.parts)), ...);
    }(std::make_index_sequence<std::tuple_size_v<decltype(all.parts)>>{});
  }
  [[nodiscard]] bool is_lora() {
    const std::vector<AdapterSummary> parts = summary();
    return std::all_of(parts.begin(), parts.end(), [](const AdapterSummary& part) {
      return part.kind->name == "lora" || part.kind->name == "rslora";
    });
  }
  [[nodiscard]] std::span<AttachedType* const> bank() {
    member_ = attached_ ? &*attached_ : nullptr;
    return {&member_, member_ != nullptr ? std::size_t{1} : std::size_t{0}};
  }

  B be_;
  Model model_;
  models::Fingerprint base_;
  std::string door_;
  std::vector<std::unique_ptr<AttachedType>> loaded_;
  AttachedType* attached_ = nullptr;  // the one in use, or none
  AttachedType* member_ = nullptr;
  std::optional<
      train::Trainer<Model, AttachedType, optimizers::LoraPlus<ChosenOptimizer>, ChosenSchedule, train::TokenMean, Sums>>
      trainer_;
};

}  // namespace graft::program
