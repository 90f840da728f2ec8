# SPDX-License-Identifier: Apache-2.0
"""PEFT and graft load each other's folders: peft_folders.py PROGRAM GOLDEN, in an environment with peft and transformers 5.

PROGRAM is peft_roundtrip, GOLDEN the folder tests/golden. Golden cases are folders that PEFT saved, and modules that PEFT
lacks (PMSS, CURLoRA, LoRA-XS); live ones are made by the PEFT of this environment. graft reads each, computes its logits, and
writes it; PeftModel.from_pretrained loads that. A row a case: error of graft's logits, error of PEFT's on graft's folder, both
relative to the largest golden (or live) logit.
"""
import json
import logging
import pathlib
import subprocess
import sys
import tempfile
import warnings

import peft
import torch
import transformers
from safetensors.torch import load_file

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
program, golden = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
tolerance = 2e-5  # fp32, golden/README.md
failed = False


def fresh(base):
    return transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")


def logits_of(model, inputs):
    rows = []
    offsets = inputs["offsets"].tolist()
    for begin, end in zip(offsets, offsets[1:]):
        ids = inputs["input_ids"][begin:end][None]
        with torch.no_grad():
            rows.append(model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, begin - end:])
    return torch.cat(rows).double()


def check(name, base, folder, expected):
    global failed
    inputs = load_file(base / "io.safetensors")
    largest = expected.abs().max()
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / "out"
        subprocess.run([program, base, folder, out], check=True)
        ours = float((load_file(out / "logits.safetensors")["logits"].double() - expected).abs().max() / largest)
        kind = json.loads((out / "adapter_config.json").read_text())["peft_type"]
        with warnings.catch_warnings(record=True) as caught:  # PEFT only warns of keys that it misses or does not know
            warnings.simplefilter("always")
            model = peft.PeftModel.from_pretrained(fresh(base), str(out)).eval()
        complaints = [str(w.message) for w in caught if "adapter keys" in str(w.message) or "unexpected" in str(w.message)]
        theirs = float((logits_of(model, inputs) - expected).abs().max() / largest)
    good = ours < tolerance and theirs < tolerance and not complaints
    failed |= not good
    worst = f"graft {ours:.1e}, PEFT {theirs:.1e}{'' if good else ' ' + '; '.join(complaints)}"
    print(f"| PEFT folders, {kind} | peft {peft.__version__}, transformers {transformers.__version__} | {name} | {worst} | {tolerance:.0e} | "
          f"{'pass' if good else 'FAIL'} |", flush=True)


for case in sorted(path for path in (golden / "adapters").iterdir() if (path / "io.json").exists()):
    facts = json.loads((case / "io.json").read_text())
    own = case.name.startswith(("pmss", "curlora", "lora-xs"))
    if own or (case / "adapter_config.json").exists():
        base = golden / "models" / facts.get("model", "llama-gqa")
        check(case.name, base, case, load_file(case / "io.safetensors")["logits"])

weights = dict(task_type="CAUSAL_LM")
live = {
    "live lora rslora pattern": ("llama-gqa", peft.LoraConfig(
        r=4, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "down_proj"], rank_pattern={"layers.1.*q_proj": 7},
        alpha_pattern={"layers.0.mlp.down_proj": 3}, **weights)),
    "live lora regex": ("llama-gqa", peft.LoraConfig(
        r=3, lora_alpha=6, target_modules=r".*layers\.(0|2)\.self_attn\.(q|v)_proj", **weights)),
    "live lora all-linear, norms, head": ("llama-mha", peft.LoraConfig(
        r=2, target_modules="all-linear", modules_to_save=["norm", "lm_head"], **weights)),
    "live lora embed_tokens": ("llama-mha", peft.LoraConfig(
        r=2, target_modules=["q_proj"], modules_to_save=["embed_tokens", "model.layers.0.mlp.up_proj"], **weights)),
    "live lora bias, odd scale": ("llama-gqa", peft.LoraConfig(r=3, lora_alpha=5, lora_bias=True, target_modules=["v_proj"], **weights)),
    "live dora rslora": ("qwen2-bias", peft.LoraConfig(r=3, use_dora=True, use_rslora=True, target_modules=["q_proj", "up_proj"], **weights)),
    "live dora layers": ("llama-gqa", peft.LoraConfig(
        r=3, use_dora=True, target_modules=["o_proj"], layers_to_transform=[1], **weights)),
    "live vera, all widths": ("llama-gqa", peft.VeraConfig(r=6, target_modules=["q_proj", "down_proj", "up_proj"], save_projection=True, **weights)),
    "live loha pattern": ("llama-gqa", peft.LoHaConfig(
        r=3, alpha=5, target_modules=["k_proj", "gate_proj"], rank_pattern={"layers.2.*k_proj": 2}, **weights)),
    "live lokr factor 4": ("llama-gqa", peft.LoKrConfig(
        r=2, alpha=3, decompose_factor=4, decompose_both=True, target_modules=["q_proj", "down_proj"], **weights)),
    "live lokr whole": ("llama-gqa", peft.LoKrConfig(r=64, alpha=3, target_modules=["q_proj", "v_proj"], **weights)),
    "live ia3": ("qwen2-bias", peft.IA3Config(
        target_modules=["q_proj", "o_proj", "up_proj"], feedforward_modules=["o_proj"], **weights)),
    "live prompt": ("qwen2-bias", peft.PromptTuningConfig(num_virtual_tokens=5, **weights)),
    "live prefix": ("qwen2-bias", peft.PrefixTuningConfig(num_virtual_tokens=5, **weights)),
    "live prefix projected": ("llama-gqa", peft.PrefixTuningConfig(
        num_virtual_tokens=4, prefix_projection=True, encoder_hidden_size=16, **weights)),
}
for name, (model_name, config) in live.items():
    base = golden / "models" / model_name
    torch.manual_seed(1)
    model = peft.get_peft_model(fresh(base), config).eval()
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        check(name, base, folder, logits_of(model, load_file(base / "io.safetensors")))
sys.exit(failed)
