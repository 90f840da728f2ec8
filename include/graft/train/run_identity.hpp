// SPDX-License-Identifier: Apache-2.0
// RunIdentity: what a run is made of; a checkpoint goes on with the very same base, data and settings, or not at all.
#pragma once

#include <map>
#include <string>

#include <graft/io/json.hpp>
#include <graft/models/fingerprint.hpp>

namespace graft::train {

/// Base, data and settings of a run. Only settings that change a number of the run belong here.
struct RunIdentity {
  models::Fingerprint base;                 ///< of the frozen weights
  std::map<std::string, std::string> data;  ///< io::file_fingerprint of each data file, by what it is to the run
  io::Json settings = io::Json::object();   ///< by name, as they were resolved
};

namespace detail {

[[nodiscard]] inline std::string setting_text(const io::Json& settings, const std::string& name) {
  const auto found = settings.find(name);
  return found == settings.end() ? "no " + name : name + " " + found->dump().substr(0, 120);
}

/// The first name under which two objects differ, or an empty string.
[[nodiscard]] inline std::string first_difference(const io::Json& a, const io::Json& b) {
  for (const io::Json* side : {&a, &b}) {
    for (const auto& [name, value] : side->items()) {
      if (!a.contains(name) || !b.contains(name) || a.at(name) != b.at(name)) {
        return name;
      }
    }
  }
  return "";
}

}  // namespace detail

/// Refuses to go on as another run: another base is train.452, other data train.453, another setting train.454, which names
/// it with both values. `where` is the checkpoint.
inline void check_same_run(const RunIdentity& saved, const RunIdentity& now, const std::string& where) {
  if (saved.base != now.base) {
    fail("train.452",
         "the checkpoint is of a run on another model (" + saved.base.text() + "), this one has " + now.base.text(),
         where);
  }
  if (const std::string name = detail::first_difference(saved.data, now.data); !name.empty()) {
    fail(
        "train.453",
        "the file of " + name + " is not the one that the checkpoint's run has read: put that back, or start a new run",
        where);
  }
  if (const std::string name = detail::first_difference(saved.settings, now.settings); !name.empty()) {
    fail("train.454",
         "the checkpoint's run has " + detail::setting_text(saved.settings, name) + ", this one " +
             detail::setting_text(now.settings, name) +
             ": a run goes on with its own settings only; give them again, or start a new run",
         where);
  }
}

/// As a checkpoint holds it.
[[nodiscard]] inline io::Json to_json(const RunIdentity& run) {
  return {{"base", models::to_json(run.base)}, {"data", run.data}, {"settings", run.settings}};
}

/// From a checkpoint; `where` names it in errors.
[[nodiscard]] inline RunIdentity run_identity_from(const io::Json& json, const std::string& where) {
  return {models::fingerprint_from(io::json_get<io::Json>(json, "base", where), where),
          io::json_get<std::map<std::string, std::string>>(json, "data", where),
          io::json_get<io::Json>(json, "settings", where)};
}

}  // namespace graft::train
