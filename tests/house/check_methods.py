# SPDX-License-Identifier: Apache-2.0
"""Each adapter has its row in docs/adapters/methods.md: every alias, every word of the program's --adapter; and every recipe with
a Module is named there."""
import re

import house

ALIAS = re.compile(r"^using (\w+) =", re.MULTILINE)
RECIPE = re.compile(r"^struct (\w+) \{.*?^\};", re.MULTILINE | re.DOTALL)
KIND = re.compile(r'^    \{"([a-z0-9-]+)", "', re.MULTILINE)

root = house.arguments().root
text = (root / "docs" / "adapters" / "methods.md").read_text(encoding="utf-8")
rows = "\n".join(line for line in text.splitlines() if line.startswith("|"))
aliases, recipes = set(), set()
for header in house.headers(root, ".hpp"):
    if re.fullmatch(r"adapters/\w+\.hpp", header.name):
        aliases.update(ALIAS.findall(header.text))
        recipes.update(recipe[1] for recipe in RECIPE.finditer(header.text) if "\n  class Module" in recipe[0])
engine = root / "examples" / "graft" / "engine.hpp"
words = set(KIND.findall(engine.read_text(encoding="utf-8"))) if engine.exists() else set()
findings = [f"docs/adapters/methods.md has no row of `{name}`" for name in sorted(aliases | words) if f"`{name}`" not in rows]
findings += [f"docs/adapters/methods.md does not name `{name}`" for name in sorted(recipes) if f"`{name}`" not in text]
house.report(findings, f"{len(aliases)} aliases, {len(recipes)} recipes and {len(words)} words of --adapter are in the table")
