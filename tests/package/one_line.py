# SPDX-License-Identifier: Apache-2.0
"""one_line.py ROOT COMPILER EIGEN: the README's first ```cpp block compiles and links by one line without CMake, OpenMP,
oneDNN, PCRE2 or xtensor, and what it includes reaches none of them."""
import pathlib
import re
import subprocess
import sys
import tempfile

root, compiler, eigen = sys.argv[1:]
readme = pathlib.Path(root, "README.md")
block = re.search(r"^```cpp\n(.*?)^```", readme.read_text(encoding="utf-8") if readme.exists() else "", re.DOTALL | re.MULTILINE)
if not block:
    sys.exit(f"{readme}: no ```cpp block, hence no program to compile")

with tempfile.TemporaryDirectory() as folder:
    source = pathlib.Path(folder, "readme.cpp")
    source.write_text(block[1], encoding="utf-8")
    line = [compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", "-I", "include", "-I", eigen]
    rules = pathlib.Path(folder, "readme.d")
    done = subprocess.run([*line, "-MD", "-MF", rules, source, "-o", pathlib.Path(folder, "readme")], cwd=root)
    if done.returncode != 0:
        sys.exit(f"not compiled: {' '.join(line)} readme.cpp -o readme")
    reached = re.findall(r"\S*/(?:omp\.h|pcre2\.h|oneapi/\S+|xtensor/\S+)", rules.read_text(encoding="utf-8"))
    if reached:
        sys.exit(f"the README's program reaches {', '.join(sorted(set(reached)))}")
print("compiled by: " + " ".join(line) + " readme.cpp -o readme")
