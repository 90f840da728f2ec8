# SPDX-License-Identifier: Apache-2.0
"""Code shown in docs/ is code that is compiled: each ```cpp block stands, line for line, in a source of tests/ or examples/;
and each file or header that a page names exists. The README's program is compiled by tests/package/one_line.py."""
import re

import house

BLOCK = re.compile(r"^```cpp\n(.*?)^```", re.DOTALL | re.MULTILINE)
HEADER = re.compile(r"`graft/([a-z0-9_/]+\.hpp)`")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def squeezed(text):
    return "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())


root = house.arguments().root
sources = "\n".join(squeezed(path.read_text(encoding="utf-8"))
                    for folder in ("tests", "examples") for suffix in ("*.cpp", "*.hpp")
                    for path in sorted((root / folder).rglob(suffix)))
findings = []
blocks = 0
for page in sorted((root / "docs").rglob("*.md")):
    text = page.read_text(encoding="utf-8")
    where = page.relative_to(root)
    for code in BLOCK.findall(text):
        blocks += 1
        if squeezed(code) not in sources:
            findings.append(f"{where}: shows code that is compiled nowhere: {squeezed(code).splitlines()[0]}")
    for header in HEADER.findall(text):
        if not (root / "include" / "graft" / header).exists():
            findings.append(f"{where}: names graft/{header}, which does not exist")
    for link in LINK.findall(text):
        if not (page.parent / link).exists():
            findings.append(f"{where}: links to {link}, which does not exist")
house.report(findings, f"{blocks} pieces of code in the pages are compiled")
