# SPDX-License-Identifier: Apache-2.0
"""PEFT and graft load each other's folders; runs in an environment with peft and transformers 5 (table.py has the arguments).

Theirs: an adapter of random numbers that PEFT made and saved; graft's logits on it, and PEFT's on what graft exports of it, are
held against PEFT's own. Ours: an adapter that graft trained for a few steps and exported as a PEFT folder; PEFT's logits on that are
held against graft's on its own folder. PEFT only warns of keys that it misses or does not know: here that is a failure.
"""
import logging
import warnings

import peft
import torch
import transformers

import table

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
peer = f"peft {peft.__version__}, transformers {transformers.__version__}"


def base_of(model):
    return transformers.AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.float32, attn_implementation="eager").eval()


def logits_of(model, peer_model):
    rows = []
    for ids in model.sequences:
        ids = torch.tensor(ids)[None]
        with torch.no_grad():
            rows.append(peer_model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -ids.shape[1]:])
    return torch.cat(rows).numpy()


def loaded(model, folder):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = peft.PeftModel.from_pretrained(base_of(model), str(folder)).eval()
    for warning in map(str, (w.message for w in caught)):
        if "adapter keys" in warning or "unexpected" in warning:
            raise ValueError(warning)
    return logits_of(model, found)


def made(model, config, noise):
    """A folder of PEFT with that configuration, and its logits."""
    torch.manual_seed(1)
    found = peft.get_peft_model(base_of(model), config).eval()
    for parameter in found.parameters():
        if parameter.requires_grad:
            parameter.data += noise * torch.randn_like(parameter)
    folder = table.fresh("peft")
    found.save_pretrained(folder)
    return folder, logits_of(model, found)


def theirs(kind, case, config, *, times=1, **more):
    def run(model):
        folder, expected = made(model, config(), times * model.noise)
        table.moved(model, expected)
        exported = model.export(folder, "peft")
        return {"graft": table.difference(model.logits(folder), expected), "PEFT": table.difference(loaded(model, exported), expected)}
    table.check(f"PEFT folders, {kind}: PEFT's in, out again", peer, case, run, **more)


def ours(kind, case, *adapters, lr=1e-2, **more):
    def run(model):
        folder = model.train(*(each(model) if callable(each) else each for each in adapters), lr=lr)
        expected = table.moved(model, model.logits(folder, tail=2))
        return {"PEFT": table.difference(loaded(model, model.export(folder, "peft")), expected)}
    table.check(f"PEFT folders, {kind}: graft's out", peer, case, run, **more)


def config(kind, **settings):
    return lambda: kind(task_type="CAUSAL_LM", **settings)


def lora(**settings):
    return config(peft.LoraConfig, **settings)


