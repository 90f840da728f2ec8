// SPDX-License-Identifier: Apache-2.0
// graft export: an adapter in the files of another program, and a receipt that they compute the same.
#include <algorithm>  // find_if
#include <cstdio>
#include <iterator>  // begin, end
#include <memory>

#include "commands.hpp"
#include "exports.hpp"
#include "receipt.hpp"
#include "run_folder.hpp"
#include "words.hpp"

namespace graft::program {

int export_adapter(const ExportSettings& settings) {
  const auto* const to = std::find_if(std::begin(export_formats), std::end(export_formats),
                                      [&](const ExportFormat& row) { return row.name == settings.to; });
  if (to == std::end(export_formats)) {
    fail("train.431", "--to is \"" + settings.to + "\", expected one of " + names_of(export_formats), "--to");
  }
  (void)resolve_dtype(settings.dtype, "cpu", false);
  refuse_taken(settings.out, settings.overwrite, to->ending);
  Draft draft(settings.out, to->ending);
  ModelSettings model = witnessed(settings.model, settings.adapter, settings.dtype);
  model.positions = settings.positions;
  auto session = std::make_unique<Session>(model, settings.adapter);
  Index modules = 0;
  for (const AdapterSummary& adapter : session->engine().summary()) {
    for (const PlacementRow& row : adapter.rows) {
      modules += row.modules;
    }
  }
  io::Json receipt = draft.named([&] {
    session->engine().save_adapter(draft.path(), settings.model, to->format);
    Witness witness(*session);
    model.dtype = session->engine().precision();
    model.quiet = true;
    model.positions.clear();
    session.reset();  // two models are never in memory
    session = std::make_unique<Session>(model, draft.path());
    return witness.receipt(*session, model.dtype);
  });
  session.reset();
  receipt.update(
      {{"format", to->name}, {"model", settings.model}, {"adapter", settings.adapter}, {"modules", modules}});
  commit_with_receipt(draft, settings.out, receipt);
  std::fprintf(stderr, "%s: %s modules as %s\n", settings.out.c_str(), with_commas(modules).c_str(),
               std::string(to->what).c_str());
  std::printf("%s\n", settings.json ? receipt.dump().c_str() : settings.out.c_str());
  return exit_success;
}

}  // namespace graft::program
