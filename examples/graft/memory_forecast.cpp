// SPDX-License-Identifier: Apache-2.0
#include "memory_forecast.hpp"

#include <unistd.h>

#include <algorithm>  // max
#include <cstdint>
#include <fstream>

#include "machine.hpp"
#include "session.hpp"
#include "words.hpp"

namespace graft::program {

namespace {

std::size_t page_bytes() {
  return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t resident_now() {
  std::ifstream file("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * page_bytes();
}

/// Bytes of the pages under [begin, begin + bytes) that this process has not touched.
std::size_t untouched(const void* begin, std::size_t bytes) {
  const std::size_t page = page_bytes();
  const auto first = reinterpret_cast<std::uintptr_t>(begin) / page;
  const auto last = (reinterpret_cast<std::uintptr_t>(begin) + bytes + page - 1) / page;
  std::ifstream map("/proc/self/pagemap", std::ios::binary);
  map.seekg(static_cast<std::streamoff>(first * sizeof(std::uint64_t)));
  std::vector<std::uint64_t> entries(last - first);
  map.read(reinterpret_cast<char*>(entries.data()), static_cast<std::streamsize>(entries.size() * sizeof(entries[0])));
  std::size_t absent = 0;
  for (const std::uint64_t entry : entries) {
    absent += entry >> 63 == 0 ? page : 0;
  }
  return map ? absent : 0;
}

/// Weights that are used where the file is mapped, and that nobody has touched yet.
std::size_t weights_to_come(Session& session) {
  const io::Dtype stored = session.engine().precision() == "bf16" ? io::Dtype::bf16 : io::Dtype::f32;
  std::size_t bytes = 0;
  for (const io::TensorRef& tensor : session.checkpoint().tensors) {
    bytes += tensor.dtype == stored ? untouched(tensor.data, tensor.bytes) : 0;
  }
  return bytes;
}

}  // namespace

std::string MemoryForecast::text(int indent) const {
  std::vector<std::vector<std::string>> rows;
  for (const MemoryPart& part : parts) {
    if (part.name[0] != ' ' && part.bytes > 0) {
      rows.push_back({part.name, bytes_text(part.bytes)});
    }
  }
  rows.push_back({"together", bytes_text(total)});
  return columns_text(rows, indent);
}

io::Json MemoryForecast::json() const {
  io::Json json = io::Json::object();
  for (const MemoryPart& part : parts) {
    json.emplace(part.name.substr(part.name.find_first_not_of(' ')), part.bytes);  // a part comes before its details
  }
  return json;
}

MemoryForecast forecast_memory(Session& session, std::vector<MemoryPart> parts) {
  const std::size_t held = resident_now() + weights_to_come(session);
  std::size_t there = 0;  // of the parts, what `held` counts
  MemoryForecast forecast;
  for (const MemoryPart& part : parts) {
    const bool is_there = part.name == "weights of the model" || part.name == "adapter";
    there += is_there ? part.bytes : 0;
    forecast.total += is_there || part.name[0] == ' ' ? 0 : part.bytes;
  }
  parts.insert(parts.begin() + 2, {"program, tokenizer, mapped files", held > there ? held - there : 0});
  forecast.parts = std::move(parts);
  forecast.total = std::max(forecast.total + std::max(held, there), peak_memory());
  return forecast;
}

}  // namespace graft::program
