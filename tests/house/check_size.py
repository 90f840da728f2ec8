# SPDX-License-Identifier: Apache-2.0
"""One idea a header: none over 400 lines, the median at most 120."""
import statistics

import house

LONGEST, MEDIAN = 400, 120

found = house.headers(house.arguments().root)
findings = [f"{header.name}: {header.lines} lines, {LONGEST} are allowed" for header in found if header.lines > LONGEST]
median = statistics.median(header.lines for header in found)
if median > MEDIAN:
    findings.append(f"the median header has {median} lines, {MEDIAN} are allowed")
house.report(findings, f"{len(found)} headers, median {median} lines, longest {max(header.lines for header in found)}")
