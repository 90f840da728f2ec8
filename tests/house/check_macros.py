# SPDX-License-Identifier: Apache-2.0
"""At most 15 macros, all called GRAFT_..., all in base/config.hpp (the version's in version.hpp)."""
import re

import house

MOST = 15
HOMES = {"base/config.hpp", "version.hpp"}
DEMANDED = {("text/pcre2.hpp", "PCRE2_CODE_UNIT_WIDTH")}  # without it <pcre2.h> does not compile

names, findings = set(), []
for header in house.headers(house.arguments().root):
    for name in re.findall(r"^\s*#\s*define\s+(\w+)", header.text, re.MULTILINE):
        if (header.name, name) in DEMANDED:
            continue
        names.add(name)
        if header.name not in HOMES:
            findings.append(f"{header.name}: defines {name}; the home of macros is base/config.hpp")
        if not re.fullmatch(r"GRAFT_[A-Z0-9_]+", name):
            findings.append(f"{header.name}: the macro {name} is not called GRAFT_...")
if len(names) > MOST:
    findings.append(f"{len(names)} macros, {MOST} are allowed")
house.report(findings, f"{len(names)} macros")
