// SPDX-License-Identifier: Apache-2.0
// graft select: chooses the skeletons of a model once, into a small file that finetune reads, and says what they keep of the
// weights, or of what a finetuning has changed in them.
#include <unistd.h>

#include <algorithm>  // all_of, any_of, find
#include <chrono>
#include <cmath>  // sqrt
#include <cstdio>
#include <optional>

#include <graft/adapters/pmss.hpp>
#include <graft/io/nearest.hpp>
#include <graft/io/path.hpp>
#include <graft/linalg/squared_norm.hpp>
#include <graft/models/open_checkpoint.hpp>
#include <graft/models/skeleton_file.hpp>

#include "adapter_words.hpp"
#include "commands.hpp"
#include "interrupt.hpp"
#include "selection.hpp"
#include "session.hpp"
#include "skeleton_report.hpp"
#include "words.hpp"

namespace graft::program {

namespace {

void check_selector(const std::string& name, const char* flag) {
  if (std::find(std::begin(selector_names), std::end(selector_names), name) == std::end(selector_names)) {
    fail("adapter.694",
         "the selector \"" + name + "\" is unknown; did you mean \"" +
             io::nearest_name(name, selector_names, [](std::string_view known) { return std::string(known); }) + "\"?",
         flag);
  }
}

/// The linear maps that --target and --layers name.
std::vector<Place> places_of(const SelectSettings& s, const models::Checkpoint& checkpoint) {
  AdapterWords words;
  words.name = "pmss";
  words.target = s.target;
  words.layers = s.layers;
  const Placement placement = request_of(words, checkpoint.config).placement;
  std::vector<Place> places;
  for (Index layer = 0; layer < checkpoint.config.layers; ++layer) {
    for (Sites one = 1; one <= site::down; one <<= 1) {
      if (placement.names(layer, one)) {
        const std::string name = module_path(layer, one);
        const io::TensorRef& tensor = checkpoint.tensor(name + ".weight");
        places.push_back({layer, one, tensor.rows(), tensor.cols(), name});
      }
    }
  }
  return places;
}

Random random_of(std::uint64_t seed, const Place& place) {
  return Random(seed).child(static_cast<std::uint64_t>(place.layer * site::count + site_index(place.where)));
}

/// What is done of a selection, on stderr: one live line where that is a terminal, else a line every ten seconds.
class Clockwork {
 public:
  explicit Clockwork(Index total) : total_(total) {}

  void step(Index done, const std::string& module) {
    ++steps_;
    const auto now = Clock::now();
    const bool terminal = ::isatty(STDERR_FILENO) == 1;
    if (std::chrono::duration<double>(now - shown_).count() < (terminal ? 0.1 : 10) && done < total_) {
      return;
    }
    shown_ = now;
    const double each = std::chrono::duration<double>(now - begin_).count() / static_cast<double>(steps_);
    std::fprintf(stderr, "%s%td/%td  %s  %s s a matrix  %s left%s", terminal ? "\r\x1b[K" : "", done, total_,
                 module.c_str(), fixed(each, 2).c_str(),
                 duration_text(each * static_cast<double>(total_ - done)).c_str(),
                 terminal && done < total_ ? "" : "\n");
  }

