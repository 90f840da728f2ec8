# SPDX-License-Identifier: Apache-2.0
"""one_line.py ROOT COMPILER EIGEN INSTALLED: the README's first ```cpp block (INSTALLED/readme.cpp) compiles and links by one
line without CMake, OpenMP, oneDNN, PCRE2 or xtensor, what it includes reaches none of them, and it trains as
INSTALLED/build/readme does, the same program built with CMake from an installed graft."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

root, compiler, eigen, installed = sys.argv[1:]
source = pathlib.Path(installed, "readme.cpp")
with tempfile.TemporaryDirectory() as folder:
    line = [compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-I", "include", "-I", eigen]
    rules = pathlib.Path(folder, "readme.d")
    done = subprocess.run([*line, "-MD", "-MF", rules, source, "-o", pathlib.Path(folder, "readme")], cwd=root)
    if done.returncode != 0:
        sys.exit(f"not compiled: {' '.join(line)} readme.cpp -o readme")
    reached = re.findall(r"\S*/(?:omp\.h|pcre2\.h|oneapi/\S+|xtensor/\S+)", rules.read_text(encoding="utf-8"))
    if reached:
        sys.exit(f"the README's program reaches {', '.join(sorted(set(reached)))}")

    data = pathlib.Path(folder, "data.jsonl")
    with data.open("w", encoding="utf-8") as file:
        for length in (5, 9):
            ids = [(7 * i + length) % 131 for i in range(length)]
            file.write(json.dumps({"input_ids": ids, "labels": [-100, -100, *ids[2:]]}) + "\n")
    model = pathlib.Path(root, "tests/golden/models/llama-gqa")
    losses = []
    for program in (pathlib.Path(folder, "readme"), pathlib.Path(installed, "build/readme")):
        done = subprocess.run([program, model, data], check=True, capture_output=True, text=True)
        losses.append([float(line) for line in done.stdout.split()])
    if len(losses[0]) != 10 or not losses[0][-1] < losses[0][0]:
        sys.exit(f"the README's program does not learn: {losses[0]}")
    if len(losses[1]) != 10 or not all(abs(a - b) <= 1e-3 * b for a, b in zip(*losses)):
        sys.exit(f"built by one line it gives {losses[0]}, built with CMake {losses[1]}")
print("compiled by: " + " ".join(line) + " readme.cpp -o readme")
