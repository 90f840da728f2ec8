# SPDX-License-Identifier: Apache-2.0
"""Every source file begins with its licence (after #! or `// expect:`)."""
import house

LINE = "SPDX-License-Identifier: Apache-2.0"
SUFFIXES = {".hpp", ".inl", ".cuh", ".cu", ".cpp", ".py", ".sh", ".cmake"}

root = house.arguments().root
files = [root / "CMakeLists.txt"]
for folder in ("include", "tests", "examples", "benchmarks", "cmake"):
    files += [path for path in (root / folder).rglob("*") if path.suffix in SUFFIXES or path.name == "CMakeLists.txt"]
findings = []
for path in sorted(files):
    lines = path.read_text(encoding="utf-8").splitlines()[:2]
    skipped = lines[1:] if lines and lines[0].startswith(("#!", "// expect:")) else lines
    if not skipped or LINE not in skipped[0]:
        findings.append(f"{path.relative_to(root)}: the first line lacks {LINE}")
house.report(findings, f"{len(files)} files name their licence")
