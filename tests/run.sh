#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The whole developer loop on a bare Debian 12: install what is missing, configure, build, verify headers, test.
set -euo pipefail

usage() {
  cat <<'TEXT'
bash tests/run.sh [--compiler gcc|clang-19] [--sanitize] [--real] [--jobs N] [--help]

  --compiler gcc|clang-19   the compiler (default gcc)
  --sanitize                under the address and undefined-behaviour sanitizers
  --real                    also every check on SmolLM2 and ../shared: fetches the model; a skipped check is a failure
  --jobs N                  parallel compilations (default: one a core)

Each combination has a build directory of its own under build/. Root is asked for only where a package is missing.
TEXT
}

compiler=gcc
sanitize=OFF
real=OFF
jobs=$(nproc)
while [ $# -gt 0 ]; do
  case $1 in
    --compiler) compiler=${2:?--compiler needs a name}; shift ;;
    --sanitize) sanitize=ON ;;
    --real) real=ON ;;
    --jobs) jobs=${2:?--jobs needs a number}; shift ;;
    --help) usage; exit 0 ;;
    *) echo "run.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
say() { printf '\n== %s\n' "$*"; }

# --- what is needed, by Debian's names -----------------------------------------------------------------------------------
. cmake/packages.sh
packages=("${build_packages[@]}" ccache python3 git ca-certificates libxtensor-dev catch2 libbenchmark-dev libfmt-dev
          doxygen libopenmpi-dev openmpi-bin)
case $compiler in
  gcc) cxx=g++ ;;
  clang-19) cxx=clang++-19; packages+=(clang-19 libomp-19-dev) ;;
  *) echo "run.sh: --compiler is gcc or clang-19, not $compiler" >&2; exit 2 ;;
esac
if [ $real = ON ]; then
  packages+=(chromium)  # looks at the page of graft report
  python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
fi

install_missing "${packages[@]}"

# --- the model -----------------------------------------------------------------------------------------------------------
if [ $real = ON ]; then
  say "the real model"
  GRAFT_SMOLLM2=${GRAFT_SMOLLM2:-$(bash examples/get_smollm2.sh)}
  export GRAFT_SMOLLM2
  echo "$GRAFT_SMOLLM2"
fi

# --- configure, build, verify, test --------------------------------------------------------------------------------------
preset=dev
[ $sanitize = OFF ] || preset=debug
build=build/$preset
[ $compiler = gcc ] || build+=-$compiler

say "configure $build ($cxx)"
cmake --preset "$preset" -B "$build" -DCMAKE_CXX_COMPILER=$cxx -DGRAFT_REAL=$real

say "build"
SECONDS=0
cmake --build "$build" --parallel "$jobs"
echo "built in $SECONDS s"

say "header verification"
SECONDS=0
cmake --build "$build" --parallel "$jobs" --target all_verify_interface_header_sets
echo "verified in $SECONDS s"

say "tests"
log=$build/tests.log
status=0
ctest --test-dir "$build" --output-on-failure --no-tests=error -j2 </dev/null 2>&1 | tee "$log" || status=$?
if [ $real = ON ]; then
  sed -n '/tests passed/,$p' "$log" >"$build/real-summary.log"
  say "summary in $build/real-summary.log"
fi
exit $status
