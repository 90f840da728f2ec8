// SPDX-License-Identifier: Apache-2.0
#include "checkpoints.hpp"

#include <algorithm>  // find, sort
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>  // error_code

#include <graft/io/file_fingerprint.hpp>
#include <graft/io/json.hpp>
#include <graft/io/path.hpp>
#include <graft/train/checkpoint.hpp>

#include "processes.hpp"

namespace graft::program {

namespace {

namespace fs = std::filesystem;

/// 200 of ".../step-000200".
std::optional<Index> step_in(const fs::path& folder) {
  const std::string name = folder.filename().string();
  Index step = 0;
  if (!name.starts_with("step-")) {
    return std::nullopt;
  }
  const auto [end, error] = std::from_chars(name.data() + 5, name.data() + name.size(), step);
  return error == std::errc() && end == name.data() + name.size() && name.size() > 5 ? std::optional(step)
                                                                                     : std::nullopt;
}

/// Calls visit(path, step) for the folders of steps, whole or not.
template <class Visit>
void for_each_step(const std::string& folder, Visit visit) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (const auto step = step_in(entry.path()); step && entry.is_directory()) {
      visit(entry.path(), *step);
    }
  }
}

bool is_checkpoint(const std::string& folder) {
  return io::exists(io::join(folder, train::checkpoint_name));
}

std::string status_of(const std::string& run) {
  const std::string path = io::join(run, "run.json");
  if (!io::exists(path)) {
    return "";
  }
  const io::Json json = io::parse_json(io::read_text(path), path);
  return io::json_get<std::string>(io::json_get<io::Json>(json, "result", path), "status", path);
}

}  // namespace

std::string Checkpoints::path(Index step) const {
  std::string number = std::to_string(step);
  number.insert(0, number.size() < 6 ? 6 - number.size() : 0, '0');
  return io::join(folder_, "step-" + number);
}

std::vector<Index> Checkpoints::steps() const {
  std::vector<Index> all;
  for_each_step(folder_, [&](const fs::path& path, Index step) {
    if (is_checkpoint(path.string())) {
      all.push_back(step);
    }
  });
  std::sort(all.begin(), all.end());
  return all;
}

void Checkpoints::prune(Index best) const {
  if (!Processes().leads()) {
    return;
  }
  std::vector<Index> all = steps();
  std::erase(all, best);
  const Index surplus = keep_ > 0 ? std::ssize(all) - keep_ : 0;
  for (Index i = 0; i < surplus; ++i) {
    std::error_code error;  // one that stays does no harm
    fs::remove_all(path(all[static_cast<std::size_t>(i)]), error);
  }
}

void Checkpoints::clear_remains() const {
  if (!Processes().leads()) {
    return;
  }
  std::vector<fs::path> remains;
  std::error_code error;
  const auto note_temporaries = [&](const fs::path& folder) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().filename().string().find(".partial-") != std::string::npos) {
        remains.push_back(entry.path());
      }
    }
  };
  note_temporaries(folder_);
  for_each_step(folder_, [&](const fs::path& path, Index) {
    if (is_checkpoint(path.string())) {
      note_temporaries(path);
    } else {
      remains.push_back(path);
    }
  });
  for (const fs::path& path : remains) {
    fs::remove_all(path, error);
  }
}

void Checkpoints::clear() const {
  if (!Processes().leads()) {
    return;
  }
  std::vector<fs::path> all;
  for_each_step(folder_, [&](const fs::path& path, Index) { all.push_back(path); });
  std::error_code error;
  for (const fs::path& path : all) {
    fs::remove_all(path, error);
  }
}

std::string run_of(const std::string& resume) {
  const fs::path folder = fs::path(resume).lexically_normal();
  const fs::path named = folder.has_filename() ? folder : folder.parent_path();
  if (is_checkpoint(resume) && step_in(named)) {
    return named.has_parent_path() ? named.parent_path().string() : ".";
  }
  if (Checkpoints(resume, 0).steps().empty()) {
    fail("train.457",
         "--resume names neither a checkpoint nor a run that has one: expected auto, a folder that finetune wrote with "
         "--save-every, or a step-N in it",
         resume);
  }
  return resume;
}

Resumption resumption_of(const std::string& resume, const std::string& out) {
  if (resume.empty()) {
    return {};
  }
  if (resume != "auto") {
    const std::string run = run_of(resume);
    std::error_code error;
    if (!fs::equivalent(run, out, error)) {
      fail("train.457", "--resume goes on in the folder of its run, " + run + ", but --out names another", out);
    }
  }
  if (resume != "auto" && is_checkpoint(resume)) {
    return {resume, false, false};
  }
  const std::string status = status_of(out);
  if (!status.empty() && status != "interrupted") {
    return {"", false, true};
  }
  const Checkpoints checkpoints(out, 0);
  if (const std::vector<Index> steps = checkpoints.steps(); !steps.empty()) {
    return {checkpoints.path(steps.back()), false, false};
  }
  return {"", io::exists(io::join(out, "log.jsonl")), false};
}

std::string data_fingerprint(const std::string& path) {
  if (!io::is_directory(path)) {
    return io::file_fingerprint(path);
  }
  std::set<std::string> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    if (entry.is_regular_file()) {
      files.insert(entry.path().filename().string() + " " + io::file_fingerprint(entry.path().string()) + "\n");
    }
  }
  std::string all;
  for (const std::string& file : files) {
    all += file;
  }
  return io::hash_text(io::fnv1a(std::as_bytes(std::span(all))));
}

}  // namespace graft::program