theirs("LoRA", "one alpha", lora(r=4, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj"]))
theirs("LoRA", "rank_pattern, alpha_pattern, rsLoRA", lora(
    r=4, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "down_proj"], rank_pattern={"layers.1.*q_proj": 7},
    alpha_pattern={"layers.0.mlp.down_proj": 3}))
theirs("LoRA", "target_modules a regex", lora(r=3, lora_alpha=6, target_modules=r".*layers\.(0|2)\.self_attn\.(q|v)_proj"))
theirs("LoRA", "layers_to_transform", lora(r=3, target_modules=["k_proj", "up_proj"], layers_to_transform=[1]), times=3)
theirs("LoRA", "lora_bias", lora(r=3, lora_alpha=5, lora_bias=True, target_modules=["v_proj", "o_proj"]))
theirs("LoRA", "modules_to_save: norm, a projection", lora(r=2, target_modules=["q_proj"], modules_to_save=["norm", "model.layers.0.mlp.up_proj"]))
theirs("LoRA", "modules_to_save: norm, lm_head; all-linear", lora(r=2, target_modules="all-linear", modules_to_save=["norm", "lm_head"]),
       on="llama-mha", without="its head is tied")
theirs("LoRA", "modules_to_save: embed_tokens", lora(r=2, target_modules=["q_proj"], modules_to_save=["embed_tokens"]),
       on="llama-mha", without="its head is tied")
theirs("LoRA", "all-linear", lora(r=2, target_modules="all-linear"))
theirs("DoRA", "biased projections", lora(r=3, use_dora=True, use_rslora=True, target_modules=["q_proj", "up_proj"]), on="qwen2-bias")
theirs("DoRA", "layers_to_transform", lora(r=3, use_dora=True, target_modules=["o_proj"], layers_to_transform=[1]), times=3)
theirs("VeRA", "maps of all widths", config(peft.VeraConfig, r=6, target_modules=["q_proj", "down_proj", "up_proj"], save_projection=True), times=5)
theirs("LoHa", "rank_pattern", config(
    peft.LoHaConfig, r=3, alpha=5, target_modules=["k_proj", "gate_proj"], rank_pattern={"layers.2.*k_proj": 2}), times=5)
theirs("LoKr", "decompose_factor 4, decompose_both", config(
    peft.LoKrConfig, r=2, alpha=3, decompose_factor=4, decompose_both=True, target_modules=["q_proj", "down_proj"]), times=3)
theirs("LoKr", "whole factors", config(peft.LoKrConfig, r=64, alpha=3, target_modules=["q_proj", "v_proj"]), times=10)
theirs("IA3", "feedforward_modules", config(
    peft.IA3Config, target_modules=["q_proj", "o_proj", "up_proj"], feedforward_modules=["o_proj"]), on="qwen2-bias")
theirs("prompt tuning", "5 tokens", config(peft.PromptTuningConfig, num_virtual_tokens=5), on="qwen2-bias")
# One rounding of a random prefix, which takes the place of the first token in attention, moves PEFT's own logits on SmolLM2 by 4e-5.
prefix = table.fp32 + 4e-5
theirs("prefix tuning", "5 tokens", config(peft.PrefixTuningConfig, num_virtual_tokens=5), on="qwen2-bias", tolerance=prefix)
theirs("prefix tuning", "projected", config(
    peft.PrefixTuningConfig, num_virtual_tokens=4, prefix_projection=True, encoder_hidden_size=16), tolerance=prefix)


def two_stage(model):
    """PMSS on skeletons that graft select chose two-stage."""
    skeletons = table.fresh("skeletons")
    table.graft("select", "--model", model.path, "--selector", "two-stage", "--columns", 6, "--rows", 5, "--target", "q_proj,down_proj", "--out",
                skeletons)
    return f"pmss:target=q_proj+down_proj,skeletons={skeletons}"


ours("LoRA", "LoRA", "lora:rank=4,alpha=6,target=q_proj+down_proj,layers=0-1")
ours("LoRA", "LoRA beside rsLoRA", "lora:rank=4,target=q_proj", "rslora:rank=3,target=down_proj+v_proj")
ours("LoRA", "LoRA with biases", "lora:rank=4,target=q_proj+o_proj", "bitfit:target=q_proj+o_proj")
ours("LoRA", "LoRA beside whole norms", "lora:rank=4,target=q_proj", "full:target=norms")
ours("LoRA", "PiSSA", "pissa:rank=4,target=q_proj+down_proj")
ours("LoRA", "OLoRA", "olora:rank=4,target=q_proj+down_proj", lr=1e-3)
ours("LoRA", "LoRA-XS", "lora-xs:rank=8,target=q_proj+down_proj", lr=1e-1)
ours("LoRA", "CURLoRA", "curlora:rank=8,target=q_proj+down_proj", lr=1e-1)
ours("LoRA", "PMSS, c = 6 columns, r = 4 rows", "pmss:columns=6,rows=4,target=q_proj+down_proj", lr=1e-1)
ours("LoRA", "PMSS, two-stage", two_stage, lr=2e-3)
ours("LoRA", "LoReFT on attention, all positions", "loreft:rank=4,target=attention,positions=all")
ours("LoRA", "DiReFT on mlp, all positions", "direft:rank=4,target=mlp,positions=all")
ours("DoRA", "DoRA", "dora:rank=4,target=q_proj+down_proj")
ours("VeRA", "VeRA", "vera:rank=6,target=q_proj+down_proj", lr=1e-1)
ours("LoHa", "LoHa", "loha:rank=3,target=k_proj+gate_proj", lr=1e-1)
ours("LoKr", "LoKr", "lokr:rank=3,target=q_proj+down_proj", lr=1e-1)
ours("IA3", "IA3", "ia3", lr=1e-1)
ours("prompt tuning", "prompt tuning", "prompt:tokens=5", lr=1e-1)
ours("prefix tuning", "prefix tuning", "prefix:tokens=5", lr=1e-1)
table.finish()
