# SPDX-License-Identifier: Apache-2.0
"""Makes the folders beside it: make.py GOLDEN, in an environment with adapters and torch (tests/interop/run.sh).

ReFTs on the golden model llama-gqa, added and saved by AdapterHub's library, and what its own forward computes with them in
float64 (transformers asks for float32 in norms and softmax: those requests are turned into float64), sequence by sequence. The
base model is held against the golden logits first.
"""
import contextlib
import pathlib
import sys

import adapters
import torch
import transformers
from adapters import DiReftConfig, LoReftConfig, NoReftConfig
from safetensors.torch import load_file, save_file
from torch.overrides import TorchFunctionMode


class NoFloat32(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.float:
            return args[0].double()
        wide = lambda value: torch.float64 if value is torch.float32 else value
        return function(*map(wide, args), **{key: wide(value) for key, value in (kwargs or {}).items()})


@contextlib.contextmanager
def in_double():
    torch.set_default_dtype(torch.float64)
    with NoFloat32(), torch.no_grad():
        yield
    torch.set_default_dtype(torch.float32)


golden, here = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent
base = golden / "models/llama-gqa"
inputs = load_file(base / "io.safetensors")


def fresh_model():
    model = transformers.AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager")
    adapters.init(model)
    model.config._name_or_path = "tiny-llama-gqa"
    return model


def logits_of(model):
    model.double().eval()
    offsets = inputs["offsets"].tolist()
    with in_double():
        inv_freq = model.model.rotary_emb.rope_init_fn(model.config, "cpu")[0]
        model.model.rotary_emb.inv_freq = model.model.rotary_emb.original_inv_freq = inv_freq
        return torch.cat([model(inputs["input_ids"][a:b][None]).logits[0] for a, b in zip(offsets, offsets[1:])])


plain = logits_of(fresh_model())
assert (plain - inputs["logits"]).abs().max() < 1e-12 * plain.abs().max()

cases = {
    "loreft-untied": (LoReftConfig(layers=[0, 2], prefix_positions=2, suffix_positions=2, r=4), False),
    "loreft-prefix": (LoReftConfig(prefix_positions=2, suffix_positions=0, r=2, dropout=0.0), True),
    "loreft-relu": (LoReftConfig(layers=[1], prefix_positions=1, suffix_positions=2, r=3, tied_weights=True, non_linearity="relu"), True),
    "noreft-tied": (NoReftConfig(layers=[1, 2], prefix_positions=2, suffix_positions=2, r=3, tied_weights=True), True),
    "direft-suffix": (DiReftConfig(layers=[0], prefix_positions=0, suffix_positions=2, r=3), False),
}
for seed, (name, (config, safetensors)) in enumerate(cases.items()):
    model = fresh_model()
    model.add_adapter("edit", config=config)
    model.set_active_adapters("edit")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, value in model.named_parameters():
            if ".refts." in key:
                noise = torch.randn(value.shape, generator=generator)
                if key.endswith("original"):  # the state after some steps: turned away from where it started
                    value.add_(torch.triu(noise, 1) * 0.2)
                else:
                    value.copy_(noise * (0.5 if key.endswith("bias") else 0.2))
        for key, value in model.named_buffers():
            if key.endswith(".0.base"):
                value.copy_(torch.linalg.qr(torch.randn(value.shape, generator=generator).double())[0])
    folder = here / name
    model.save_adapter(str(folder), "edit", with_head=False, use_safetensors=safetensors)
    logits = logits_of(model)
    save_file({"logits": logits.contiguous()}, folder / "io.safetensors")
    print(name, "logits moved by", float((logits - plain).abs().max()))
