#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# all.sh: on a machine with a CUDA device, builds what needs one, tests it, runs the sanitizers over it and measures it, in well
# under ten minutes, and leaves build/cuda/results.json ($OUT/results.json where OUT is set).
# all.sh --peers: measures PyTorch with PEFT on the same shapes instead, and adds that to the same file.
# all.sh --pack: copies the packages that such a machine may lack to build/cuda-packages, where all.sh looks for them.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
packages=$root/build/cuda-packages
build=$root/build/cuda
if [ "${1:-}" = --pack ]; then
  rm -rf "$packages"
  mkdir -p "$packages/include" "$packages/lib"
  for name in catch2 benchmark nlohmann; do
    cp -r "/usr/include/$name" "$packages/include/"
  done
  mkdir -p "$packages/include/eigen3"
  cp -r /usr/include/eigen3/Eigen "$packages/include/eigen3/"
  for name in Catch2WithMain Catch2Main Catch2 benchmark benchmark_main; do
    find /usr/lib -name "lib$name.a" -exec cp {} "$packages/lib/" \;
  done
  du -sh "$packages"
  exit 0
fi
[ $# -eq 0 ] || [ "$*" = --peers ] || { sed -n '3,6s/^# \?//p' "$0" >&2; exit 2; }
models="smollm2 1.1b 8b"

# join: steps-MODEL.json of Google Benchmark and peers-MODEL.jsonl, as far as they are there, as one file
join() {
  python3 - "$build" >"$build/results.json" <<'PYTHON'
import json, pathlib, sys
build = pathlib.Path(sys.argv[1])
of = lambda kind: {p.stem.removeprefix(kind + "-"): p.read_text() for p in sorted(build.glob(kind + "-*"))}
print(json.dumps({"steps": {name: json.loads(text) for name, text in of("steps").items()},
                  "peers": [json.loads(line) for text in of("peers").values() for line in text.splitlines()]}, indent=1))
PYTHON
  [ -z "${OUT:-}" ] || cp "$build/results.json" "$OUT/"
}

mkdir -p "$build"
if [ $# -eq 1 ]; then
  for model in $models; do
    python3 "$root/benchmarks/peers/gpu.py" --model "$model" --compile lora | tee "$build/peers-$model.jsonl"
    python3 "$root/benchmarks/peers/gpu.py" --model "$model" --decode 64 | tee -a "$build/peers-$model.jsonl"
  done
  join
  exit 0
fi
command -v nvcc >/dev/null || { echo "all.sh: nvcc is not on the PATH" >&2; exit 1; }
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader

includes=(-I "$root/include" -I "$root/tests" -I "$packages/include" -I "$packages/include/eigen3" -I /usr/include/eigen3)
cxx=(${CXX:-g++} -std=c++20 -O2 -fopenmp "${includes[@]}")
cuda=$(dirname "$(dirname "$(command -v nvcc)")")
libraries=(-L "$packages/lib" -L "$cuda/lib64" -L "$cuda/targets/x86_64-linux/lib" -lcudart -ldl)
architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
echo "== compiling for sm_$architecture"
nvcc -std=c++20 -O3 --expt-relaxed-constexpr -diag-suppress 554 -arch="sm_$architecture" -I "$root/include" \
  -c "$root/include/graft/backends/cuda/kernels.cu" -o "$build/kernels.o" &
"${cxx[@]}" -O1 -c "$root/tests/device/device_test.cpp" -o "$build/device_test.o" &
"${cxx[@]}" -c "$root/benchmarks/cuda/step_bench.cpp" -o "$build/step_bench.o" &
wait
"${cxx[@]}" "$build/device_test.o" "$build/kernels.o" "${libraries[@]}" -lCatch2WithMain -o "$build/device_tests"
"${cxx[@]}" "$build/step_bench.o" "$build/kernels.o" "${libraries[@]}" -lbenchmark -lbenchmark_main -lpthread -o "$build/step_bench"
export LD_LIBRARY_PATH="$cuda/lib64:${LD_LIBRARY_PATH:-}"

failed=0
echo "== tests"
"$build/device_tests" || failed=1
for tool in memcheck racecheck initcheck; do
  echo "== compute-sanitizer $tool"
  timeout 100 compute-sanitizer --tool "$tool" --error-exitcode 9 "$build/device_tests" \
    "a CUDA device does what Reference specifies" >"$build/$tool.log" 2>&1 || { failed=1; tail -n 20 "$build/$tool.log"; }
done
echo "== steps"
for model in $models; do
  GRAFT_BENCH_MODEL=$model "$build/step_bench" --benchmark_out="$build/steps-$model.json" --benchmark_out_format=json
done
join
exit $failed
