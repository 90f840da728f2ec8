#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes docs/report-light.png and docs/report-dark.png: three short runs on the embedded model, their page, in headless Chromium.
#   bash docs/report.sh [PROGRAM]      (default: build/dev/examples/graft)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
graft=${1:-build/dev/examples/graft}
command -v chromium >/dev/null || { echo "chromium is absent: apt-get install chromium" >&2; exit 1; }
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
data=examples/data/village
for run in "lora:rank=4" "pmss:rank=16" "loreft:rank=4"; do
  "$graft" finetune --model examples/models/village --data $data/train.jsonl --valid $data/heldout.jsonl --choices yes,no --no-eos --adapter "$run" \
    --lr 2e-3 --epochs 2 --batch-size 16 --eval-every 20 --sample-tokens 4 --out "$home/${run%%:*}" >/dev/null
done
"$graft" report "$home/lora" "$home/pmss" "$home/loreft" --html "$home/page.html"
for mode in dark light; do
  chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --no-first-run --disable-background-networking \
    --virtual-time-budget=5000 --user-data-dir="$home/profile" --blink-settings=preferredColorScheme=$([ $mode = dark ] && echo 0 || echo 1) \
    --window-size=1100,1650 --screenshot="docs/report-$mode.png" "file://$home/page.html" 2>/dev/null
done
ls -l docs/report-*.png
