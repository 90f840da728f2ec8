# SPDX-License-Identifier: Apache-2.0
"""graft reads the ReFTs of AdapterHub; runs in an environment with the library adapters (table.py has the arguments).

A ReFT of random numbers that adapters made and saved; graft's logits on it are held against adapters' own before it saved.
"subtract_projection", which adapters forgets to save, is written into the configuration, as graft asks for it.
"""
import json
import logging
import warnings

import adapters
import torch
import transformers
from adapters import DiReftConfig, LoReftConfig, NoReftConfig

import table

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
peer = f"adapters {adapters.__version__}, transformers {transformers.__version__}"


def logits_of(model, peer_model):
    peer_model.eval()
    with torch.no_grad():
        return torch.cat([peer_model(torch.tensor(ids)[None]).logits[0] for ids in model.sequences]).numpy()


def theirs(case, config, safetensors=True):
    def run(model):
        made = transformers.AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.float32, attn_implementation="eager")
        adapters.init(made)
        made.config._name_or_path = model.name
        torch.manual_seed(1)
        made.add_adapter("edit", config=config)
        made.set_active_adapters("edit")
        for name, parameter in made.named_parameters():
            if ".refts." in name:
                noise = model.noise * torch.randn_like(parameter)
                parameter.data += noise.triu(1) if name.endswith("original") else noise  # the state after some steps
        folder = table.fresh("adapterhub")
        made.save_adapter(str(folder), "edit", with_head=False, use_safetensors=safetensors)
        expected = table.moved(model, logits_of(model, made))
        saved = json.loads((folder / "adapter_config.json").read_text())
        saved["config"]["subtract_projection"] = config.subtract_projection
        (folder / "adapter_config.json").write_text(json.dumps(saved))
        return {"graft": table.difference(model.logits(folder), expected)}
    table.check("AdapterHub ReFT: adapters' in", peer, case, run)


theirs("LoReFT, untied, pytorch_adapter.bin", LoReftConfig(layers=[0, 2], prefix_positions=2, suffix_positions=2, r=4, dropout=0.0), False)
theirs("LoReFT, prefix only, all layers", LoReftConfig(prefix_positions=2, suffix_positions=0, r=2, dropout=0.0))
theirs("LoReFT, tied", LoReftConfig(layers=[1], prefix_positions=1, suffix_positions=2, r=3, tied_weights=True))
theirs("NoReFT, tied", NoReftConfig(layers=[1, 2], prefix_positions=2, suffix_positions=2, r=3, tied_weights=True))
theirs("DiReFT, suffix only", DiReftConfig(layers=[0], prefix_positions=0, suffix_positions=2, r=3))
table.finish()
