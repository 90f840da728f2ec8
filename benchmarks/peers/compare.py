# SPDX-License-Identifier: Apache-2.0
"""Runs graft and its Python peers in turn, one process each, and prints a table; started by run.sh, which makes what it needs.

Every configuration runs --repeats times, ours right after the peers' it is compared with, since the machine's speed drifts; a row
shows the median. The first losses of all rows of a method that starts as the identity must agree: same batches, same model.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GRAFT = ROOT / "build/release/examples/graft"

WARM_UP = 2  # steps before those that are timed

# name, environment or "graft", arguments of step.py or of graft finetune
LORA = ["--adapter", "lora", "--rank", "8"]
PMSS = ["--adapter", "pmss", "--rank", "64"]
LOREFT = ["--adapter", "loreft", "--rank", "4", "--positions", "f7+l7"]
GROUPS = {
    "lora-fp32": [("PEFT LoRA r 8, fp32", "peft", ["--method", "lora"]),
                  ("graft LoRA r 8, fp32", "graft", [*LORA, "--dtype", "fp32"])],
    "lora-bf16": [("PEFT LoRA r 8, autocast", "peft", ["--method", "lora", "--precision", "autocast"]),
                  ("PEFT LoRA r 8, mixed", "peft", ["--method", "lora", "--precision", "mixed"]),
                  ("PEFT LoRA r 8, pure bf16", "peft", ["--method", "lora", "--precision", "pure"]),
                  ("graft LoRA r 8, bf16", "graft", [*LORA, "--dtype", "bf16"])],
    "compiled": [("PEFT LoRA r 8, pure bf16, compiled", "peft", ["--method", "lora", "--precision", "pure", "--compile"]),
                 ("graft LoRA r 8, bf16", "graft", [*LORA, "--dtype", "bf16"])],
    "checkpointing": [("PEFT LoRA r 8, fp32, checkpointing", "peft", ["--method", "lora", "--checkpointing"]),
                      ("graft LoRA r 8, fp32, --grad-checkpoint", "graft", [*LORA, "--dtype", "fp32", "--grad-checkpoint"])],
    "checkpointing-bf16": [("PEFT LoRA r 8, pure bf16, checkpointing", "peft",
                            ["--method", "lora", "--precision", "pure", "--checkpointing"]),
                           ("graft LoRA r 8, bf16, --grad-checkpoint", "graft", [*LORA, "--dtype", "bf16", "--grad-checkpoint"])],
    "loreft": [("pyreft LoReFT r 4 f7+l7, fp32", "pyreft", ["--method", "loreft", "--rank", "4"]),
               ("graft LoReFT r 4 f7+l7, fp32", "graft", [*LOREFT, "--dtype", "fp32"])],
    "loreft-bf16": [("pyreft LoReFT r 4 f7+l7, bf16", "pyreft", ["--method", "loreft", "--rank", "4", "--precision", "pure"]),
                    ("graft LoReFT r 4 f7+l7, bf16", "graft", [*LOREFT, "--dtype", "bf16"])],
    "pmss": [("plain PyTorch PMSS c = r = 64, fp32", "peft", ["--method", "pmss", "--rank", "64"]),
             ("graft PMSS c = r = 64, fp32", "graft", [*PMSS, "--dtype", "fp32"])],
    "pmss-bf16": [("plain PyTorch PMSS c = r = 64, bf16", "peft", ["--method", "pmss", "--rank", "64", "--precision", "pure"]),
                  ("graft PMSS c = r = 64, bf16", "graft", [*PMSS, "--dtype", "bf16"])],
}


def run_peer(a, environment, words):
    python = ROOT / "build/peers" / environment / "bin/python"
    done = subprocess.run([python, HERE / "step.py", "--model", a.model, "--data", a.data, "--threads", str(a.threads),
                           "--batch-size", str(a.batch_size), "--longest", str(a.longest), "--steps", str(a.steps),
                           "--warm-up", str(WARM_UP), *words], capture_output=True, text=True,
                          env={**os.environ, "STARTED": str(time.time())})
    if done.returncode != 0:
        sys.exit(f"{environment} {' '.join(words)} failed:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return {"tokens_per_second": found["tokens_per_second"], "peak_bytes": found["peak_bytes"],
            "first_step_seconds": found["first_step_done_seconds"], "first_loss": found["first_loss"],
            "trainable": found["trainable"], "versions": found["versions"]}


def run_graft(a, words):
    out = ROOT / "build/peers/run"
    subprocess.run([GRAFT, "finetune", "--model", a.model, "--data", a.data, "--batch-size", str(a.batch_size),
                    "--max-seq-len", str(a.longest), "--steps", str(WARM_UP + a.steps), "--no-shuffle", "--lr", "1e-4", "--clip", "0", "--threads", str(a.threads),
                    "--out", out, "--overwrite", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    run = json.loads((out / "run.json").read_text())
    timed = log[WARM_UP:]
    return {"tokens_per_second": sum(s["tokens"] for s in timed) / sum(s["seconds"] for s in timed),
            "peak_bytes": run["memory"]["peak_bytes"],
            "first_step_seconds": run["times"]["start_to_first_step"] + log[0]["seconds"],
            "first_loss": log[0]["loss"], "trainable": run["model"]["trainable"], "machine": run["machine"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="Hugging Face folder")
    parser.add_argument("data", help="JSONL with prompt and completion, or question and answer")
    parser.add_argument("--only", default=",".join(GROUPS), help="groups, of " + ", ".join(GROUPS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--longest", type=int, default=256, help="tokens at which a record is cut")
    parser.add_argument("--steps", type=int, default=5, help=f"timed steps, after {WARM_UP} others")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build/peers/results.json")
    a = parser.parse_args()
    results = {}
    for group in a.only.split(","):
        for repeat in range(a.repeats):
            for name, who, words in GROUPS[group]:
                print(f"{name} ({repeat + 1} of {a.repeats})", file=sys.stderr, flush=True)
                begin = time.time()
                run = run_graft(a, words) if who == "graft" else run_peer(a, who, words)
                results.setdefault(name, []).append({**run, "whole_seconds": time.time() - begin})
                a.out.write_text(json.dumps(results, indent=1))
    print("| | tokens/s | spread | peak memory, GB | start to end of first step, s | whole, s | first loss |\n"
          "|---|--:|--:|--:|--:|--:|--:|")
    for name, runs in results.items():
        middle = lambda key: statistics.median(run[key] for run in runs)
        rates = [run["tokens_per_second"] for run in runs]
        print(f"| {name} | {middle('tokens_per_second'):.0f} | {min(rates):.0f} to {max(rates):.0f} | {middle('peak_bytes') / 1e9:.2f} "
              f"| {middle('first_step_seconds'):.1f} | {middle('whole_seconds'):.0f} | {runs[0]['first_loss']:.4f} |")


main()
