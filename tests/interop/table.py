# SPDX-License-Identifier: Apache-2.0
"""The rows that the checks in this folder print, and the program that they drive."""
import pathlib
import subprocess
import sys
import tempfile

import numpy
from safetensors.numpy import load_file, save_file

failed = False


def row(what, peer, case, worst, tolerance):
    """One line of the table; `worst` is a difference, or an exception."""
    global failed
    good = isinstance(worst, float) and worst <= tolerance
    failed |= not good
    shown = f"{worst:.1e}" if isinstance(worst, float) else str(worst).replace("\n", " ").replace("|", "/")[:120]
    print(f"| {what} | {peer} | {case} | {shown} | {tolerance:.0e} | {'pass' if good else 'FAIL'} |", flush=True)


def difference(found, expected):
    """The largest, relative to the largest entry."""
    found, expected = numpy.asarray(found, dtype=numpy.float64), numpy.asarray(expected, dtype=numpy.float64)
    return float(abs(found - expected).max() / abs(expected).max())


def golden_batch(base):
    """Sequences of token ids, and the file that roundtrip takes them from: a prompt is a whole sequence."""
    inputs = load_file(base / "io.safetensors")
    offsets = inputs["offsets"]
    file = pathlib.Path(tempfile.mkdtemp()) / "ids.safetensors"
    save_file({"input_ids": inputs["input_ids"], "offsets": offsets, "prompts": offsets[1:] - offsets[:-1]}, file)
    return [inputs["input_ids"][a:b] for a, b in zip(offsets, offsets[1:])], file


def roundtrip(program, model, adapter, *, positions=None, write=None, ids=None):
    """Runs roundtrip.cpp; write=(format, folder). The logits of `ids`, where they were asked for."""
    with tempfile.TemporaryDirectory() as folder:
        logits = pathlib.Path(folder) / "logits.npy"
        words = [program, model, adapter]
        words += [f"positions={positions}"] if positions else []
        words += [f"write={write[0]}:{write[1]}"] if write else []
        words += [f"logits={ids}:{logits}"] if ids else []
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return numpy.load(logits) if ids else None


def finish():
    sys.exit(failed)
