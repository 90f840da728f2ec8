// SPDX-License-Identifier: Apache-2.0
#include "receipt.hpp"

#include <cstdio>

#include <graft/io/atomic_file.hpp>
#include <graft/io/path.hpp>
#include <graft/version.hpp>

#include "words.hpp"

namespace graft::program {

ModelSettings witnessed(const std::string& model, const std::string& adapter, const std::string& dtype) {
  ModelSettings settings;
  settings.model = model;
  settings.dtype = dtype;
  settings.device = "cpu";
  const std::string run = io::join(adapter, "run.json");
  if (io::exists(run)) {
    const auto of_run = io::json_get<io::Json>(io::parse_json(io::read_text(run), run), "settings", run);
    settings.chat_template = io::json_get_or(of_run, "chat_template", settings.chat_template, run);
    const auto tokenizer = io::json_get_or<std::string>(of_run, "tokenizer", "", run);
    settings.tokenizer = io::exists(tokenizer) ? tokenizer : "";
  }
  return settings;
}

Witness::Witness(Session& session) : probes_(probes_of(session)), precision_(session.engine().precision()) {
  run(session, [&](View<const float> rows) { comparison_.expect(rows); });
}

void Witness::run(Session& session, const LogitsVisitor& visit) const {
  constexpr Index batch = 4;
  (void)session.engine().evaluate(probes_.prompts, batch, visit);
}

io::Json Witness::receipt(Session& exported, const std::string& dtype) {
  run(exported, [&](View<const float> rows) { comparison_.meet(rows); });
  const train::Receipt found = comparison_.receipt();
  const train::Tolerance& bound = train::tolerance_of(dtype);
  const auto share = [](double x) { return significant(x, 2); };
  if (!found.within(bound)) {
    fail("train.446", "read back, the export is off by " + share(found.largest) + " of the largest logit (rms " +
                          share(found.rms) + "), expected at most " + share(bound.largest) + " (rms " +
                          share(bound.rms) + ") for " + dtype + ": it was not kept; numbers of more bits may do");
  }
  std::fprintf(stderr,
               "receipt: %td prompts, %s tokens: logits differ by at most %s of the largest (rms %s), the likeliest "
               "token is the same for %s %%\n",
               std::ssize(probes_.prompts), with_commas(found.tokens).c_str(), share(found.largest).c_str(),
               share(found.rms).c_str(), fixed(100 * found.agreement, 1).c_str());
  return {{"graft", std::to_string(GRAFT_VERSION_MAJOR) + "." + std::to_string(GRAFT_VERSION_MINOR) + "." +
                        std::to_string(GRAFT_VERSION_PATCH)},
          {"computed_in", precision_},
          {"prompts", probes_.prompts.size()},
          {"tokens", found.tokens},
          {"training_form", probes_.form},
          {"largest_logit", found.scale},
          {"largest_difference", found.largest},
          {"mean_difference", found.mean},
          {"rms_difference", found.rms},
          {"top1_agreement", found.agreement},
          {"numbers", dtype},
          {"tolerance", {{"largest", bound.largest}, {"rms", bound.rms}}}};
}

void commit_with_receipt(Draft& draft, const std::string& out, const io::Json& receipt) {
  const bool folder = io::is_directory(draft.path());
  if (folder) {
    io::write_text(io::join(draft.path(), "receipt.json"), receipt.dump(2) + "\n");
  }
  draft.commit();
  if (!folder) {
    io::write_text(out + ".receipt.json", receipt.dump(2) + "\n");
  }
}

}  // namespace graft::program
