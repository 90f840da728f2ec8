#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh MODEL DATA.jsonl [compare.py's options]: graft beside PyTorch with PEFT and pyreft, on the same batches of the same file.
# MODEL is a Hugging Face folder. Makes the two Python environments below build/peers (3 GB) where they are not there yet.
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '3,4s/^# //p' "${BASH_SOURCE[0]}"
  exit 2
fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
environment() {
  local home=build/peers/$1
  shift
  [ -x "$home/bin/python" ] && return
  python3 -m venv "$home"
  "$home/bin/pip" install --quiet --disable-pip-version-check "$@" || { rm -rf "$home"; exit 1; }
}
environment peft torch==2.15.0 transformers==5.23.0 peft==0.21.2
environment pyreft torch==2.15.0 transformers==4.45.1 pyreft==0.1.0
cmake --preset release --log-level=WARNING
cmake --build --preset release
exec python3 benchmarks/peers/compare.py "$@"
