# SPDX-License-Identifier: Apache-2.0
"""mlx-lm and graft load each other's folders; runs in an environment with mlx[cpu] and mlx-lm (table.py has the arguments).

Theirs: an adapter of random numbers that mlx-lm's own functions made and saved; graft's logits on it, and mlx-lm's on what graft
exports of it, are held against mlx-lm's own. Ours: an adapter that graft trained for a few steps and exported as mlx-lm's folder.
All in fp32 on the processor.
"""
from importlib.metadata import version

import mlx.core as mx
import mlx_lm
import numpy
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers, load_adapters
from mlx_lm.utils import load_model, save_config

import table

mx.set_default_device(mx.cpu)
peer = f"mlx-lm {mlx_lm.__version__}, mlx {version('mlx')}"


def logits_of(model, peer_model):
    peer_model.eval()
    return numpy.concatenate([numpy.array(peer_model(mx.array(ids)[None])[0]) for ids in model.sequences])


def loaded(model, folder):
    return logits_of(model, load_adapters(load_model(model.path)[0], str(folder)))


def made(model, kind, layers, parameters):
    """A folder as mlx_lm.lora saves it, and its logits."""
    peer_model = load_model(model.path)[0]
    peer_model.freeze()
    linear_to_lora_layers(peer_model, layers, parameters, use_dora=kind == "dora")
    random = numpy.random.default_rng(1)
    trained = {}
    for key, value in tree_flatten(peer_model.trainable_parameters()):
        noise = model.noise * random.normal(size=value.shape)
        trained[key] = mx.array((numpy.array(value) * (1 + noise) if key.endswith(".m") else numpy.array(value) + noise).astype(numpy.float32))
    peer_model.load_weights(list(trained.items()), strict=False)
    folder = table.fresh("mlx")
    folder.mkdir()
    mx.save_safetensors(str(folder / "adapters.safetensors"), trained)
    save_config({"fine_tune_type": kind, "num_layers": layers, "lora_parameters": parameters}, folder / "adapter_config.json")
    return folder, logits_of(model, peer_model)


def theirs(case, kind, layers, rank, scale, *keys):
    def run(model):
        folder, expected = made(model, kind, layers, {"rank": rank, "scale": scale, "dropout": 0.0} | ({"keys": list(keys)} if keys else {}))
        table.moved(model, expected)
        return {"graft": table.difference(model.logits(folder), expected),
                "mlx-lm": table.difference(loaded(model, model.export(folder, "mlx")), expected)}
    table.check("mlx-lm folders: mlx-lm's in, out again", peer, case, run)


def ours(case, *adapters, lr=1e-2):
    def run(model):
        folder = model.train(*adapters, lr=lr)
        expected = table.moved(model, model.logits(folder))
        return {"mlx-lm": table.difference(loaded(model, model.export(folder, "mlx")), expected)}
    table.check("mlx-lm folders: graft's out", peer, case, run)


theirs("LoRA, the last two layers", "lora", 2, 4, 2.5, "self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj")
theirs("LoRA, keys are whole paths", "lora", 1, 2, 20.0, "model.layers.0.self_attn.o_proj", "model.layers.2.mlp.gate_proj")
theirs("DoRA, all layers and maps", "dora", -1, 3, 1.5)
ours("LoRA", "lora:rank=4,alpha=6,target=q_proj+down_proj")
ours("LoRA beside rsLoRA, different ranks", "lora:rank=4,target=q_proj", "rslora:rank=3,target=down_proj+v_proj")
ours("LoRA, some layers", "lora:rank=4,layers=0+2")
ours("DoRA", "dora:rank=4,target=q_proj+down_proj")
ours("PiSSA", "pissa:rank=4,target=q_proj+down_proj")
ours("OLoRA", "olora:rank=4,target=q_proj+down_proj", lr=1e-3)
ours("LoRA-XS", "lora-xs:rank=8,target=q_proj+down_proj", lr=1e-1)
ours("CURLoRA", "curlora:rank=8,target=q_proj+down_proj", lr=1e-1)
ours("PMSS, c = 6 columns, r = 4 rows", "pmss:columns=6,rows=4,target=q_proj+down_proj", lr=1e-1)
table.finish()
