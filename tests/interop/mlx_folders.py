# SPDX-License-Identifier: Apache-2.0
"""mlx-lm and graft read each other's folders: mlx_folders.py PROGRAM GOLDEN, in an environment with mlx[cpu] and mlx-lm.

PROGRAM is roundtrip, GOLDEN the folder tests/golden. graft's fp32 logits on mlx-lm's folders, and mlx-lm's fp32 logits on what
graft writes of these and of PEFT's folders, are held against the golden ones.
"""
import pathlib
import sys
import tempfile

import mlx.core as mx
import mlx_lm
import numpy
from importlib.metadata import version
from mlx_lm.tuner.utils import load_adapters
from mlx_lm.utils import load_model
from safetensors.numpy import load_file

import table

mx.set_default_device(mx.cpu)
program, golden = sys.argv[1], pathlib.Path(sys.argv[2])
base = golden / "models/llama-gqa"
sequences, ids = table.golden_batch(base)
peer = f"mlx-lm {mlx_lm.__version__}, mlx {version('mlx')}"
tolerance = 2e-5  # fp32, golden/README.md


def logits_of(folder):
    model = load_adapters(load_model(base)[0], str(folder))
    model.eval()
    return numpy.concatenate([numpy.array(model(mx.array(ids.astype(numpy.int32))[None])[0]) for ids in sequences])


def check(what, case, expected, run):
    try:
        worst = table.difference(run(), expected)
    except Exception as error:  # a row of the table, whatever it was
        worst = error
    table.row(what, peer, case, worst, tolerance)


def written(adapter):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        table.roundtrip(program, base, adapter, write=("mlx", out))
        return logits_of(out)


for case in ("lora", "dora", "paths"):
    folder = golden / "mlx" / case
    expected = load_file(folder / "io.safetensors")["logits"]
    check("mlx-lm folders, read", case, expected, lambda: table.roundtrip(program, base, folder, ids=ids))
    check("mlx-lm folders, written", case, expected, lambda: written(folder))
for case in ("lora", "lora-all", "lora-rank-pattern", "lora-rs", "lora-layers", "pmss/lora", "pissa/converted"):
    folder = golden / "adapters" / case
    expected = load_file((folder if (folder / "io.safetensors").exists() else folder.parent) / "io.safetensors")["logits"]
    check("mlx-lm folders, written", f"PEFT's {case}", expected, lambda: written(folder))
table.finish()
