// SPDX-License-Identifier: Apache-2.0
// The subcommands; each returns the exit code and throws graft::Error for whatever a user can mend.
#pragma once

#include "settings.hpp"

namespace graft::program {

inline constexpr int exit_success = 0;
inline constexpr int exit_error = 2;
inline constexpr int exit_interrupted = 130;

int finetune(const FinetuneSettings& settings);
int evaluate(const EvalSettings& settings);
int generate(const GenerateSettings& settings);
int chat(const ChatSettings& settings);
int inspect(const InspectSettings& settings);
int merge(const MergeSettings& settings);
int export_adapter(const ExportSettings& settings);
int preview(const PreviewSettings& settings);
int report(const ReportSettings& settings);
int compare(const CompareSettings& settings);
int select(const SelectSettings& settings);

}  // namespace graft::program
