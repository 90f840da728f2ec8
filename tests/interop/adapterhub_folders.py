# SPDX-License-Identifier: Apache-2.0
"""graft reads the ReFTs of AdapterHub: adapterhub_folders.py PROGRAM GOLDEN, in an environment with adapters.

PROGRAM is roundtrip, GOLDEN the folder tests/golden. adapters loads each folder of GOLDEN/adapterhub, and graft's fp32 logits are
held against its own; "subtract_projection", which adapters forgets to save, is written into the configuration that both read.
"""
import json
import logging
import pathlib
import shutil
import sys
import tempfile
import warnings

import adapters
import torch
import transformers
from safetensors.numpy import load_file

import table

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
program, golden = sys.argv[1], pathlib.Path(sys.argv[2])
base = golden / "models/llama-gqa"
sequences, ids = table.golden_batch(base)
peer = f"adapters {adapters.__version__}, transformers {transformers.__version__}"
tolerance = 2e-5  # fp32, golden/README.md


def logits_of(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager")
    adapters.init(model)
    model.set_active_adapters(model.load_adapter(str(folder), use_safetensors=(folder / "adapter.safetensors").exists()))
    model.eval()
    with torch.no_grad():
        return torch.cat([model(torch.tensor(ids)[None]).logits[0] for ids in sequences]).numpy()


for folder in sorted(path.parent for path in (golden / "adapterhub").glob("*/adapter_config.json")):
    with tempfile.TemporaryDirectory() as temporary:
        copy = pathlib.Path(temporary) / folder.name
        shutil.copytree(folder, copy)
        config = json.loads((copy / "adapter_config.json").read_text())
        config["config"]["subtract_projection"] = not folder.name.startswith("direft")
        (copy / "adapter_config.json").write_text(json.dumps(config))
        try:
            if folder.name.startswith("direft"):  # adapters loads its own DiReFT as a NoReFT: its logits are those before it saved
                expected, case = load_file(folder / "io.safetensors")["logits"], f"{folder.name}, beside adapters' logits before it saved"
            else:
                expected, case = logits_of(copy), folder.name
            worst = table.difference(table.roundtrip(program, base, copy, ids=ids), expected)
        except Exception as error:  # a row of the table, whatever it was
            worst, case = error, folder.name
        table.row("AdapterHub ReFT, read", peer, case, worst, tolerance)
table.finish()
