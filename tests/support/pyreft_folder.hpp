// SPDX-License-Identifier: Apache-2.0
// Folders of pyreft in tests: the family as one stack, the golden logits, and a copy of a golden folder to be broken.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <graft/adapters/subspace.hpp>
#include <graft/interchange/pyreft.hpp>
#include <graft/io/torch_zip.hpp>

#include "support/golden_adapter.hpp"
#include "support/golden_logits.hpp"

namespace graft::test {

template <class A>
using OnStream = At<site::stream, A>;
/// Whatever class a folder of pyreft holds, it has a place here.
using ReftFamily =
    Stack<OnStream<adapters::LoReft<>>, OnStream<adapters::NoReft<>>, OnStream<adapters::ConsReft<>>,
          OnStream<adapters::LobiReft<>>, OnStream<adapters::DiReftOrthonormal<>>, OnStream<adapters::NodiReft<>>>;

/// What pyreft noted of a golden case.
struct ReftCase {
  io::Json facts;
  io::Safetensors io;
  std::string saved;
  Positions positions;

  explicit ReftCase(const std::string& name)
      : facts(io::parse_json(slurp(golden("reft/" + name + "/io.json")), name)),
        io(io::Safetensors::open(golden("reft/" + name + "/io.safetensors"))),
        saved(golden("reft/" + name + "/saved")) {
    const std::string rule = facts["positions_rule"];
    positions = rule == "all" ? every_position : rule == "f1+l3" ? ends(1, 3) : ends(2, 2);
  }

  /// How far the logits of an attached stack are from pyreft's, relative to the largest.
  template <class AttachedType>
  [[nodiscard]] double logits_error(const GoldenLlama& model, AttachedType& attached) const {
    return golden_logits_error(model, attached, io, facts["prompt_lengths"].get<std::vector<Index>>());
  }
};

/// A copy of a golden folder of pyreft, to be broken.
struct PyreftDraft {
  TempFolder folder;
  io::Json config;

  explicit PyreftDraft(const std::string& name) {
    std::filesystem::copy(golden("reft/" + name + "/saved"), folder.path());
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      std::filesystem::permissions(entry, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
    }
    config = io::parse_json(slurp(folder.path("config.json")), name);
  }
  [[nodiscard]] std::string bin(const std::string& key) const { return folder.path("intkey_" + key + ".bin"); }

  /// Lets `change` edit the tensors of one intervention, written again as torch would.
  template <class Change>
  void rewrite(const std::string& key, const Change& change) const {
    const auto file = io::open_torch_zip(bin(key));
    std::vector<io::TensorRef> tensors(file.tensors().begin(), file.tensors().end());
    change(tensors);
    io::write_torch_zip(bin(key), tensors);
  }
  [[nodiscard]] models::AdapterFile open(std::optional<Positions> positions = ends(2, 2)) const {
    (void)folder.write("config.json", config.dump());
    return interchange::open_pyreft(folder.path(), positions);
  }
  [[nodiscard]] Error error(std::optional<Positions> positions = ends(2, 2)) const {
    return error_of([&] { (void)open(positions); });
  }
};

}  // namespace graft::test
