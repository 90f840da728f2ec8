# SPDX-License-Identifier: Apache-2.0
"""What the house checks share: the headers of the tree, their includes, and how a finding is reported."""
import argparse
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def arguments(*flags):
    """--root and --compiler as CTest gives them, and the flags of one check."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--compiler", default="g++")
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    return parser.parse_args()


class Header:
    """One file under include/graft: `name` as it is included ("core/view.hpp"), `text`, `includes` without <>."""

    def __init__(self, base, path):
        self.name = path.relative_to(base).as_posix()
        self.text = path.read_text(encoding="utf-8")
        self.lines = self.text.count("\n")
        found = INCLUDE.findall(self.text)
        self.quoted = [name for mark, name in found if mark == '"']
        self.includes = [name for mark, name in found if mark == "<"]
        self.own = [name.removeprefix("graft/") for name in self.includes if name.startswith("graft/")]
        self.foreign = [name for name in self.includes if not name.startswith("graft/")]


def headers(root, *suffixes):
    """Every file of ours under include/graft that ends in one of the suffixes (all of them by default)."""
    base = root / "include" / "graft"
    wanted = suffixes or (".hpp", ".inl", ".cuh", ".cu")
    return [Header(base, path) for path in sorted(base.rglob("*")) if path.suffix in wanted]


def reach(header, by_name):
    """All foreign includes that `header` brings in, through our own headers too."""
    seen, todo, foreign = set(), [header.name], set()
    while todo:
        name = todo.pop()
        if name in seen or name not in by_name:
            continue
        seen.add(name)
        foreign.update(by_name[name].foreign)
        todo.extend(by_name[name].own)
    return foreign


def without_comments(text):
    """The code alone, string literals emptied."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r'"(\\.|[^"\\\n])*"', '""', text)
    return re.sub(r"//[^\n]*", "", text)


def report(findings, summary):
    """Prints the findings and ends with 1, or prints the summary."""
    if findings:
        print("\n".join(findings))
        sys.exit(1)
    print(summary)
