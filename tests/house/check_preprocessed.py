# SPDX-License-Identifier: Apache-2.0
"""Lines of each header after the preprocessor, against preprocessed_lines.json: +10 % fails; --update writes the table."""
import concurrent.futures
import json
import pathlib
import platform
import subprocess
import sys

import house

ALLOWED = 1.10
ABSOLUTE = 500  # lines that a header may grow by whatever its size

options = house.arguments("--update")
table_path = pathlib.Path(__file__).with_name("preprocessed_lines.json")
table = json.loads(table_path.read_text(encoding="utf-8")) if table_path.exists() else {"compiler": "", "lines": {}}
version = subprocess.run([options.compiler, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
version = version.split(" ", 1)[1]  # without the name it was called by
if not options.update and version != table["compiler"]:
    print(f"skipped: the table counts for '{table['compiler']}', this is '{version}'")
    sys.exit(77)


def count(header):
    """Lines that reach the compiler: neither blank nor a line marker."""
    command = [options.compiler, "-std=c++20", "-E", "-x", "c++", f"-I{options.root / 'include'}", "-I/usr/include/eigen3",
               f"-I/usr/include/{platform.machine()}-linux-gnu/mpi",
               options.root / "include" / "graft" / header.name]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return header.name, None, done.stderr
    return header.name, sum(1 for line in done.stdout.splitlines() if line.strip() and not line.startswith("#")), ""


with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
    counted = list(pool.map(count, house.headers(options.root, ".hpp")))

findings = []
for name, lines, error in counted:
    known = table["lines"].get(name)
    if lines is None:
        findings.append(f"{name}: does not preprocess\n{error}")
    elif options.update:
        continue
    elif known is None:
        print(f"new: {name}, {lines} lines")
    elif lines > known * ALLOWED and lines > known + ABSOLUTE:
        findings.append(f"{name}: {lines} lines after the preprocessor, {known} in the table; "
                        f"say why in the commit and run {sys.argv[0]} --update")
if options.update and not findings:
    table = {"compiler": version, "lines": {name: lines for name, lines, _ in counted}}
    table_path.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
house.report(findings, f"{len(counted)} headers counted")
