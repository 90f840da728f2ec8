# SPDX-License-Identifier: Apache-2.0
"""expect_failure.py FILE COMPILER FLAG...: passes when FILE does not compile and its first line `// expect: REGEX`
matches within the first 20 lines of what the compiler says."""
import re
import subprocess
import sys

source, *command = sys.argv[1:]
with open(source, encoding="utf-8") as file:
    first = file.readline()
expected = re.fullmatch(r"// expect: (.+)\n", first)
if not expected:
    sys.exit(f"{source}: the first line must read '// expect: REGEX'")
compiled = subprocess.run([*command, source], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
said = "\n".join(compiled.stdout.replace(source, "FILE").splitlines()[:20])  # a name of a file proves nothing
if compiled.returncode == 0:
    sys.exit(f"{source}: it compiled")
if not re.search(expected[1], said):
    sys.exit(f"{source}: not within the first 20 lines: {expected[1]}\n{said}")
