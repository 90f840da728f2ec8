// SPDX-License-Identifier: Apache-2.0
// graft preview: the first examples as the model will see them, token by token.
#include <unistd.h>

#include <algorithm>  // find_if, min
#include <cstdio>
#include <cstdlib>   // getenv
#include <iterator>  // begin, end

#include <graft/interchange/open_adapter.hpp>
#include <graft/io/atomic_file.hpp>
#include <graft/text/pcre2.hpp>

#include "adapter_words.hpp"
#include "commands.hpp"
#include "data_files.hpp"
#include "preview_page.hpp"
#include "session.hpp"
#include "test_set.hpp"
#include "words.hpp"

namespace graft::program {

namespace {

/// Modules that edit the same positions.
struct Unit {
  std::string name;    // "loreft"
  std::string layers;  // "all"
  Placement placement;
  bool of_stream = false;  // positions mean something
};

std::vector<Unit> units_of(const PreviewSettings& settings, const Session& session) {
  std::vector<Unit> units;
  if (!settings.tuning.init_adapter.empty()) {
    const models::AdapterFile file =
        interchange::open_adapter(settings.tuning.init_adapter, session.config().layers, &text::compile_pcre2);
    for (const models::AdapterPart& part : file.parts) {
      const auto kind = std::find_if(std::begin(adapter_kinds), std::end(adapter_kinds),
                                     [&](const AdapterKind& one) { return one.name == part.adapter; });
      const bool of_stream =
          part.adapter == "subspace" || (kind != std::end(adapter_kinds) && !kind->positions.empty());
      units.push_back({part.adapter, words_of(part.placement.layers), part.placement, of_stream});
    }
    return units;
  }
  if (settings.tuning.adapters.empty() && settings.tuning.adapter.positions.empty()) {
    return units;
  }
  for (const AdapterWords& words : adapters_of(settings.tuning)) {
    const AdapterRequest request = request_of(words, session.config());
    units.push_back({std::string(request.kind->name), words_of(request.placement.layers), request.placement,
                     !request.kind->positions.empty()});
  }
  return units;
}

std::string words_of_unit(const Unit& unit) {
  if (!unit.of_stream) {
    return unit.name + " on layers " + unit.layers + ": every token";
  }
  const Placement& place = unit.placement;
  return unit.name + " on layers " + unit.layers + ": positions " + words_of(place.positions) +
         (place.positions.all ? ""
          : place.splits()    ? ", untied: one unit a layer for the first, one for the last"
                              : ", one unit a layer");
}

/// Writes beside each token which units edit it: "f3" the third of the first, "l1" the first of the last positions.
void mark_edits(const Unit& unit, const train::Example& example, bool names, PreviewExample& shown) {
  const Positions& positions = unit.placement.positions;
  if (!unit.of_stream || example.ids.empty()) {
    return;
  }
  Ragged batch;
  batch.push(std::ssize(example.ids), example.prompt);
  const auto mark = [&](Part part, const char* letter) {
    Index number = 0;
    for (const Index row : edit_rows(batch, positions, part, 1, 1).in_batch) {
      std::string& edits = shown.tokens[static_cast<std::size_t>(row)].edits;
      edits += (edits.empty() ? "" : " ") + (names ? unit.name + ":" : std::string()) + letter +
               (positions.all ? "" : std::to_string(++number));
    }
  };
  if (positions.all) {
    mark(Part::both, "all");
  } else if (example.prompt > 0) {
    mark(Part::prefix, "f");
    mark(Part::suffix, "l");
  }
}

PreviewExample shown_example(const train::ExampleFile& file, Index record, const Session& session,
                             const std::vector<Unit>& units) {
  const train::Example example = file.at(record);
  PreviewExample shown;
  shown.line = file.line(record);
  shown.prompt = example.prompt;
  for (std::size_t t = 0; t < example.ids.size(); ++t) {
    const std::int32_t id = example.ids[t];
    const bool trained = t > 0 && example.labels[t] != train::ignored;  // nothing predicts token 0
    shown.tokens.push_back({id, session.has_tokenizer() ? session.tokenizer().bytes(id) : std::string(), trained, {}});
  }
  for (const Unit& unit : units) {
    mark_edits(unit, example, units.size() > 1, shown);
  }
  if (example.labelled() == 0) {
    shown.note = "no token of it is trained: finetune leaves it out";
  } else if (example.prompt == 0) {
    shown.note = "it is trained from its first token on: there is no prompt";
  }
  return shown;
}

std::vector<std::string> warnings_of(const train::DatasetCounts& counts, const std::vector<Unit>& units) {
  std::vector<std::string> warnings;
  const Index examples = counts.records - counts.too_long - counts.untrained;
  const Index untrained = counts.none_trained + counts.untrained;
  if (untrained == counts.records) {
    warnings.push_back("the template or mask trains nothing: no token of any record is trained");
  } else if (untrained > 0) {
    warnings.push_back(with_commas(untrained) + " of " + with_commas(counts.records) +
                       " records have nothing to train; finetune leaves them out");
  }
  if (counts.all_trained == examples && examples > 0) {
    warnings.push_back("everything is trained: no token of any example is masked");
  } else if (counts.all_trained > 0) {
    warnings.push_back(with_commas(counts.all_trained) + " of " + with_commas(examples) +
                       " examples are trained whole, prompts and all");
  }
  if (counts.cut + counts.too_long > 0) {
    warnings.push_back(with_commas(counts.cut + counts.too_long) + " of " + with_commas(counts.records) +
                       " records are longer than --max-seq-len: " + with_commas(counts.cut) + " lose their ends, " +
                       with_commas(counts.too_long) + " are left out");
  }
  for (const Unit& unit : units) {
    if (unit.of_stream && !unit.placement.positions.all && counts.without_prompt > 0) {
      warnings.push_back(with_commas(counts.without_prompt) + " examples have an empty prompt, in which " +
                         words_of(unit.placement.positions) + " names no position (use --positions all)");
    }
  }
  return warnings;
}

}  // namespace

int preview(const PreviewSettings& settings) {
  if (settings.count < 1) {
    fail("train.431", "-n is " + std::to_string(settings.count) + ", expected at least 1", "-n");
  }
  const FinetuneSettings& s = settings.tuning;
  const Session session = Session::without_weights(s.model);
  const std::string path = training_file(s.data.data, data_files(s.data.data));
  const Index window = s.data.max_seq_len > 0 ? s.data.max_seq_len : std::min<Index>(session.config().context, 1024);
  const std::vector<Unit> units = units_of(settings, session);
  const train::ExampleFile file = session.open(s.data, path, window, true);
  const train::DatasetCounts& counts = file.counts();

  Preview preview;
  preview.title = path;
  const text::ChatTemplate* const chat = counts.dialogues > 0 ? session.chat() : nullptr;
  preview.facts = {"data      " + path + ": " + counts_text(counts),
                   "training  " + with_commas(counts.labelled) + " of " + with_commas(counts.tokens) +
                       " tokens carry loss" +
                       (counts.dialogues == 0 ? ""
                        : chat != nullptr     ? "; rendered by the chat template"
                                              : "; no chat template")};
  for (const Unit& unit : units) {
    preview.facts.push_back("adapter   " + words_of_unit(unit));
  }
  preview.warnings = warnings_of(counts, units);
  for (const std::uint32_t record : file.kept().slice(0, settings.count)) {
    preview.examples.push_back(shown_example(file, Index{record}, session, units));
  }

  if (!settings.html.empty()) {
    io::AtomicFile page(settings.html);
    page.write(preview_html(preview));
    page.commit();
  }
  if (settings.json) {
    std::printf("%s\n", preview_json(preview).dump().c_str());
  } else {
    const bool colours = ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
    std::fputs(preview_text(preview, colours).c_str(), stdout);
  }
  for (const std::string& warning : preview.warnings) {
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  }
  return exit_success;
}

}  // namespace graft::program
