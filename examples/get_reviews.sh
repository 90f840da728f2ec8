#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# get_reviews.sh [DIR]: fetches the movie-review snippets inside vaderSentiment 3.3.2 (MIT; Hutto and Gilbert, ICWSM 2014) from
# PyPI and writes reviews_train.jsonl and reviews_heldout.jsonl into DIR (build/data by default): the question whether a
# snippet is positive, answered by the sign of its mean human rating. Does nothing where both files are there.
set -euo pipefail

sha256=5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${1:-$root/build/data}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

say() { echo "get_reviews: $*" >&2; }
if [ -f "$dir/reviews_train.jsonl" ] && [ -f "$dir/reviews_heldout.jsonl" ]; then
  exit 0
fi
if ! python3 -m pip --version >/dev/null 2>&1; then
  say "pip is needed (Debian: apt-get install python3-pip)"
  exit 1
fi

work=$(mktemp -d "$dir/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
say "pip download vadersentiment==3.3.2"
python3 -m pip download --disable-pip-version-check --no-deps --no-binary :all: --dest "$work" vadersentiment==3.3.2 </dev/null >&2
if ! echo "$sha256  $work/vaderSentiment-3.3.2.tar.gz" | sha256sum --check --status; then
  say "the archive has another sha256 than $sha256"
  exit 1
fi
python3 - "$work" <<'PYTHON'
import json
import pathlib
import sys
import tarfile
import zlib

work = pathlib.Path(sys.argv[1])
with tarfile.open(work / "vaderSentiment-3.3.2.tar.gz") as outer:
    inner = outer.extractfile("vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz")
    with tarfile.open(fileobj=inner) as archive:
        table = archive.extractfile("hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt").read().decode("utf-8")
parts = {"train": [], "heldout": []}
for line in sorted(table.splitlines(), key=lambda line: zlib.crc32(line.encode())):  # the file begins with all the good ones
    number, rating, text = line.split("\t")
    if float(rating) == 0:  # 37 of 10,605: neither
        continue
    share = zlib.crc32(number.encode()) / 2**32  # a tenth is held out, whatever else is done with the file
    parts["heldout" if share < 0.1 else "train"].append(
        {"prompt": f"Is this movie review positive or negative?\n{text.strip()}",
         "completion": "positive" if float(rating) > 0 else "negative"})
for name, records in parts.items():
    (work / name).write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    print(f"get_reviews: {len(records)} reviews for {name}", file=sys.stderr)
PYTHON
mv "$work/train" "$dir/reviews_train.jsonl"
mv "$work/heldout" "$dir/reviews_heldout.jsonl"
