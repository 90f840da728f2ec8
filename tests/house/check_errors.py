# SPDX-License-Identifier: Apache-2.0
"""Each error id has a row (cause and cure) in docs/errors.md and a test that provokes it; no row is left over."""
import re

import house

ID = re.compile(r'"((?:shape|io|text|train|model|adapter|cuda)\.\d{3})"')

root = house.arguments().root
ids = {}
sources = house.headers(root)
for header in sources:
    for name in ID.findall(header.text):
        ids.setdefault(name, header.name)
for path in sorted((root / "examples" / "graft").glob("*.?pp")):
    for name in ID.findall(path.read_text(encoding="utf-8")):
        ids.setdefault(name, path.relative_to(root).as_posix())
page = root / "docs" / "errors.md"
rows = set(re.findall(r"^\| `?([a-z]+\.\d{3})`? \|", page.read_text(encoding="utf-8") if page.exists() else "", re.MULTILINE))
tests = "".join(
    path.read_text(encoding="utf-8") for path in (root / "tests").rglob("*") if path.suffix in (".cpp", ".hpp", ".py")
    and "house" not in path.relative_to(root).parts)
findings = []
for name, where in sorted(ids.items()):
    if name not in rows:
        findings.append(f"{where}: {name} has no row in docs/errors.md")
    if name not in tests:
        findings.append(f"{where}: {name} is provoked by no test")
findings += [f"docs/errors.md: nothing throws {name}" for name in sorted(rows - ids.keys())]
house.report(findings, f"{len(ids)} errors explained and provoked")
