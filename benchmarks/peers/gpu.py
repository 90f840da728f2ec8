# SPDX-License-Identifier: Apache-2.0
"""PyTorch on a GPU beside benchmarks/cuda/step_bench: the same shapes with random bf16 weights, the same lengths and labels, the same adapters.

LoRA is PEFT's; PMSS and LoReFT are written the plain way here, for a GPU machine may lack pyreft. Each configuration prints one line of JSON: tokens/s, the
median step, what the device held at most, and the rate of one large bf16 product measured right before it.
"""
import argparse
import gc
import itertools
import json
import statistics
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from plain_adapters import LINEARS, add_loreft, add_pmss

SHAPES = {  # as benchmarks/support/random_checkpoint.hpp
    "tiny": dict(vocab_size=512, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=128),
    "smollm2": dict(vocab_size=49152, hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, intermediate_size=1536,
                    tie_word_embeddings=True),
    "1.1b": dict(vocab_size=32000, hidden_size=2048, num_hidden_layers=22, num_attention_heads=32, num_key_value_heads=4, intermediate_size=5632),
    "8b": dict(vocab_size=128256, hidden_size=4096, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, intermediate_size=14336),
}
METHODS = ["frozen", "lora", "pmss", "loreft"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2", choices=list(SHAPES))
    parser.add_argument("--method", action="append", choices=METHODS, help="several: repeat the flag (default: all)")
    parser.add_argument("--batch", action="append", help="SEQUENCESxTOKENS (default: 8x1024 and 2x4096)")
    parser.add_argument("--compile", action="append", choices=METHODS, help="measure this method under torch.compile, too")
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing")
    parser.add_argument("--steps", type=int, default=7, help="timed steps")
    parser.add_argument("--device", default="cuda", help="cpu is for trying this script, with --model tiny")
    parser.add_argument("--decode", type=int, default=0, metavar="N", help="instead of steps: decode N tokens greedily behind 64, batch 1")
    return parser.parse_args()


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def gemm_flops_per_second(device):
    side = 8192 if device == "cuda" else 512
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(8):
        synchronize(device)
        begin = time.perf_counter()
        a @ b
        synchronize(device)
        seconds.append(time.perf_counter() - begin)
    return 2 * side ** 3 / statistics.median(seconds[3:])


def model_of(shape, device):
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        model = LlamaForCausalLM._from_config(LlamaConfig(max_position_embeddings=8192, **SHAPES[shape]), attn_implementation="sdpa")
    torch.set_default_dtype(torch.float32)
    return model.requires_grad_(False)


def batch_of(sequences, tokens, vocabulary, device):
    """The last 48 of 100 tokens are labelled, as in GSM8K's dialogues."""
    ids = torch.randint(vocabulary, (sequences, tokens), device=device)
    labels = ids.clone()
    labels[:, :tokens * 52 // 100] = -100
    return ids, labels


def adapted(model, method, prompt):
    """The model with its adapter, and what it trains."""
    if method == "lora":
        import peft
        model = peft.get_peft_model(model, peft.LoraConfig(r=16, lora_alpha=32, target_modules=LINEARS, task_type="CAUSAL_LM"))
    elif method == "pmss":
        add_pmss(model, 256)
    elif method == "loreft":
        add_loreft(model, 4, list(range(7)) + list(range(prompt - 7, prompt)))
    return model, [p for p in model.parameters() if p.requires_grad]


def measure(a, method, sequences, tokens, compiled):
    model = model_of(a.model, a.device)
    model, trained = adapted(model, method, tokens * 52 // 100)
    model.train()
    if a.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    optimizer = torch.optim.AdamW(trained, lr=1e-5, weight_decay=0.0) if trained else None
    run = torch.compile(model) if compiled else model
    ids, labels = batch_of(sequences, tokens, model.config.vocab_size, a.device)

    def step():
        if method == "frozen":  # the gradient of what enters the first block
            run(inputs_embeds=model.get_input_embeddings()(ids).detach().requires_grad_(True), labels=labels, use_cache=False).loss.backward()
            return
        run(input_ids=ids, labels=labels, use_cache=False).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    begin = time.perf_counter()
    for _ in range(3):
        step()
    synchronize(a.device)
    warm_up = time.perf_counter() - begin
    rate = gemm_flops_per_second(a.device)
    if a.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(a.steps):
        begin = time.perf_counter()
        step()
        synchronize(a.device)
        seconds.append(time.perf_counter() - begin)
    median = statistics.median(seconds)
    return {"method": method, "model": a.model, "sequences": sequences, "tokens": tokens, "compiled": compiled, "checkpointing": a.checkpointing,
            "trainable": sum(p.numel() for p in trained), "tokens_per_second": sequences * tokens / median, "step_seconds": median,
            "warm_up_seconds": warm_up, "gemm_flops_per_second": rate,
            "peak_bytes": torch.cuda.max_memory_allocated() if a.device == "cuda" else None, "torch": torch.__version__}


def decode(a):
    model = model_of(a.model, a.device).eval()
    ids = torch.randint(model.config.vocab_size, (1, 64), device=a.device)
    with torch.inference_mode():
        for count in (4, a.decode):  # the first call warms up
            synchronize(a.device)
            begin = time.perf_counter()
            model.generate(ids, max_new_tokens=count, min_new_tokens=count, do_sample=False, pad_token_id=0)
            synchronize(a.device)
            seconds = time.perf_counter() - begin
    return {"method": "decode", "model": a.model, "tokens_per_second": a.decode / seconds, "torch": torch.__version__}


def main():
    a = arguments()
    if a.decode:
        print(json.dumps(decode(a)), flush=True)
        return
    batches = [tuple(map(int, text.split("x"))) for text in a.batch or ["8x1024", "2x4096"]]
    for method, (sequences, tokens) in itertools.product(a.method or METHODS, batches):
        for compiled in [False] + [True] * (method in (a.compile or [])):
            try:
                line = measure(a, method, sequences, tokens, compiled)
            except RuntimeError as error:  # out of memory, or what cannot be compiled: the others still count
                line = {"method": method, "model": a.model, "sequences": sequences, "tokens": tokens, "compiled": compiled,
                        "error": str(error).splitlines()[0]}
            print(json.dumps(line), flush=True)
            torch.compiler.reset()
            gc.collect()
            if a.device == "cuda":
                torch.cuda.empty_cache()


main()
