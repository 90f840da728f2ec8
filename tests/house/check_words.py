# SPDX-License-Identifier: Apache-2.0
"""Each static_assert that speaks to a user has a case in tests/compile/fail that expects its words."""
import re

import house

ASSERTION = re.compile(r'static_assert\s*\(.*?\)\s*;', re.DOTALL)
LITERAL = r'"((?:\\.|[^"\\\n])*)"'
LITERALS = re.compile(rf"(?:{LITERAL}\s*)+\)\s*;$")
EXEMPT = {"graft::io: files are little-endian and read as they are"}  # only another machine provokes it

root = house.arguments().root
expected = []
for case in sorted((root / "tests" / "compile" / "fail").glob("*.cpp")):
    expected.append(case.read_text(encoding="utf-8").splitlines()[0].removeprefix("// expect: "))
findings, count = [], 0
for header in house.headers(root):
    for assertion in ASSERTION.findall(header.text):
        message = LITERALS.search(assertion)
        if not message:
            continue  # a concept and its model, checked where the concept stands
        words = "".join(re.findall(LITERAL, message[0]))
        count += 1
        if words not in EXEMPT and not any(re.search(regex, words) for regex in expected):
            findings.append(f'{header.name}: no compile-fail case expects "{words}"')
house.report(findings, f"{count} messages of static_assert are expected by a case")
