# SPDX-License-Identifier: Apache-2.0
"""transformers loads the models that graft merges as Hugging Face folders; runs in the environment of PEFT.

An adapter that graft trained for a few steps is merged; transformers' fp32 logits on the folder are held against graft's with
the adapter attached, or, where the merged weights were rounded to bf16, against graft's fp32 logits on the same folder.
"""
import logging
import warnings

import torch
import transformers

import table

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
peer = f"transformers {transformers.__version__}"


def logits_of(model, folder):
    loaded, told = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    if any(told.values()):
        raise ValueError(f"transformers complains: {told}")
    tied = json_tied = loaded.config.tie_word_embeddings
    if tied != transformers.AutoConfig.from_pretrained(model.path).tie_word_embeddings or (
            tied and loaded.lm_head.weight is not loaded.model.embed_tokens.weight):
        raise ValueError(f"the head is {'' if json_tied else 'not '}tied")
    with torch.no_grad():
        return torch.cat([loaded(torch.tensor(ids)[None]).logits[0] for ids in model.sequences]).numpy()


def merged(case, *adapters, lr=1e-2, dtype="fp32", **more):
    def run(model):
        folder = model.train(*adapters, lr=lr)
        expected = table.moved(model, model.logits(folder))
        out = model.merge(folder, dtype)
        if dtype != "fp32":
            expected = model.logits(path=out)
        return {"transformers": table.difference(logits_of(model, out), expected)}
    table.check(f"merged Hugging Face folders, {dtype}", peer, case, run, **more)


def base(model):
    return {"transformers": table.difference(logits_of(model, model.path), model.plain)}


table.check("Hugging Face folders, the model alone", peer, "no adapter", base)
merged("LoRA", "lora:rank=4,target=q_proj+down_proj")
merged("DoRA", "dora:rank=4,target=q_proj+down_proj")
merged("PMSS", "pmss:columns=6,rows=4,target=q_proj+down_proj", lr=1e-1)
merged("VeRA, biased projections", "vera:rank=6,target=q_proj+down_proj", lr=1e-1, on="qwen2-bias")
merged("BitFit", "bitfit")
merged("norms, whole", "full:target=norms")
merged("LoReFT on attention, all positions", "loreft:rank=4,target=attention,positions=all")
merged("LobiReFT on mlp, all positions", "lobireft:rank=4,target=mlp,positions=all", lr=1e-1)
merged("LoRA, untied head", "lora:rank=4,target=q_proj+down_proj", on="llama-mha", without="its head is tied")
merged("LoRA", "lora:rank=4,target=q_proj+down_proj", dtype="bf16")
table.finish()
