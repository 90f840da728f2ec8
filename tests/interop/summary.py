# SPDX-License-Identifier: Apache-2.0
"""The table of docs/interop.md from that of run.sh: summary.py TABLE. A line for each group of cases, the worst difference of each model."""
import collections
import re
import sys

groups = collections.defaultdict(lambda: collections.defaultdict(list))
for line in open(sys.argv[1]).readlines()[2:]:
    what, peer, _, model, difference, tolerance, result = (text.strip() for text in line.split("|")[1:-1])
    groups[what, peer, tolerance]["SmolLM2" if model == "SmolLM2" else "tiny"].append((difference, result))


def cell(rows):
    """So many cases, and the worst of their differences; what failed or was left out."""
    worst = [float(number) for text, result in rows if result != "left out" for number in re.findall(r"\b\d\.\de[-+]\d\d\b", text)]
    ran = sum(result != "left out" for _, result in rows)
    text = f"{ran}: {max(worst):.1e}" if worst else "-"
    failed = sum(result == "FAIL" for _, result in rows)
    text += f", {failed} FAILED" if failed else ""
    reasons = collections.Counter(reason for reason, result in rows if result == "left out")
    return text + "".join(f"; {count} left out: {reason}" for reason, count in reasons.items())


print("| what | peer | tiny models | SmolLM2-135M-Instruct | tolerance |\n|---|---|---|---|---|")
for (what, peer, tolerance), of_model in groups.items():
    print(f"| {what} | {peer} | {cell(of_model['tiny'])} | {cell(of_model['SmolLM2'])} | {tolerance} |")
