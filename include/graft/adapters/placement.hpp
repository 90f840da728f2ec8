// SPDX-License-Identifier: Apache-2.0
// Placement: the answer, at run time, to "which layers, which sites, which positions of the prompt".
#pragma once

#include <algorithm>  // any_of, find, max, min
#include <cstdint>
#include <iterator>  // ssize
#include <string>
#include <string_view>
#include <vector>

#include <graft/core/ragged.hpp>
#include <graft/core/site.hpp>

namespace graft {

/// Which layers: a list, or all.
struct Layers {
  bool all = true;            ///< then `chosen` has no say
  std::vector<Index> chosen;  ///< counted from 0

  /// Whether a layer is meant.
  [[nodiscard]] bool contains(Index layer) const {
    return all || std::find(chosen.begin(), chosen.end(), layer) != chosen.end();
  }
};

/// Every layer of the model.
inline const Layers every_layer{};
/// The listed layers, counted from 0.
[[nodiscard]] inline Layers only_layers(std::vector<Index> list) {
  return {false, std::move(list)};
}

/// Which rows of a sequence: the first and last tokens of its prompt, or all rows (generated ones too).
struct Positions {
  bool all = true;  ///< then first and last have no say
  Index first = 0;  ///< tokens that the prompt opens with
  Index last = 0;   ///< tokens that it ends with

  friend bool operator==(const Positions&, const Positions&) = default;
};

/// f<first>+l<last> of the papers, counted in the prompt.
[[nodiscard]] constexpr Positions ends(Index first, Index last) {
  return {false, first, last};
}
/// Every row.
inline constexpr Positions every_position{};

/// Whether a name is what a pattern says, where * stands for any run of characters: "model.layers.*.mlp.*".
[[nodiscard]] constexpr bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.empty() || pattern.front() != '*') {
    return pattern.empty() ? name.empty()
                           : name.starts_with(pattern.front()) && matches(pattern.substr(1), name.substr(1));
  }
  return matches(pattern.substr(1), name) || (!name.empty() && matches(pattern, name.substr(1)));
}

/// Where the modules of one adapter stand. Tied: one module a layer edits prefix and suffix; untied: one each.
struct Placement {
  Layers layers{};                 ///< all by default
  Positions positions{};           ///< all by default; only streams have them
  bool tied = true;                ///< prefix and suffix share a module
  Sites sites = site::everything;  ///< narrows the sites of At, for targets chosen at run time
  std::vector<std::string>
      modules{};  ///< narrows further, to module paths that match one of these (matches); empty = no further

  /// Whether prefix and suffix have a module each: untied, and both asked for.
  [[nodiscard]] bool splits() const { return !tied && !positions.all && positions.first > 0 && positions.last > 0; }
  /// Whether the module at one site of one layer is asked for.
  [[nodiscard]] bool names(Index layer, Sites one) const {
    const auto named = [&](const std::string& pattern) { return matches(pattern, module_path(layer, one)); };
    return (sites & one) != 0 && layers.contains(layer) &&
           (modules.empty() || std::any_of(modules.begin(), modules.end(), named));
  }
};

/// The share of the positions that a module edits.
enum class Part { both, prefix, suffix };

/// The rows of a batch that a part edits, in rising order: in the batch, and within a block of `block_rows`.
struct EditRows {
  std::vector<Index> in_batch;           ///< counted in the batch
  std::vector<Index> in_block;           ///< counted in their block
  std::vector<std::uint64_t> subspaces;  ///< rows of R that each carries; empty where all carry the whole
};

/// pyreft's rule without its padding: with prompt length L the first min(first, L/2) and the last min(last, L/2) tokens
/// of the prompt, of every sequence that uses `adapter`. Only rows that this batch holds (a decode step holds none). In the
/// memory of `rows`.
[[nodiscard]] inline EditRows edit_rows(const Ragged& batch, const Positions& positions, Part part, Index adapter,
                                        Index block_rows, EditRows rows = {}) {
  require(batch.subspace.empty() || std::ssize(batch.subspace) == batch.sequences(), "shape.110",
          "Ragged: every sequence carries a subspace, or none does");
  rows.in_batch.clear();
  rows.in_block.clear();
  rows.subspaces.clear();
  const auto push = [&](Index sequence, Index from, Index to) {  // positions [from, to)
    const auto i = static_cast<std::size_t>(sequence);
    for (Index p = std::max(from, batch.start[i]); p < std::min(to, batch.start[i] + batch.length(sequence)); ++p) {
      rows.in_batch.push_back(batch.begin(sequence) + p - batch.start[i]);
      rows.in_block.push_back(rows.in_batch.back() % block_rows);
      if (!batch.subspace.empty()) {
        rows.subspaces.push_back(batch.subspace[i]);
      }
    }
  };
  for (Index i = 0; i < batch.sequences(); ++i) {
    if (batch.adapter[static_cast<std::size_t>(i)] != adapter) {
      continue;
    }
    const Index prompt = batch.prompt[static_cast<std::size_t>(i)];
    const Index text = batch.inserted[static_cast<std::size_t>(i)];  // positions are counted in it
    if (positions.all) {
      push(i, 0, batch.start[static_cast<std::size_t>(i)] + batch.length(i));
      continue;
    }
    if (prompt == 0) {
      fail("adapter.630", "sequence " + std::to_string(i) + " has an empty prompt, in which f" +
                              std::to_string(positions.first) + "+l" + std::to_string(positions.last) +
                              " names no position (use --positions all)");
    }
    if (part != Part::suffix) {
      push(i, text, text + std::min(positions.first, prompt / 2));
    }
    if (part != Part::prefix) {
      push(i, text + prompt - std::min(positions.last, prompt / 2), text + prompt);
    }
  }
  return rows;
}

/// Every sequence that uses `adapter` has `expected` placeholders, all of them in its first rows; otherwise adapter.745.
inline void check_placeholders(const Ragged& batch, Index adapter, Index expected) {
  for (Index s = 0; s < batch.sequences(); ++s) {
    const auto i = static_cast<std::size_t>(s);
    const Index held = batch.start[i] == 0 ? batch.length(s) : batch.start[i];
    if (batch.adapter[i] == adapter && (batch.inserted[i] != expected || held < expected)) {
      fail("adapter.745", "sequence " + std::to_string(s) + " has " + std::to_string(batch.inserted[i]) +
                              " placeholders, its adapter fills " + std::to_string(expected) +
                              "; build the batch with Attached::inserted() of them, and give them to one call");
    }
  }
}

/// The rows of the placeholders `own` (counted from the start of a sequence) of every sequence that uses `adapter`; a step
/// that starts behind them holds none. In the memory of `rows`.
[[nodiscard]] inline EditRows placeholder_rows(const Ragged& batch, RowRange own, Index adapter, Index block_rows,
                                               EditRows rows = {}) {
  rows.in_batch.clear();
  rows.in_block.clear();
  for (Index s = 0; s < batch.sequences(); ++s) {
    const auto i = static_cast<std::size_t>(s);
    if (batch.adapter[i] != adapter || batch.start[i] > 0) {
      continue;
    }
    for (Index p = own.begin; p < own.begin + own.rows; ++p) {
      rows.in_batch.push_back(batch.begin(s) + p);
      rows.in_block.push_back(rows.in_batch.back() % block_rows);
    }
  }
  return rows;
}

}  // namespace graft
