# SPDX-License-Identifier: Apache-2.0
"""pyreft loads what graft writes: pyreft_folders.py PROGRAM GOLDEN, in an environment with pyreft, and prints a row a case.

PROGRAM is roundtrip, GOLDEN the folder tests/golden: graft reads each folder that pyreft saved under GOLDEN/reft and
writes it again, pyreft.ReftModel.load reads that, and its logits are held against pyreft's golden ones. pyreft cannot load any
NoReFT or NodiReFT (KeyError add_bias) nor a dotted component of its own; there the state dicts are loaded by hand.
"""
import json
import logging
import pathlib
import sys
import tempfile
import warnings
from importlib.metadata import version

import pyreft
import torch
import transformers
from safetensors.torch import load_file

import table

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)  # pyvene reports that a configuration brings its keys along
program, golden = sys.argv[1], pathlib.Path(sys.argv[2])
base = golden / "models/llama-gqa"
tolerance = 2e-5  # fp32, golden/README.md


def fresh_model():
    return transformers.AutoModelForCausalLM.from_pretrained(base, torch_dtype=torch.float32, attn_implementation="eager")


def by_hand(folder):
    """The folder as ReftModel.load would read it if add_bias were there."""
    config = json.loads((folder / "config.json").read_text())
    parts = []
    for fields, name, width in zip(config["representations"], config["intervention_types"], config["intervention_dimensions"]):
        kind = getattr(pyreft.interventions, name.split(".")[-1][:-2])
        parts.append({"layer": fields[0], "component": fields[1], "low_rank_dimension": fields[4],
                      "intervention": kind(embed_dim=width, low_rank_dimension=fields[4], add_bias=False, dtype=torch.float32)})
    model = pyreft.get_reft_model(fresh_model(), pyreft.ReftConfig(representations=parts))
    for key, intervention in model.interventions.items():
        intervention.load_state_dict(torch.load(folder / f"intkey_{key}.bin", weights_only=True))
    return model


def logits_of(model, inputs, positions):
    rows = []
    offsets = inputs["offsets"].tolist()
    for s, (begin, end) in enumerate(zip(offsets, offsets[1:])):
        ids = inputs["input_ids"][begin:end][None]
        where = [[[p for p in unit[s] if p >= 0]] for unit in positions.tolist()]
        with torch.no_grad():
            _, edited = model({"input_ids": ids, "attention_mask": torch.ones_like(ids)},
                              unit_locations={"sources->base": (None, where)})
        rows.append(edited.logits[0])
    return torch.cat(rows)


inputs = load_file(base / "io.safetensors")
peer = f"pyreft {version('pyreft')}, pyvene {version('pyvene')}, transformers {transformers.__version__}"
for case in sorted(path.parent for path in (golden / "reft").glob("*/saved")):
    facts = json.loads((case / "io.json").read_text())
    io = load_file(case / "io.safetensors")
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        try:
            table.roundtrip(program, base, case / "saved", positions=facts["positions_rule"], write=("pyreft", out))
            try:
                model, how = pyreft.ReftModel.load(str(out), fresh_model()), "ReftModel.load"
            except KeyError as error:
                model, how = by_hand(out), f"loaded by hand, for ReftModel.load fails (KeyError {error})"
            for intervention in model.interventions.values():
                intervention.float().eval()  # W and b come back as bf16; these values survive that
            worst = table.difference(logits_of(model, inputs, io["positions"]), io["logits"])
        except RuntimeError as error:
            worst, how = error, "graft"
    table.row("pyreft folders, read and written", peer, f"{case.name}, {how}", worst, tolerance)
table.finish()
