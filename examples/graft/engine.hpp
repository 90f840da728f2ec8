// SPDX-License-Identifier: Apache-2.0
// Engine: a model with its adapter in one precision on one backend, behind an interface without templates, so that a new
// adapter rebuilds engine_*.cpp only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <graft/adapters/placement.hpp>
#include <graft/models/adapter_file.hpp>
#include <graft/models/checkpoint.hpp>
#include <graft/models/merge.hpp>
#include <graft/train/batch.hpp>
#include <graft/train/evaluate.hpp>
#include <graft/train/generate.hpp>
#include <graft/train/probe.hpp>
#include <graft/train/run_identity.hpp>
#include <graft/train/trainer.hpp>

namespace graft::program {

/// An adapter that the program has.
struct AdapterKind {
  std::string_view name;            // that --adapter takes
  std::string_view alias;           // another such name, or the same
  Sites sites;                      // where it may stand
  Sites usual;                      // where it stands if nobody says where
  double rate;                      // the usual learning rate
  std::string_view positions = {};  // of the prompt, that it edits if nobody says which; empty: it has none to choose
};

inline constexpr Sites reft_sites = site::attention | site::feed_forward | site::residual;
inline constexpr Sites weight_sites = site::everything & ~site::stream;

/// All of them, in the order of the engine's stack. A new one is a line here and a line in engine_of.hpp.
inline constexpr AdapterKind adapter_kinds[] = {
    {"lora", "lora", site::linear, site::linear, 2e-4},
    {"rslora", "rslora", site::linear, site::linear, 2e-4},
    {"pmss", "pmss", site::linear, site::linear, 1e-4},
    {"curlora", "curlora", site::linear, site::linear, 2.5e-4},
    {"dora", "dora", site::linear, site::linear, 2e-4},
    {"pissa", "pissa", site::linear, site::linear, 2e-5},
    {"olora", "olora", site::linear, site::linear, 2e-4},
    {"lora-xs", "loraxs", site::linear, site::linear, 4e-3},
    {"vera", "vera", site::linear, site::linear, 4e-3},
    {"loha", "loha", site::linear, site::linear, 2e-4},
    {"lokr", "lokr", site::linear, site::linear, 2e-4},
    {"ia3", "ia3", site::linear, site::key | site::value | site::down, 3e-3},
    {"bitfit", "bias", site::linear, site::linear, 1e-3},
    {"loreft", "loreft", reft_sites, site::residual, 2e-4, "f7+l7"},
    {"noreft", "noreft", reft_sites, site::residual, 2e-4, "f7+l7"},
    {"direft", "nodireft", reft_sites, site::residual, 2e-4, "f7+l7"},
    {"direft-orthonormal", "direft-orthonormal", reft_sites, site::residual, 2e-4, "f7+l7"},
    {"consreft", "consreft", reft_sites, site::residual, 2e-4, "f7+l7"},
    {"lobireft", "lobireft", reft_sites, site::residual, 2e-4, "f7+l7"},
    {"red", "red", reft_sites, site::residual, 2e-4, "all"},
    {"bottleneck", "series", reft_sites, site::attention | site::feed_forward, 2e-4, "all"},
    {"parallel", "bottleneck-parallel", site::feed_forward, site::feed_forward, 2e-4},
    {"prompt", "prompt-tuning", site::embedded, site::embedded, 1e-2},
    {"prefix", "prefix-tuning", site::keys | site::values, site::keys | site::values, 1e-2},
    {"full", "full", weight_sites, weight_sites, 2e-5}};

/// An adapter that a user asks for, and where.
struct AdapterRequest {
  const AdapterKind* kind = nullptr;       // one of adapter_kinds
  std::map<std::string, double> settings;  // by the names of for_each_setting, those that were given
  Placement placement;
  std::string skeletons;  // PMSS: the file of graft select that brings them; empty: they are chosen now
};

/// One kind of place that an adapter stands at, for the table at start-up.
struct PlacementRow {
  std::string site;   // "self_attn.q_proj", or "residual"
  std::string shape;  // "576 x 576"
  Index modules = 0;
  Index trainable = 0;
};

/// One adapter as it is attached.
struct AdapterSummary {
  const AdapterKind* kind = nullptr;
  std::map<std::string, double> settings;  // every one, by the names of for_each_setting
  std::vector<PlacementRow> rows;
  Index trainable = 0;
  Layers layers;
  std::vector<std::string> modules;  // patterns that narrow it further
  Positions positions;               // all, where it is an adapter of linear maps
  bool tied = true;
};

/// One line of the memory forecast.
struct MemoryPart {
  std::string name;
  std::size_t bytes = 0;
};

/// The columns and rows that a module has chosen of its matrix (PMSS, CURLoRA).
struct ChosenSkeleton {
  std::string module;
  Index outputs = 0, inputs = 0;
  std::vector<std::int32_t> columns, rows;
};

/// What an adapter is saved as; by_adapter is PEFT's folder where it is a LoRA, else our own.
enum class AdapterFormat { by_adapter, peft, pyreft, mlx, gguf_lora, control_vector, graft };

/// What a merged model is written as: a row of merge_formats (exports.hpp).
struct MergeFormat;

enum class RateShape { constant, linear, cosine };

/// How the parameters move.
struct TrainingRequest {
  std::string optimizer = "adamw";
  double lora_plus = 1;  // of B's rate to the rate (LoRA+)
  double weight_decay = 0;
  RateShape schedule = RateShape::linear;
  Index warmup = 0;
  double lowest_rate = 0;  // as a share of the rate, where the cosine ends
  train::TrainerSettings settings;
};

/// Gets the logits of some rows.
using LogitsVisitor = std::function<void(View<const float>)>;

class Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  /// "fp32", and what multiplies: "oneDNN".
  [[nodiscard]] virtual std::string precision() const = 0;
  [[nodiscard]] virtual std::string backend() const = 0;
  /// Bytes that the process has had at most of the memory of its device; 0 on the processor.
  [[nodiscard]] virtual std::size_t device_peak() const = 0;

