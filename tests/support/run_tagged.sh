#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run_tagged.sh "shared real" COMMAND...: runs the command where the data it needs is present, else says what is absent
# and ends with 77, which CTest reports as skipped (or, with GRAFT_REAL, as failed).
# run_tagged.sh device COMMAND...: likewise where there is a CUDA device.
# run_tagged.sh avx2 COMMAND...: runs it with the instruction sets of that level only, where the processor has more.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
needs=$1
shift
for need in $needs; do
  case $need in
    shared)
      if [ ! -d "$root/../shared" ]; then
        echo "skipped: $root/../shared is absent"
        exit 77
      fi
      ;;
    real)
      export GRAFT_SMOLLM2="${GRAFT_SMOLLM2:-$root/build/models/SmolLM2-135M-Instruct.Q4_1.gguf}"
      if [ ! -f "$GRAFT_SMOLLM2" ]; then
        echo "skipped: $GRAFT_SMOLLM2 is absent (examples/get_smollm2.sh fetches it)"
        exit 77
      fi
      ;;
    device)
      if [ ! -e /dev/nvidia0 ]; then
        echo "skipped: this machine has no CUDA device"
        exit 77
      fi
      ;;
    *)
      above=$(case $need in baseline) echo avx2 ;; avx2) echo avx512f ;; avx512) echo avx512_bf16 ;; *) echo amx_bf16 ;; esac)
      if ! grep -qw "$above" /proc/cpuinfo; then
        echo "skipped: the processor has no $above, so $need is its best or beyond it"
        exit 77
      fi
      export GRAFT_ISA=$need
      ;;
  esac
done
exec "$@"
