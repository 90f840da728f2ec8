// SPDX-License-Identifier: Apache-2.0
#include "run_folder.hpp"

#include <unistd.h>  // fsync

#include <cerrno>
#include <cstring>  // strerror
#include <filesystem>
#include <sstream>
#include <system_error>  // error_code

#include <graft/io/atomic_file.hpp>
#include <graft/io/path.hpp>

#include "processes.hpp"

namespace graft::program {

void refuse_taken(const std::string& path, bool overwrite, std::string_view ending) {
  if (!ending.empty()) {
    if (!path.ends_with(ending) || io::is_directory(path) || (io::exists(path) && !overwrite)) {
      fail("train.437",
           "--out is taken or does not end in " + std::string(ending) +
               "; choose another name, or add --overwrite to replace a file",
           path);
    }
    return;
  }
  if (io::exists(path) && !io::is_directory(path)) {
    fail("train.437", "--out names a file, expected a folder or a name that is free", path);
  }
  for (const char* taken : {"run.json", "log.jsonl", "adapter_config.json", "config.json"}) {
    if (!overwrite && io::exists(io::join(path, taken))) {
      fail("train.437", "the folder already holds " + std::string(taken) + "; choose another --out, or add --overwrite",
           path);
    }
  }
}

RunFolder::RunFolder(std::string path, bool overwrite) : path_(std::move(path)) {
  if (!overwrite && io::exists(io::join(path_, "log.jsonl"))) {
    fail("train.437",
         "the folder holds a run already; go on with it by --resume auto, choose another --out, or add --overwrite",
         path_);
  }
  refuse_taken(path_, overwrite);
}

void RunFolder::create() {
  if (!Processes().leads()) {
    return;
  }
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) {
    fail("io.202", "cannot make the folder: " + error.message(), path_);
  }
  open_log("w");
}

std::vector<io::Json> RunFolder::reopen(Index step) {
  std::vector<io::Json> kept;
  if (!Processes().leads()) {
    return kept;
  }
  std::string text;
  std::istringstream lines(io::exists(path("log.jsonl")) ? io::read_text(path("log.jsonl")) : std::string());
  for (std::string line; std::getline(lines, line) && !lines.eof();) {  // a line without its end was cut by a kill
    io::Json record = io::parse_json(line, path("log.jsonl"));
    if (io::json_get<Index>(record, "step", path("log.jsonl")) >= step) {
      break;
    }
    text += line + "\n";
    kept.push_back(std::move(record));
  }
  write("log.jsonl", text);
  open_log("a");
  return kept;
}

void RunFolder::open_log(const char* mode) {
  log_.reset(std::fopen(path("log.jsonl").c_str(), mode));
  if (!log_) {
    fail("io.202", std::string("cannot create the file: ") + std::strerror(errno), path("log.jsonl"));
  }
}

void RunFolder::sync() {
  if (!Processes().leads()) {
    return;
  }
  if (std::fflush(log_.get()) != 0 || ::fsync(::fileno(log_.get())) != 0) {
    fail("io.202", std::string("cannot write the file: ") + std::strerror(errno), path("log.jsonl"));
  }
}

void RunFolder::log(const io::Json& record) {
  if (!Processes().leads()) {
    return;
  }
  std::fputs((record.dump() + "\n").c_str(), log_.get());
  if (std::fflush(log_.get()) != 0) {
    fail("io.202", std::string("cannot write the file: ") + std::strerror(errno), path("log.jsonl"));
  }
}

void RunFolder::write(const std::string& name, const std::string& text) const {
  if (!Processes().leads()) {
    return;
  }
  io::write_text(path(name), text);
}

std::string RunFolder::path(const std::string& name) const {
  return name.empty() ? path_ : io::join(path_, name);
}

}  // namespace graft::program