  /// Makes the modules of adapters of different kinds; called at most once.
  virtual void attach(std::span<const AdapterRequest> requests, std::uint64_t seed) = 0;
  /// Attaches what an opened folder holds, beside what was loaded before; the last one is used.
  virtual void load_adapter(const models::AdapterFile& file) = 0;
  /// From here on the rows go through the adapter that was loaded as number `number`, from 1; 0: through none.
  virtual void use_adapter(Index number) = 0;
  /// Throws what save_adapter will throw of an adapter that the format cannot hold; there is time to ask before it is trained.
  virtual void check_format(const std::string& path, AdapterFormat format) = 0;
  /// `base` is what the file calls its model.
  virtual void save_adapter(const std::string& path, const std::string& base, AdapterFormat format) = 0;
  /// Placeholders that every example needs before its first token.
  [[nodiscard]] virtual Index inserted() = 0;
  /// What is attached, in the order of adapter_kinds.
  [[nodiscard]] virtual std::vector<AdapterSummary> summary() = 0;
  /// What the adapter does to the stream on these prompts (train/probe.hpp); nothing where it has no rows to compare with.
  [[nodiscard]] virtual std::vector<train::BlockEdits> probe(std::span<const std::vector<std::int32_t>> prompts) = 0;
  /// The skeletons of the modules that have one.
  [[nodiscard]] virtual std::vector<ChosenSkeleton> skeletons() = 0;
  /// Writes the checkpoint with the adapter in its weights.
  virtual models::MergeReport merge(const models::Checkpoint& checkpoint, const std::string& path,
                                    const MergeFormat& to) = 0;

  /// What a step on `batch` will take, and an evaluation of `measured` (which may be empty) beside it, part by part; lines
  /// that begin with blanks say what the part above them is made of.
  [[nodiscard]] virtual std::vector<MemoryPart> forecast(const train::Batch& batch, const train::Batch& measured,
                                                         const TrainingRequest& request) = 0;

  virtual void begin_training(const TrainingRequest& request) = 0;
  /// Of several processes each gives its share (train::Trainer).
  virtual train::StepReport step(std::span<const train::Batch> batches) = 0;
  /// Goes past a batch whose step was not taken (train::Trainer::skip).
  virtual void skip() = 0;
  /// Which tensor of a step was the first that is not finite.
  virtual std::string first_non_finite(std::span<const train::Batch> batches) = 0;
  /// The weights that are trained on.
  [[nodiscard]] virtual models::Fingerprint base() const = 0;
  /// What the trainer remembers, out to a folder and back again (train/checkpoint.hpp).
  virtual void save_checkpoint(const std::string& folder, const train::RunIdentity& run, const io::Json& notes) = 0;
  virtual io::Json load_checkpoint(const std::string& folder, const train::RunIdentity& run) = 0;

  /// The sums of each example; `visit` may be empty.
  [[nodiscard]] virtual std::vector<train::Evaluation> evaluate(std::span<const train::Example> examples,
                                                                Index batch_size, const LogitsVisitor& visit) = 0;
  virtual std::vector<std::int32_t> generate(std::span<const std::int32_t> prompt,
                                             const train::GenerateOptions& options,
                                             const std::function<bool(std::int32_t)>& on_token) = 0;
  /// Several prompts together; `on_token`(i, id) as above.
  virtual std::vector<std::vector<std::int32_t>> generate_batch(
      std::span<const std::vector<std::int32_t>> prompts, const train::GenerateOptions& options,
      const std::function<bool(Index, std::int32_t)>& on_token) = 0;
};

/// Reads the weights of the checkpoint.
[[nodiscard]] std::unique_ptr<Engine> make_fp32_engine(const models::Checkpoint& checkpoint);
[[nodiscard]] std::unique_ptr<Engine> make_bf16_engine(const models::Checkpoint& checkpoint);
/// The same on a CUDA device: the first, or, of several processes on a machine, each on one of its own.
[[nodiscard]] std::unique_ptr<Engine> make_fp32_cuda_engine(const models::Checkpoint& checkpoint);
[[nodiscard]] std::unique_ptr<Engine> make_bf16_cuda_engine(const models::Checkpoint& checkpoint);
/// Whether there is one.
[[nodiscard]] bool has_cuda_device();

}  // namespace graft::program
