# SPDX-License-Identifier: Apache-2.0
"""What the checks in this folder share: the program graft, the models that they run it on, and the rows that they print.

Each is called as NAME.py GRAFT GOLDEN SMOLLM2, where GRAFT is the program, GOLDEN the folder tests/golden, and SMOLLM2 what
run.sh makes of SmolLM2-135M-Instruct: a Hugging Face folder in fp32 with prompts.json beside its files; "-" leaves it out.
Every case runs on a tiny golden model and on SmolLM2, or its cell says why not.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy
from safetensors.numpy import load_file

program, golden = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
smollm2 = None if sys.argv[3] == "-" else pathlib.Path(sys.argv[3]).resolve()
scratch = pathlib.Path(tempfile.mkdtemp(dir=sys.argv[4] if len(sys.argv) > 4 else None))
failed = False

# Logits are compared relative to the largest. Two programs in fp32, each within 2e-5 of double (golden/README.md):
fp32 = 4e-5
# One of them rounds activations to the type of the weights. bf16: golden/README.md, all-bf16; F16 has 3 bits more.
bf16 = 5e-2
f16 = bf16 / 8
# So does it here, with a step of 1/127 of the largest of 32: four times bf16's error (docs/interop.md, Receipts).
q8_0 = 1e-1
# What an adapter must do to the logits for its row to say anything:
effect = 1e-2


class Model:
    """A base model, and the token ids that its logits are compared on."""

    def __init__(self, path, name, sequences, noise):
        self.path, self.name, self.noise = path, name, noise
        self.sequences = [[int(i) for i in ids] for ids in sequences]
        self.is_real = path == smollm2
        self._plain = None

    def data(self, tail):
        """The sequences as records, the last `tail` tokens of each behind its prompt; the file lies outside the model's folder."""
        path = scratch / f"{self.name}-{tail}.jsonl"
        path.write_text("".join(json.dumps({"input_ids": ids, "labels": ids, "prompt_length": max(len(ids) - tail, 0)}) + "\n"
                                for ids in self.sequences))
        return path

    def logits(self, adapter=None, *words, tail=0, path=None):
        """graft's, in fp32, of all tokens of all sequences."""
        out = scratch / "logits.npy"
        given = ["--adapter", adapter] if adapter else []
        graft("eval", "--model", path or self.path, *given, "--data", self.data(tail), "--no-eos", "--dtype", "fp32", "--logits", out, *words)
        return numpy.load(out)

    @property
    def plain(self):
        if self._plain is None:
            self._plain = self.logits()
        return self._plain

    def train(self, *adapters, lr=1e-2, steps=4, tail=2):
        """A folder with adapters that graft trained for some steps."""
        out = fresh("trained")
        words = [word for adapter in adapters for word in ("--adapter", adapter)]
        graft("finetune", "--model", self.path, "--data", self.data(tail), "--no-eos", "--dtype", "fp32", "--lr", lr, "--schedule", "constant",
              "--steps", steps, "--seed", 1, "--samples", 0, "--probe", 0, "--out", out, *words)
        return out

    def export(self, adapter, to, *words, ending=""):
        out = fresh("exported") / f"adapter{ending}"
        out.parent.mkdir()
        graft("export", "--model", self.path, "--adapter", adapter, "--to", to, "--out", out, *words)
        return out

    def merge(self, adapter, dtype, *, gguf=False):
        out = fresh("merged") / ("model.gguf" if gguf else "model")
        out.parent.mkdir()
        graft("merge", "--model", self.path, "--adapter", adapter, "--dtype", dtype, "--out", out)
        return out


def fresh(name):
    """A path that is free until the case ends."""
    (scratch / "case").mkdir(exist_ok=True)
    return pathlib.Path(tempfile.mkdtemp(dir=scratch / "case")) / name


def graft(*words):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"graft {words[0]}: {done.stderr.strip()}")
    return done.stdout


def tiny(name="llama-gqa"):
    inputs = load_file(golden / "models" / name / "io.safetensors")
    offsets = inputs["offsets"]
    return Model(golden / "models" / name, name, [inputs["input_ids"][a:b] for a, b in zip(offsets, offsets[1:])], 0.1)


def real():
    return Model(smollm2, "SmolLM2", json.loads((smollm2 / "prompts.json").read_text()), 0.02)


_models = {}


def model_named(name):
    if name not in _models:
        _models[name] = real() if name == "SmolLM2" else tiny(name)
    return _models[name]


def difference(found, expected):
    """The largest, relative to the largest entry."""
    found, expected = numpy.asarray(found, dtype=numpy.float64), numpy.asarray(expected, dtype=numpy.float64)
    if found.shape != expected.shape:
        raise ValueError(f"{found.shape} logits beside {expected.shape}")
    return float(abs(found - expected).max() / abs(expected).max())


def moved(model, logits):
    """`logits`, which an adapter must have moved."""
    effects = difference(logits, model.plain)
    if not effects >= effect:
        raise ValueError(f"the adapter moves the logits by {effects:.1e} only, so that the row would say nothing")
    return logits


def row(what, peer, case, model, found, tolerance):
    """One line of the table; `found` is {who: difference}, or an exception, or the reason for which nothing was run."""
    global failed
    result = "pass"
    if isinstance(found, dict):
        if not all(value <= tolerance for value in found.values()):
            result = "FAIL"
        found = ", ".join(f"{who} {value:.1e}" for who, value in found.items())
    elif isinstance(found, str):
        result = "left out"
    else:
        result, found = "FAIL", f"{type(found).__name__}: {found}"
    failed |= result == "FAIL"
    shown = found.replace("\n", " ").replace("|", "/")[:300]
    print(f"| {what} | {peer} | {case} | {model} | {shown} | {tolerance:.0e} | {result} |", flush=True)


def check(what, peer, case, run, *, on="llama-gqa", without="", tolerance=fp32):
    """A row for a tiny model and one for SmolLM2: run(model) gives {who: difference}. Where a case has no sense on either,
    `on` is empty or `without` is the reason."""
    for name in [on, "SmolLM2"] if smollm2 else [on]:
        try:
            found = without if not name or (on and without and name == "SmolLM2") else run(model_named(name))
        except Exception as error:  # a row of the table, whatever it was
            found = error
        shutil.rmtree(scratch / "case", ignore_errors=True)  # a merged SmolLM2 is half a gigabyte
        row(what, peer, case, name or "tiny", found, tolerance)


def finish():
    shutil.rmtree(scratch)
    sys.exit(failed)
