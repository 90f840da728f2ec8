#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# remake.sh: makes the embedded model again: stories and tokenizer from a seed, then full finetuning of a random start on the
# stories, then a merge to bf16. Some ten minutes on two cores.
set -euo pipefail

usage() {
  cat <<'TEXT'
bash examples/village/remake.sh [--work DIR] [--into DIR] [--steps N] [--graft PROGRAM] [--village PROGRAM]

  --work DIR          for what lies between (default build/village)
  --into DIR          models/village and data/village are written below it (default examples)
  --steps N           fewer steps than the pretraining takes, to try the command
  --graft, --village  the two programs (default: of the preset dev, which is built if it has to be)
TEXT
}

work=build/village into=examples steps=3750 graft='' village=''
while [ $# -gt 0 ]; do
  case $1 in
    --work) work=${2:?}; shift ;;
    --into) into=${2:?}; shift ;;
    --steps) steps=${2:?}; shift ;;
    --graft) graft=${2:?}; shift ;;
    --village) village=${2:?}; shift ;;
    --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [ -z "$graft" ] || [ -z "$village" ]; then
  cmake --preset dev
  cmake --build build/dev --target graft village
  graft=${graft:-build/dev/examples/graft} village=${village:-build/dev/examples/village}
fi

mkdir -p "$work" "$into/models" "$into/data/village"
"$village" "$work"
"$graft" finetune --model "$work/start" --data "$work/pretraining.jsonl" --retain "$work/stories.jsonl" --adapter full \
  --lr 2e-3 --schedule cosine --warmup 0.05 --lr-min 3e-5 --weight-decay 0.01 --batch-size 32 --steps "$steps" --seed 1 \
  --out "$work/pretraining" --overwrite
"$graft" merge --model "$work/start" --adapter "$work/pretraining" --dtype bf16 --out "$into/models/village" --overwrite
cp "$work/train.jsonl" "$work/heldout.jsonl" "$work/stories.jsonl" "$into/data/village/"
