// SPDX-License-Identifier: Apache-2.0
// graft select: chooses the skeletons of a model once, into a small file that finetune reads, and says what they keep.
#include <unistd.h>

#include <algorithm>  // find
#include <chrono>
#include <cstdio>

#include <graft/adapters/pmss.hpp>
#include <graft/io/nearest.hpp>
#include <graft/io/path.hpp>
#include <graft/models/open_checkpoint.hpp>
#include <graft/models/skeleton_file.hpp>

#include "adapter_words.hpp"
#include "commands.hpp"
#include "interrupt.hpp"
#include "selection.hpp"
#include "session.hpp"
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

/// A table of what each selector keeps of each matrix, and on average.
void print_report(const models::Checkpoint& checkpoint, const std::vector<Place>& places,
                  const std::vector<std::string>& selectors, const models::SkeletonFile& file,
                  const adapters::Pmss<>& recipe) {
  const auto percent = [](double share) { return fixed(100 * share, 2); };
  std::vector<std::vector<std::string>> table = {
      {"module", "shape", "selector", "columns", "rows", "in columns", "in rows", "in both"}};
  std::vector<linalg::KeptEnergy> sums(selectors.size());
  Index done = 0;
  Clockwork progress(std::ssize(places));
  for (const Place& place : places) {
    if (interrupted()) {
      break;
    }
    const auto [c, r] = recipe.sides(place);
    for (std::size_t i = 0; i < selectors.size(); ++i) {
      const Skeleton skeleton =
          selectors[i] == file.choice.selector
              ? file.of(place.name)
              : choose_skeleton(checkpoint, place, selectors[i], c, r, random_of(file.choice.seed, place));
      const linalg::KeptEnergy kept = kept_by(checkpoint, place, skeleton);
      sums[i].columns += kept.columns;
      sums[i].rows += kept.rows;
      sums[i].both += kept.both;
      table.push_back({place.name, std::to_string(place.outputs) + " x " + std::to_string(place.inputs), selectors[i],
                       std::to_string(c), std::to_string(r), percent(kept.columns), percent(kept.rows),
                       percent(kept.both)});
    }
    progress.step(++done, place.name);
  }
  for (std::size_t i = 0; i < selectors.size() && done > 0; ++i) {
    const auto count = static_cast<double>(done);
    table.push_back({"mean of " + std::to_string(done), "", selectors[i], "", "", percent(sums[i].columns / count),
                     percent(sums[i].rows / count), percent(sums[i].both / count)});
  }
  std::printf("%% of the squared Frobenius norm in the span of the chosen\n%s", columns_text(table, 0).c_str());
}

}  // namespace

int select(const SelectSettings& s) {
  check_selector(s.selector, "--selector");
  for (const std::string& other : s.compare) {
    check_selector(other, "--compare");
  }
  use_threads(s.threads);
  const models::Checkpoint checkpoint = models::open_checkpoint(s.model);
  const std::vector<Place> places = places_of(s, checkpoint);
  adapters::Pmss<> recipe{.rank = s.rank, .columns = s.columns, .rows = s.rows, .clamp = s.clamp};
  for (const Place& place : places) {
    (void)recipe.sides(place);  // refused before anything is chosen
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
  if (s.report || !s.compare.empty()) {
    std::vector<std::string> selectors = {s.selector};
    selectors.insert(selectors.end(), s.compare.begin(), s.compare.end());
    print_report(checkpoint, places, selectors, file, recipe);
  } else {
    std::printf("%s\n", s.out.c_str());
  }
  return interrupted() ? exit_interrupted : exit_success;
}

}  // namespace graft::program
