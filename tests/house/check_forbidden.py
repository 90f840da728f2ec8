# SPDX-License-Identifier: Apache-2.0
"""What does not belong in include/: dear headers, virtual functions, using namespace, dead code, vague names."""
import re

import house

INCLUDES = {"iostream", "ranges", "regex", "filesystem", "functional"}
WORDS = {
    r"\bvirtual\b": "a virtual function",
    r"\busing\s+namespace\b": "using namespace",
    r"\benable_if": "enable_if (use a concept)",
    r"\bvoid_t\b": "void_t (use a concept)",
    r"^\s*#\s*if\s+0\b": "#if 0",
    r"\basm\b": "inline assembly",
}
NAMES = re.compile(r"(^|_)(fast|optimized|helper|helpers|util|utils|manager|impl2)(_|\.|$)")

findings = []
for header in house.headers(house.arguments().root):
    for name in INCLUDES.intersection(header.includes):
        findings.append(f"{header.name}: includes <{name}>")
    code = house.without_comments(header.text)
    for pattern, what in WORDS.items():
        if re.search(pattern, code, re.MULTILINE):
            findings.append(f"{header.name}: {what}")
    if re.search(r"\b(TODO|FIXME|XXX)\b", header.text):
        findings.append(f"{header.name}: TODO")
    if header.name.endswith(".hpp") and "#pragma once" not in header.text:
        findings.append(f"{header.name}: no #pragma once")
    if header.name.endswith(".inl") and "#pragma once" in header.text:
        findings.append(f"{header.name}: a textual header has no guard, it is included once an instruction set")
    if NAMES.search(header.name.split("/")[-1]):
        findings.append(f"{header.name}: the name does not say what it does")
house.report(findings, "nothing forbidden")
