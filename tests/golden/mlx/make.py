# SPDX-License-Identifier: Apache-2.0
"""Makes the folders beside it: make.py GOLDEN, in an environment with mlx[cpu], mlx-lm and safetensors (tests/interop/run.sh).

Adapters on the golden model llama-gqa, converted and saved by mlx-lm's own functions, and what its layers compute with them in
float64. mlx evaluates exp, sin and cos in float32 even there, so numpy stands in for these; the base model then agrees with
the golden logits to 1e-12, which is checked.
"""
import pathlib
import sys

import mlx.core as mx
import mlx.nn as nn
import mlx_lm.models.llama as llama
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_model, save_config
from safetensors.numpy import load_file, save_file

mx.set_default_device(mx.cpu)
f64 = mx.float64


def by_numpy(function, x):
    return mx.array(function(np.array(x)), f64)


def rms_norm(x, weight, eps):
    return x * by_numpy(lambda v: 1 / np.sqrt(v + eps), (x * x).mean(-1, keepdims=True)) * weight


def rope(x, dims, *, traditional, base, scale, offset, freqs=None):
    half = dims // 2
    angle = np.outer(np.arange(x.shape[-2]), base ** (-np.arange(half) / half))
    c, s = mx.array(np.cos(angle), f64), mx.array(np.sin(angle), f64)
    a, b = x[..., :half], x[..., half:]
    return mx.concatenate([a * c - b * s, b * c + a * s], -1)


def attention(q, k, v, *, scale, mask=None, **_):
    share = q.shape[1] // k.shape[1]
    k, v = mx.repeat(k, share, 1), mx.repeat(v, share, 1)
    scores = np.array(q @ k.swapaxes(2, 3)) * scale
    scores = np.where(np.tri(scores.shape[-1], dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return mx.array(weights / weights.sum(-1, keepdims=True), f64) @ v


mx.fast.rms_norm, mx.fast.rope, mx.fast.scaled_dot_product_attention = rms_norm, rope, attention
llama.swiglu = lambda gate, x: by_numpy(lambda v: v / (1 + np.exp(-v)), gate) * x

golden, here = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent
base = golden / "models/llama-gqa"
inputs = load_file(base / "io.safetensors")


def logits_of(model):
    model.set_dtype(f64)
    model.eval()
    offsets = inputs["offsets"].tolist()
    ids = mx.array(inputs["input_ids"].astype(np.int32))
    return np.concatenate([np.array(model(ids[a:b][None])[0]) for a, b in zip(offsets, offsets[1:])])


plain = logits_of(load_model(base)[0])
assert np.abs(plain - inputs["logits"]).max() < 1e-12 * np.abs(plain).max()

cases = {
    "lora": ("lora", 2, {"rank": 4, "scale": 2.5, "dropout": 0.1, "keys": ["self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"]}),
    "dora": ("dora", -1, {"rank": 3, "scale": 1.5, "dropout": 0.0}),
    "paths": ("lora", 1, {"rank": 2, "scale": 20.0, "dropout": 0.0,
                          "keys": ["model.layers.0.self_attn.o_proj", "model.layers.2.mlp.gate_proj"]}),
}
for seed, (name, (kind, count, parameters)) in enumerate(cases.items()):
    model, _ = load_model(base)
    model.freeze()
    linear_to_lora_layers(model, count, parameters, use_dora=kind == "dora")
    random = np.random.default_rng(seed)
    trained = {}
    for key, value in tree_flatten(model.trainable_parameters()):
        noise = random.normal(size=value.shape) * (0.1 if key.endswith("lora_b") else 0.3)
        trained[key] = mx.array((np.array(value) * (1 + noise) if key.endswith(".m") else noise).astype(np.float32))
    model.load_weights(list(trained.items()), strict=False)
    folder = here / name
    folder.mkdir(exist_ok=True)
    saved = dict(tree_flatten(model.trainable_parameters()))
    mx.save_safetensors(str(folder / "adapters.safetensors"), saved)
    save_config({"model": "tiny-llama-gqa", "fine_tune_type": kind, "num_layers": count, "lora_parameters": parameters,
                 "iters": 1000, "learning_rate": 1e-05}, folder / "adapter_config.json")
    logits = logits_of(model)
    save_file({"logits": logits}, folder / "io.safetensors")
    print(name, len(saved), "tensors, logits moved by", np.abs(logits - plain).max())
