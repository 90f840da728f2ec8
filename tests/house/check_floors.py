# SPDX-License-Identifier: Apache-2.0
"""A header includes lower floors, or its own family; two families on one floor do not see each other. Device code sees base,
core, and the formulas of ops."""
import house

FLOORS = {
    "base": 0, "core": 1, "ops": 2, "linalg": 2, "interop": 2, "io": 2, "backend": 3, "text": 3,
    "layer": 4, "adapter": 4, "optimizer": 4, "schedule": 4, "model": 5, "interchange": 6, "train": 6,
}
PLURALS = {name + "s": name for name in ("backend", "layer", "adapter", "optimizer", "schedule", "model")}
ROOF = {"graft.hpp", "version.hpp"}  # they see everything (or nothing), and no header of ours includes them


def family(name):
    first = name.split("/")[0].removesuffix(".hpp")
    return PLURALS.get(first, first)


findings = []
for header in house.headers(house.arguments().root):
    for name in header.quoted:
        findings.append(f'{header.name}: includes "{name}"; the form is <graft/...>')
    if header.name in ROOF:
        continue
    mine = family(header.name)
    if mine not in FLOORS:
        findings.append(f"{header.name}: '{mine}' has no floor in {__file__}")
        continue
    device = header.name.endswith((".cuh", ".cu"))
    for name in header.own:
        theirs = family(name)
        if name in ROOF:
            findings.append(f"{header.name}: includes {name}, which is for programs only")
        elif theirs not in FLOORS:
            findings.append(f"{header.name}: includes {name}, which has no floor")
        elif device and FLOORS[theirs] > 1 and theirs not in (mine, "ops"):
            findings.append(f"{header.name}: device code includes {name} above floor 1, which is not of ops")
        elif FLOORS[theirs] > FLOORS[mine]:
            findings.append(f"{header.name} (floor {FLOORS[mine]}) climbs to {name} (floor {FLOORS[theirs]})")
        elif FLOORS[theirs] == FLOORS[mine] and theirs != mine:
            findings.append(f"{header.name} crosses to {name} on its own floor {FLOORS[mine]}")
house.report(findings, "every include goes down")
