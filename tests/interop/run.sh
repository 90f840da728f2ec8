#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Holds graft's files against the programs that they are for: run.sh [--only NAME]
#
# Makes a Python environment for each generation of peer under build/interop (packages of PyPI, 7 GB, kept; UPDATE=1 makes
# them again), compiles the programs beside this script, runs every check NAME_*.py in the environment NAME, and prints one
# table of what was compared. Fails if a row does. NAME: torch, peft, pyreft, adapterhub, mlx or gguf.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$root/build/interop
only=${2:-}
if [ $# -ne 0 ] && { [ $# -ne 2 ] || [ "$1" != --only ]; }; then
  sed -n '3,7s/^# \?//p' "$0" >&2
  exit 2
fi
mkdir -p "$work"

# environment NAME: its packages, pinned. Those after torch see the one torch of the first, which is most of their size.
packages() {
  case $1 in
    torch) echo torch==2.15.0 numpy==2.3.5 safetensors==0.8.0 ;;
    peft) echo peft==0.21.2 transformers==5.23.0 ;;
    pyreft) echo transformers==4.45.1 accelerate==1.15.0 datasets==5.0.1 matplotlib==3.10.0 seaborn==0.12.2 networkx==3.6.1 ;;
    adapterhub) echo adapters==1.3.0 ;;
    mlx) echo 'mlx[cpu]==0.32.4' mlx-lm==0.32.2 safetensors==0.8.0 ;;
    gguf) echo llama-cpp-python==0.3.36 gguf==0.19.0 safetensors==0.8.0 ;;
    *) echo "run.sh: no environment for \"$1\"" >&2; return 1 ;;
  esac
}
without_dependencies() {  # pyreft and pyvene ask for notebooks, profilers and trackers that no check needs
  [ "$1" != pyreft ] || echo pyreft==0.1.0 pyvene==0.1.8
}

packages_of() {  # the folder that holds an environment's packages
  "$work/$1/bin/python" -c 'import site; print(site.getsitepackages()[0])'
}
make_environment() {
  local name=$1 folder=$work/$1 wanted
  wanted="$(packages "$name") $(without_dependencies "$name")"
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
  "$folder/bin/python" -m pip install --quiet $(packages "$name") >&2
  if [ -n "$(without_dependencies "$name")" ]; then
    # shellcheck disable=SC2046
    "$folder/bin/python" -m pip install --quiet --no-deps $(without_dependencies "$name") >&2
  fi
  echo "$wanted" >"$folder/made"
}

# program NAME: that of the check, or the common one; compiled again when it or a header changed.
program() {
  local source=$here/$1_roundtrip.cpp binary
  [ -e "$source" ] || source=$here/roundtrip.cpp
  binary=$work/$(basename "$source" .cpp)
  if [ ! -e "$binary" ] || [ -n "$(find "$root/include" "$source" -newer "$binary" -type f -print -quit)" ]; then
    echo "== compiling $(basename "$source")" >&2
    ${CXX:-g++} -std=c++20 -O2 -fopenmp -I "$root/include" -isystem /usr/include/eigen3 "$source" -o "$binary" -lzip -lpcre2-8 -ldnnl >&2
  fi
  echo "$binary"
}

source "$root/cmake/packages.sh"
python3 -c 'import ensurepip, venv' 2>/dev/null || build_packages+=(python3-venv)
install_missing "${build_packages[@]}" >&2

table=$work/table.md
printf '| row | peer, version | case | worst difference | tolerance | result |\n|---|---|---|---|---|---|\n' >"$table"
failed=0
for script in "$here"/*_*.py; do
  name=$(basename "$script" | cut -d_ -f1)
  if [ -n "$only" ] && [ "$name" != "$only" ]; then
    continue
  fi
  make_environment "$name"
  binary=$(program "$name")
  log=$work/$(basename "$script" .py).log
  echo "== $(basename "$script")" >&2
  status=0
  (cd "$here" && "$work/$name/bin/python" "$script" "$binary" "$root/tests/golden") >"$log" 2>"$log.err" || status=$?
  if grep -q '^|' "$log"; then
    grep '^|' "$log" >>"$table"
  else  # a check that prints lines of its own
    sed "s/|/,/g; s/.*/| $name | | & | | | pass |/; s/FAILED\(.*\) pass |/\1 FAIL |/" "$log" >>"$table"
  fi
  if [ $status -ne 0 ]; then
    failed=1
    tail -n 5 "$log.err" >&2
    grep -q '^|.* FAIL |$' "$log" || echo "| $name | | | exit $status, see ${log#"$root"/}.err | | FAIL |" >>"$table"
  fi
done
cat "$table"
exit $failed