 private:
  using Clock = std::chrono::steady_clock;
  Index total_;
  Index steps_ = 0;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point shown_;
};

/// Chooses what the file lacks, and keeps it on disk as it grows. Whether all of it is there.
bool choose_all(const models::Checkpoint& checkpoint, const std::vector<Place>& places, const adapters::Pmss<>& recipe,
                models::SkeletonFile& file) {
  const auto save = [&] {
    if (!file.path.empty()) {
      models::write_skeletons(file);
    }
  };
  Clockwork progress(std::ssize(places));
  auto saved = std::chrono::steady_clock::now();
  bool changed = false;
  Index done = 0;
  for (const Place& place : places) {
    ++done;
    if (file.chosen.contains(place.name)) {
      continue;
    }
    if (interrupted()) {
      break;
    }
    const auto [c, r] = recipe.sides(place);
    file.chosen[place.name] =
        choose_skeleton(checkpoint, place, file.choice.selector, c, r, random_of(file.choice.seed, place));
    changed = true;
    progress.step(done, place.name);
    if (std::chrono::steady_clock::now() - saved > std::chrono::seconds(5)) {
      save();
      saved = std::chrono::steady_clock::now();
    }
  }
  if (changed) {
    save();
  }
  return std::all_of(places.begin(), places.end(), [&](const Place& p) { return file.chosen.contains(p.name); });
}

/// What finetuning added to a weight, and its length beside that of the weight, |D| / |W|.
struct Update {
  Tensor<float> matrix;
  double change = 0;
};

Update update_of(const models::Checkpoint& base, const models::Checkpoint& tuned, const Place& place) {
  const std::string name = place.name + ".weight";
  const Tensor<float> before = models::load_tensor<float>(base, name, place.outputs, place.inputs);
  Update update{models::load_tensor<float>(tuned, name, place.outputs, place.inputs)};
  double whole = 0;
  double changed = 0;
  for (Index i = 0; i < place.outputs; ++i) {
    for (Index j = 0; j < place.inputs; ++j) {
      update.matrix(i, j) -= before(i, j);
    }
    whole += linalg::squared_norm(before.view().middle_rows(i, 1));
    changed += linalg::squared_norm(std::as_const(update.matrix).view().middle_rows(i, 1));
  }
  update.change = changed > 0 ? std::sqrt(changed / whole) : 0;
  return update;
}

/// Refuses a model of another shape, or one that is the same in all these matrices.
void require_update(const models::Checkpoint& base, const models::Checkpoint& tuned, const std::vector<Place>& places) {
  if (tuned.config.layers != base.config.layers) {
    fail("adapter.695",
         "the tuned model has " + std::to_string(tuned.config.layers) + " layers, the base " +
             std::to_string(base.config.layers) + ": it was not tuned from it",
         tuned.path);
  }
  for (const Place& place : places) {
    const io::TensorRef& tensor = tuned.tensor(place.name + ".weight");
    if (tensor.rows() != place.outputs || tensor.cols() != place.inputs) {
      fail("adapter.695",
           "\"" + tensor.name + "\" of the tuned model is " + io::shape_text(tensor.shape) + ", that of the base " +
               io::shape_text(base.tensor(tensor.name).shape) + ": it was not tuned from it",
           tuned.path);
    }
  }
  if (!std::any_of(places.begin(), places.end(),
                   [&](const Place& place) { return update_of(base, tuned, place).change > 0; })) {
    fail("adapter.696",
         "none of the " + std::to_string(places.size()) +
             " matrices differs from the base's: there is no update to measure (were they tuned? --target and --layers "
             "say which are compared)",
         tuned.path);
  }
}

/// What each selector keeps of each weight or, where there is a tuned model, of each update.
SkeletonReport measure(const SelectSettings& s, const models::Checkpoint& checkpoint, const models::Checkpoint* tuned,
                       const std::vector<Place>& places, const models::SkeletonFile& file,
                       const adapters::Pmss<>& recipe) {
  std::vector<std::string> selectors = {s.selector};
  selectors.insert(selectors.end(), s.compare.begin(), s.compare.end());
  if (tuned != nullptr && std::find(selectors.begin(), selectors.end(), "random") == selectors.end()) {
    selectors.emplace_back("random");
  }
  SkeletonReport report(tuned != nullptr ? "the updates" : "the weights", tuned != nullptr, selectors);
  Index done = 0;
  Clockwork progress(std::ssize(places));
  for (const Place& place : places) {
    if (interrupted()) {
      break;
    }
    const auto [c, r] = recipe.sides(place);
    const Update update = tuned != nullptr ? update_of(checkpoint, *tuned, place) : Update{};
    const auto kept = [&](const Skeleton& skeleton) {
      return tuned != nullptr ? kept_by(checkpoint, place, skeleton, update.matrix.view())
                              : kept_by(checkpoint, place, skeleton);
    };
    std::vector<linalg::KeptEnergy> row;
    for (const std::string& selector : selectors) {
      if (tuned != nullptr && update.change == 0) {
        break;
      }
      if (selector == s.selector) {
        row.push_back(kept(file.of(place.name)));
        continue;
      }
      linalg::KeptEnergy mean;
      const Index draws = selector == "random" || selector == "low-norm" ? s.draws : 1;
      for (Index draw = 0; draw < draws; ++draw) {
        const std::uint64_t seed = s.seed + static_cast<std::uint64_t>(draw);
        const auto one = kept(choose_skeleton(checkpoint, place, selector, c, r, random_of(seed, place)));
        mean.columns += one.columns / static_cast<double>(draws);
        mean.rows += one.rows / static_cast<double>(draws);
        mean.both += one.both / static_cast<double>(draws);
      }
      row.push_back(mean);
    }
    report.add(place, c, r, std::move(row), update.change);
    progress.step(++done, place.name);
  }
  return report;
}

}  // namespace

int select(const SelectSettings& s) {
  check_selector(s.selector, "--selector");
  for (const std::string& other : s.compare) {
    check_selector(other, "--compare");
  }
  if (s.draws < 1) {
    fail("train.431", "--draws is " + std::to_string(s.draws) + ", expected at least 1", "--draws");
  }
  use_threads(s.threads);
  const models::Checkpoint checkpoint = models::open_checkpoint(s.model);
  const std::vector<Place> places = places_of(s, checkpoint);
  adapters::Pmss<> recipe{.rank = s.rank, .columns = s.columns, .rows = s.rows, .clamp = s.clamp};
  for (const Place& place : places) {
    (void)recipe.sides(place);  // refused before anything is chosen
  }
  std::optional<models::Checkpoint> tuned;
  if (!s.update.empty()) {
    tuned = models::open_checkpoint(s.update);
    require_update(checkpoint, *tuned, places);
  }
  models::SkeletonFile file{
      s.out,
      models::fingerprint_of(checkpoint),
      {s.selector, s.columns > 0 ? s.columns : s.rank, s.rows > 0 ? s.rows : s.rank, s.clamp, s.seed},
      {}};
  if (!s.out.empty() && !s.overwrite && io::exists(s.out)) {
    models::SkeletonFile old = models::open_skeletons(s.out);
    old.check_base(file.base);
    if (old.choice != file.choice) {
      fail("adapter.693",
           "the file holds skeletons of " + old.choice.text() + "; asked for are " + file.choice.text() +
               " (choose another --out, or add --overwrite)",
           s.out);
    }
    file.chosen = std::move(old.chosen);
    std::fprintf(stderr, "%s: going on, %td matrices are there\n", s.out.c_str(), std::ssize(file.chosen));
  }
  listen_for_interrupt();
  const bool complete = choose_all(checkpoint, places, recipe, file);
  if (!complete) {
    std::fprintf(stderr, "interrupted: %td matrices are done; the same command goes on\n", std::ssize(file.chosen));
    return exit_interrupted;
  }
  io::Json found = {{"model", s.model}, {"choice", file.choice.text()}};
  std::string text;
  const auto report = [&](const char* name, const models::Checkpoint* update) {
    const SkeletonReport one = measure(s, checkpoint, update, places, file, recipe);
    text += one.text();
    found[name] = one.json();
  };
  if (s.report || (!tuned && !s.compare.empty())) {
    report("weights", nullptr);
  }
  if (tuned) {
    found["tuned"] = s.update;
    report("updates", &*tuned);
  }
  if (text.empty()) {
    text = s.out + "\n";
  }
  if (s.json) {
    text = found.dump() + "\n";
  }
  std::fputs(text.c_str(), stdout);
  return interrupted() ? exit_interrupted : exit_success;
}

}  // namespace graft::program
