#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [OUT [FILTER]]: builds and runs every benchmark, and writes its figures as JSON, as tables (benchmarks.md) and as pictures
# into OUT (build/benchmarks by default). Half an hour on 2 cores; FILTER is a regular expression over the rows, for instance
# fp32 where the processor does not multiply bf16. GRAFT_BENCH_MODEL names another model (support/step.hpp).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case ${1:-} in -*) sed -n '3,5s/^# //p' benchmarks/run.sh; exit 2 ;; esac
out=${1:-build/benchmarks}
cmake --preset dev --log-level=WARNING
cmake --build build/dev --target benchmarks
mkdir -p "$out"
for program in build/dev/benchmarks/*_bench; do
  name=$(basename "$program" _bench)
  echo "== $name" >&2
  "$program" --benchmark_filter="${2:-.}" --benchmark_out="$out/$name.json.part" --benchmark_out_format=json >&2
  mv "$out/$name.json.part" "$out/$name.json"
done
python3 benchmarks/report.py "$out"
