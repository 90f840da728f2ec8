# SPDX-License-Identifier: Apache-2.0
"""Each check finds the mistake it is there for: a small tree with one mistake in it must fail in these words."""
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
GOOD = {
    "CMakeLists.txt": "# SPDX-License-Identifier: Apache-2.0\n",
    "include/graft/graft.hpp": SPDX + "#pragma once\n#include <graft/core/view.hpp>\n#include <graft/ops/gemm.hpp>\n",
    "include/graft/core/view.hpp": SPDX + "#pragma once\n#include <vector>\n",
    "include/graft/ops/gemm.hpp": SPDX + "#pragma once\n#include <graft/core/view.hpp>\n",
    "tests/core/view_test.cpp": SPDX,
    "tests/ops/gemm_test.cpp": SPDX,
    "README.md": "# graft\n",
    "CHANGELOG.md": "# Changelog\n",
    "docs/adapters/methods.md": "# All methods\n",
    **{f"docs/{name}": (DOCS / name).read_text(encoding="utf-8") for name in ("Doxyfile", "api.sed", "namespaces.dox")},
}
GEMM = "include/graft/ops/gemm.hpp"
MISTAKES = [  # check, file, what is appended to it (None: the file is removed), words of the finding
    ("floors", "include/graft/core/view.hpp", "#include <graft/ops/gemm.hpp>\n", "climbs"),
    ("floors", GEMM, "#include <graft/io/json.hpp>\n", "crosses"),
    ("floors", GEMM, '#include "view.hpp"\n', "the form is"),
    ("floors", GEMM, "#include <graft/graft.hpp>\n", "for programs only"),
    ("floors", "include/graft/attic/x.hpp", SPDX, "has no floor"),
    ("mirror", "tests/ops/gemm_test.cpp", None, "has no tests/ops/gemm_test.cpp"),
    ("mirror", "include/graft/backend.hpp", SPDX, "has no tests/concepts/backend_test.cpp"),
    ("umbrella", "include/graft/core/bf16.hpp", SPDX, "graft.hpp lacks core/bf16.hpp"),
    ("umbrella", "include/graft/graft.hpp", None, "graft.hpp lacks core/view.hpp"),
    ("umbrella", GEMM, "#include <pcre2.h>\n", "must not include ops/gemm.hpp"),
    ("licence", "tests/support/x.hpp", "int x;\n", "lacks SPDX"),
    ("size", GEMM, "\n" * 400, "403 lines"),
    ("macros", GEMM, "#define GRAFT_X\n", "the home of macros"),
    ("macros", "include/graft/base/config.hpp", "#define X\n", "not called GRAFT_"),
    ("macros", "include/graft/base/config.hpp", "".join(f"#define GRAFT_{i}\n" for i in range(16)), "16 macros"),
    ("doors", GEMM, "#include <Eigen/Core>\n", "its door is"),
    ("doors", GEMM, "#include <boost/any.hpp>\n", "no door is known"),
    ("errors", GEMM, 'inline void f() { fail("shape.100", ""); }\n', "shape.100 has no row"),
    ("errors", GEMM, 'inline void f() { fail("shape.100", ""); }\n', "shape.100 is provoked by no test"),
    ("errors", "docs/errors.md", "| shape.100 | cause | cure |\n", "nothing throws shape.100"),
    ("api", GEMM, "namespace graft::ops {\nvoid f();\n}\n", "f() (function) of namespace graft::ops is not documented"),
    ("api", GEMM, "namespace graft {\nstruct X {\n  int a, b;  // both\n};\n}\n", "Compound graft::X is not documented"),
    ("api", GEMM, "namespace graft {\n/// As \\quick does.\nstruct X {};\n}\n", "unknown command"),
    ("api", GEMM, "namespace graft {\ntemplate <class T>\nconcept x = true;\n}\n", "concept graft::x has no sentence"),
    ("api", GEMM, "namespace graft::attic {\nvoid f();\n}\n", "namespace graft::attic has no sentence"),
    ("pages", "docs/a.md", "```cpp\nint x = 1;\n```\n", "compiled nowhere: int x = 1;"),
    ("pages", "docs/a.md", "`graft/core/none.hpp`\n", "names graft/core/none.hpp"),
    ("pages", "docs/a.md", "[b](b.md)\n", "links to b.md"),
    ("methods", "include/graft/adapters/x.hpp", "using Own = X<2>;\n", "has no row of `Own`"),
    ("methods", "include/graft/adapters/x.hpp", "struct X {\n  class Module {};\n};\n", "does not name `X`"),
    ("words", GEMM, 'static_assert(sizeof(int) == 4, "gemm: int "\n  "is wide");\n', 'expects "gemm: int is wide"'),
    ("forbidden", GEMM, "#include <iostream>\n", "<iostream>"),
    ("forbidden", GEMM, "struct X { virtual void f(); };\n", "virtual"),
    ("forbidden", GEMM, "// TODO\n", "TODO"),
    ("forbidden", "include/graft/core/io_utils.hpp", SPDX + "#pragma once\n", "does not say what it does"),
]


def run(check, changes):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {**GOOD, **changes}.items():
            if text is not None:
                path = pathlib.Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        command = [sys.executable, HERE / f"check_{check}.py", "--root", folder]
        return subprocess.run(command, capture_output=True, text=True)


findings, skipped = [], set()
for check in sorted({mistake[0] for mistake in MISTAKES}):
    done = run(check, {})
    if done.returncode == 77:  # the check itself says what it lacks
        skipped.add(check)
    elif done.returncode != 0:
        findings.append(f"{check}: a tree without mistakes fails:\n{done.stdout}{done.stderr}")
tried = [mistake for mistake in MISTAKES if mistake[0] not in skipped]
for check, file, extra, words in tried:
    done = run(check, {file: None if extra is None else GOOD.get(file, "") + extra})
    if done.returncode != 1 or words not in done.stdout:
        findings.append(f"{check}: '{words}' expected for {file}, got {done.returncode}:\n{done.stdout}{done.stderr}")
if findings:
    sys.exit("\n".join(findings))
print(f"{len(tried)} mistakes found")
