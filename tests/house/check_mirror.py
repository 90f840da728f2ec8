# SPDX-License-Identifier: Apache-2.0
"""Each header has its test at the same path; the contract x.hpp may have it at tests/concepts/x_test.cpp."""
import house

EXEMPT = {
    "graft.hpp": "tests/link and tests/package include it",
    "version.hpp": "three numbers, read by CMake",
    "base/config.hpp": "macros only, used by everything",
}

root = house.arguments().root
findings = []
for header in house.headers(root, ".hpp"):
    stem = header.name.removesuffix(".hpp")
    places = [root / "tests" / f"{stem}_test.cpp"]
    if "/" not in stem:
        places = [root / "tests" / "concepts" / f"{stem}_test.cpp"]
    if header.name not in EXEMPT and not any(place.exists() for place in places):
        findings.append(f"include/graft/{header.name} has no {places[0].relative_to(root)}")
house.report(findings, "every header has its test")
