# SPDX-License-Identifier: Apache-2.0
"""graft.hpp includes every header that Eigen and nlohmann/json suffice for, in order; --update writes it."""
import house

OPTIONAL = ("xtensor/", "pcre2.h", "zip.h", "oneapi/", "mpi.h", "cuda")  # what reaches these is included by those who want it

options = house.arguments("--update")
by_name = {header.name: header for header in house.headers(options.root)}
wanted = [
    name for name, header in by_name.items()
    if name.endswith(".hpp") and name != "graft.hpp" and not any(f.startswith(OPTIONAL) for f in house.reach(header, by_name))
]
wanted.sort(key=lambda name: ("/" in name, name))
text = (
    "// SPDX-License-Identifier: Apache-2.0\n"
    "// Everything that needs Eigen and nlohmann/json only; PCRE2, libzip, oneDNN, MPI and xtensor enter by their own doors.\n"
    "// Written by tests/house/check_umbrella.py --update.\n"
    "#pragma once\n\n" + "".join(f"#include <graft/{name}>\n" for name in wanted))
umbrella = options.root / "include" / "graft" / "graft.hpp"
if options.update:
    umbrella.write_text(text, encoding="utf-8")
present = house.Header(umbrella.parent, umbrella).own if umbrella.exists() else []
findings = [f"graft.hpp lacks {name}" for name in wanted if name not in present]
findings += [f"graft.hpp must not include {name}" for name in present if name not in wanted]
house.report(findings, f"graft.hpp includes {len(wanted)} headers")
