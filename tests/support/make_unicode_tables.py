#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes include/graft/text/unicode_category.inl and unicode_nfc.inl from Python's unicodedata.

usage: make_unicode_tables.py INCLUDE_GRAFT_TEXT_DIRECTORY

categories: runs over all code points, a letter for the general category, then the run's length in decimal where it is not 1.
nfc: records "delta[!]:first:second" in base 36 (delta to the previous code point of the list; second is absent for a singleton;
"!" marks what is never composed) and combining classes as "delta:length:class".
"""
import sys
import unicodedata

CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcd"
LAST = 0x10FFFF


def base36(n):
    digits = ""
    while True:
        n, r = divmod(n, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[r] + digits
        if n == 0:
            return digits


def write(path, what, text):
    with open(path, "w") as out:
        out.write("// SPDX-License-Identifier: Apache-2.0\n")
        out.write(f"// {what}, Unicode {unicodedata.unidata_version}; written by tests/support/make_unicode_tables.py.\n")
        for start in range(0, len(text), 112):
            out.write(f'"{text[start:start + 112]}"\n')


def categories():
    runs, start = [], 0
    name = [unicodedata.category(chr(c)) for c in range(LAST + 1)] + [""]
    for c in range(1, LAST + 2):
        if name[c] != name[start]:
            n = c - start
            runs.append(LETTERS[CATEGORIES.index(name[start])] + (str(n) if n > 1 else ""))
            start = c
    return "".join(runs)


def decompositions():
    records, last = [], 0
    for c in range(LAST + 1):
        d = unicodedata.decomposition(chr(c))
        if not d or d.startswith("<"):
            continue
        parts = [int(p, 16) for p in d.split()]
        excluded = len(parts) == 2 and unicodedata.normalize("NFC", chr(c)) != chr(c)
        records.append(base36(c - last) + ("!" if excluded else "") + "".join(":" + base36(p) for p in parts))
        last = c
    return ";".join(records)


def classes():
    records, last, c = [], 0, 0
    while c <= LAST:
        k = unicodedata.combining(chr(c))
        n = 1
        if k:
            while unicodedata.combining(chr(c + n)) == k:
                n += 1
            records.append(f"{base36(c - last)}:{base36(n)}:{base36(k)}")
            last = c
        c += n
    return ";".join(records)


folder = sys.argv[1]
write(folder + "/unicode_category.inl", "Runs of general categories", categories())
write(folder + "/unicode_nfc.inl", "Canonical decompositions, then (after a bar) combining classes", decompositions() + "|" + classes())
