# SPDX-License-Identifier: Apache-2.0
"""pyreft and graft load each other's folders; runs in an environment with pyreft (table.py has the arguments).

Theirs: interventions that pyreft made and saved; graft's logits on them, and pyreft's on what graft exports of them, are held
against pyreft's own. Ours: a ReFT that graft trained for a few steps and exported. Positions are those of pyreft's own function,
within prompts that end two tokens before the text does.

ReftModel.load rounds W and b to bf16, so each state dict is loaded once more in fp32. It cannot load any NoReFT, NodiReFT
(KeyError add_bias) or dotted component, its own included: there the interventions are made, and the state dicts loaded, by hand.
"""
import contextlib
import json
import logging
import re
import warnings
from importlib.metadata import version

import pyreft
import torch
import transformers
from pyreft.dataset import get_intervention_locations

import table

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)  # pyvene reports that a configuration brings its keys along
peer = f"pyreft {version('pyreft')}, pyvene {version('pyvene')}, transformers {transformers.__version__}"


def base_of(model):
    return transformers.AutoModelForCausalLM.from_pretrained(model.path, torch_dtype=torch.float32, attn_implementation="eager").eval()


def with_interventions(model, kind, places, rank, width, add_bias=False):
    intervention = getattr(pyreft.interventions, kind)
    return pyreft.get_reft_model(base_of(model), pyreft.ReftConfig(representations=[
        {"layer": layer, "component": component, "low_rank_dimension": rank,
         "intervention": intervention(embed_dim=width, low_rank_dimension=rank, add_bias=add_bias, dtype=torch.float32)}
        for layer, component in places]))


def logits_of(model, reft_model, positions, tied):
    rows = []
    count = len(reft_model.interventions)
    for intervention in reft_model.interventions.values():
        intervention.eval()
    for ids in model.sequences:
        prompt = max(len(ids) - 2, 0)
        where = [list(range(len(ids)))] * count if positions == "all" else [[p for p in unit if p >= 0] for unit in get_intervention_locations(
            last_position=prompt, positions=positions, num_interventions=count, share_weights=tied)]
        inputs = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
        with torch.no_grad():
            if any(where):
                edited = reft_model(inputs, unit_locations={"sources->base": (None, [[unit] for unit in where])})[1]
            else:
                edited = reft_model.model(**inputs)
            rows.append(edited.logits[0])
    return torch.cat(rows).numpy()


def loaded(model, folder, positions, tied):
    config = json.loads((folder / "config.json").read_text())
    try:
        found, how = pyreft.ReftModel.load(str(folder), base_of(model)), "ReftModel.load"
    except (KeyError, TypeError) as error:
        kinds = {name.split(".")[-1][:-2] for name in config["intervention_types"]}
        first = config["representations"][0]
        found = with_interventions(model, *kinds, [fields[:2] for fields in config["representations"]], first[4], config["intervention_dimensions"][0])
        how = "by hand"
    for key, intervention in found.interventions.items():
        intervention.float().load_state_dict(torch.load(folder / f"intkey_{key}.bin", weights_only=True))
    return how, logits_of(model, found, positions, tied)


def renamed(folder, spelling):
    """The folder as an older pyvene named its files."""
    for file in list(folder.glob("intkey_*.bin")):
        layer, component, turn = re.fullmatch(r"intkey_layer_(\d+)_comp_(\w+)_unit_pos_nunit_1#(\d)", file.stem).groups()
        file.rename(folder / f"intkey_layer.{layer}.{spelling}.{component}.unit.pos.nunit.1#{turn}.bin")


def theirs(case, kind, component="block_output", positions="f2+l2", tied=True, spelling="", add_bias=False, times=1):
    def run(model):
        torch.manual_seed(1)
        width = transformers.AutoConfig.from_pretrained(model.path).hidden_size
        places = [(layer, component.format(layer)) for layer in (0, 2)] * (1 if tied else 2)
        made = with_interventions(model, kind, places, 4, width, add_bias)
        for intervention in made.interventions.values():
            for name, parameter in intervention.named_parameters():
                if "rotate_layer" not in name:
                    parameter.data += times * model.noise * torch.randn_like(parameter)
        folder = table.fresh("pyreft")
        with contextlib.redirect_stdout(None):  # where it says that it makes a folder
            made.save(str(folder))
        expected = table.moved(model, logits_of(model, made, positions, tied))
        exported = model.export(folder, "pyreft", "--positions", positions)
        if spelling:
            renamed(folder, spelling)
        how, back = loaded(model, exported, positions, tied)
        return {"graft": table.difference(model.logits(folder, "--positions", positions, tail=2), expected),
                f"pyreft ({how})": table.difference(back, expected)}
    table.check("pyreft folders: pyreft's in, out again", peer, case, run)


def ours(case, adapter, positions="f2+l2", tied=True, lr=1e-2):
    def run(model):
        folder = model.train(f"{adapter}:rank=4,layers=0+2,positions={positions}" + (",tied=true" if tied and positions != "all" else ""), lr=lr)
        expected = table.moved(model, model.logits(folder, tail=2))
        how, found = loaded(model, model.export(folder, "pyreft"), positions, tied)
        return {f"pyreft ({how})": table.difference(found, expected)}
    table.check("pyreft folders: graft's out", peer, case, run)


theirs("LoReFT, tied", "LoreftIntervention")
theirs("LoReFT, untied", "LoreftIntervention", tied=False)
theirs("LoReFT, all positions", "LoreftIntervention", positions="all")
theirs("LoReFT, files named layer.L.comp.C", "LoreftIntervention", spelling="comp")
theirs("LoReFT, files named layer.L.repr.C", "LoreftIntervention", spelling="repr")
theirs("LoReFT, attention_output", "LoreftIntervention", component="attention_output")
theirs("LoReFT, mlp_output", "LoreftIntervention", component="mlp_output")
theirs("LoReFT, a dotted component", "LoreftIntervention", component="model.layers[{}].self_attn.o_proj.output")
theirs("NoReFT", "NoreftIntervention")
theirs("NoReFT, add_bias", "NoreftIntervention", add_bias=True)
theirs("DiReFT with orthonormal R", "DireftIntervention")
theirs("NodiReFT", "NodireftIntervention")
theirs("ConsReFT", "ConsreftIntervention")
theirs("LobiReFT, untied", "LobireftIntervention", tied=False, times=100)
ours("LoReFT, tied", "loreft")
ours("LoReFT, untied", "loreft", tied=False)
ours("LoReFT, all positions", "loreft", positions="all")
ours("NoReFT", "noreft")
ours("DiReFT", "direft")
ours("DiReFT with orthonormal R", "direft-orthonormal")
ours("ConsReFT", "consreft")
ours("LobiReFT", "lobireft", lr=1e-1)
table.finish()
