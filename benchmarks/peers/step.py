# SPDX-License-Identifier: Apache-2.0
"""One training configuration of PyTorch with PEFT or pyreft, in a process of its own; prints one line of JSON.

The batches are those that `graft finetune --no-shuffle` makes of the same file: the records in order, rendered by the model's chat
template, completions trained, cut at --longest tokens. Tokens/s count real tokens, never padding.
"""
import os
import time

STARTED = float(os.environ.get("STARTED", time.time()))  # when the shell started the process

import argparse
import contextlib
import json
import resource
import statistics


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="Hugging Face folder")
    parser.add_argument("--data", required=True, help="JSONL with prompt and completion, or question and answer")
    parser.add_argument("--method", default="lora", choices=["lora", "pmss", "loreft", "frozen"])
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "autocast", "mixed", "pure"],
                        help="autocast: bf16 base under torch.autocast; mixed: bf16 base, fp32 adapters; pure: all bf16")
    parser.add_argument("--compile", action="store_true", help="torch.compile the model")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--longest", type=int, default=256)
    parser.add_argument("--steps", type=int, default=5, help="timed steps")
    parser.add_argument("--warm-up", type=int, default=2, help="steps before them")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    return parser.parse_args()


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def examples(tokenizer, path, count, longest):
    """(ids, labels, prompt length) of the first `count` records; labels are -100 in the prompt."""
    found = []
    with open(path, encoding="utf-8") as lines:
        for line, _ in zip(lines, range(count)):
            record = json.loads(line)
            turns = [{"role": "user", "content": record.get("prompt", record.get("question"))}]
            prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
            answer = record.get("completion", record.get("answer")) + tokenizer.eos_token
            head = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            tail = tokenizer(answer, add_special_tokens=False)["input_ids"]
            found.append(((head + tail)[:longest], ([-100] * len(head) + tail)[:longest], min(len(head), longest)))
    return found


def padded(torch, rows, filler):
    width = max(len(ids) for ids, _, _ in rows)
    fill = lambda values, value: torch.tensor([list(v) + [value] * (width - len(v)) for v in values])
    return {"input_ids": fill([r[0] for r in rows], filler), "labels": fill([r[1] for r in rows], -100),
            "attention_mask": fill([[1] * len(r[0]) for r in rows], 0)}


def main():
    a = arguments()
    import torch
    import torch.distributed.tensor  # peft uses it without importing it, which transformers 4 does not do for it
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from plain_adapters import LINEARS, add_pmss

    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    if a.method == "lora":
        import peft
        versions["peft"] = peft.__version__
    elif a.method == "loreft":
        import pyreft
        from importlib.metadata import version
        versions["pyreft"] = version("pyreft")
    imported, imports_peak = time.time() - STARTED, peak_memory()

    dtype = torch.float32 if a.precision == "fp32" else torch.bfloat16
    word = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
    model = AutoModelForCausalLM.from_pretrained(a.model, attn_implementation="sdpa", **{word: dtype})
    tokenizer = AutoTokenizer.from_pretrained(a.model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    reft = None
    if a.method == "lora":
        config = peft.LoraConfig(r=a.rank, lora_alpha=2 * a.rank, target_modules=LINEARS, task_type="CAUSAL_LM")
        model = peft.get_peft_model(model, config, autocast_adapter_dtype=a.precision != "pure")
    elif a.method == "pmss":
        add_pmss(model, a.rank)
    elif a.method == "loreft":
        width = model.config.hidden_size
        reft = pyreft.get_reft_model(model, pyreft.ReftConfig(representations=[
            {"layer": layer, "component": "block_output", "low_rank_dimension": a.rank,
             "intervention": pyreft.LoreftIntervention(embed_dim=width, low_rank_dimension=a.rank, dtype=dtype)}
            for layer in range(model.config.num_hidden_layers)]))
    model.train()
    if a.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    modules = [model] if reft is None else [m[0] if isinstance(m, (list, tuple)) else m for m in reft.interventions.values()]
    trained = [p for module in modules for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0) if trained else None
    run = torch.compile(model) if a.compile else model

    total = a.warm_up + a.steps
    rows = examples(tokenizer, a.data, a.batch_size * total, a.longest)
    batches = [rows[i * a.batch_size:(i + 1) * a.batch_size] for i in range(total)]
    autocast = lambda: torch.autocast("cpu", torch.bfloat16) if a.precision == "autocast" else contextlib.nullcontext()

    def loss_of(batch):
        inputs = padded(torch, batch, model.config.pad_token_id or 0)
        if reft is not None:
            places = [list(range(min(7, n // 2))) + list(range(n - min(7, n // 2), n)) for _, _, n in batch]
            labels = inputs.pop("labels")
            return reft(inputs, unit_locations={"sources->base": (None, [places] * len(reft.interventions))},
                        labels=labels, use_cache=False)[1].loss
        if a.method == "frozen":  # the gradient of what enters the first block
            inputs["inputs_embeds"] = model.get_input_embeddings()(inputs.pop("input_ids")).detach().requires_grad_(True)
        return run(**inputs, use_cache=False).loss

    seconds, losses, first = [], [], 0.0
    for batch in batches:
        begin = time.perf_counter()
        with autocast():
            loss = loss_of(batch)
        loss.backward()
        if optimizer is not None:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        seconds.append(time.perf_counter() - begin)
        first = first or time.time() - STARTED
    tokens = [sum(len(ids) for ids, _, _ in batch) for batch in batches[a.warm_up:]]
    print(json.dumps({
        "method": a.method, "rank": a.rank, "precision": a.precision, "compiled": a.compile,
        "checkpointing": a.checkpointing, "threads": a.threads, "versions": versions,
        "trainable": sum(p.numel() for p in trained), "tokens_per_second": sum(tokens) / sum(seconds[a.warm_up:]),
        "step_seconds_median": statistics.median(seconds[a.warm_up:]), "peak_bytes": peak_memory(),
        "imports_peak_bytes": imports_peak, "imports_seconds": imported, "first_step_done_seconds": first,
        "first_loss": losses[0], "last_loss": losses[-1]}), flush=True)


main()
