# SPDX-License-Identifier: Apache-2.0
"""Settings from a file: our names and those of PEFT and axolotl, in JSON and YAML; flags rule; config.json repeats a run."""
import json
import pathlib

from program import GOLDEN, folder, good, graft, run_tests, token_records, write_lines

MODEL = GOLDEN / "models" / "llama-gqa"


def losses(run):
    return [json.loads(line)["loss"] for line in (run / "log.jsonl").read_text().splitlines()]


def settings(run):
    return json.loads((run / "run.json").read_text())["settings"]


def refused(home, text, *expected, name="bad.json"):
    (home / name).write_text(text)
    done = graft("finetune", "--config", home / name)
    assert done.returncode == 2 and done.stderr.startswith("graft: ") and done.stderr.count("\n") == 1, done.stderr
    for word in expected:
        assert word in done.stderr, (word, done.stderr)


def test_a_run_repeats_from_its_config():
    """finetune --config RUN/config.json --out OTHER is the same run, bit for bit, for plain flags, stacks and skeletons"""
    with folder() as name:
        home = pathlib.Path(name)
        data = write_lines(home / "train.jsonl", token_records(24))
        skeletons = home / "skeletons"
        good("select", "--model", MODEL, "--rank", 3, "--out", skeletons, "--selector", "random", "--seed", 4)
        common = ["finetune", "--model", MODEL, "--dtype", "fp32", "--data", data, "--batch-size", 4, "--threads", 1, "--epochs", 2]
        for i, words in enumerate([["--rank", 2, "--alpha", 3, "--dropout", 0.1, "--target", "q_proj,v_proj", "--lr", 3e-3],
                                   ["--adapter", "lora:rank=3,layers=0", "--adapter", "loreft:rank=2,layers=1;2,tied=true",
                                    "--seed", 7, "--schedule", "cosine", "--warmup", 0.25],
                                   ["--adapter", "pmss", "--skeletons", skeletons, "--val-split", 4, "--steps", 5],
                                   ["--adapter", "full", "--optimizer", "sgd", "--lr", 0.1, "--no-shuffle", "--clip", 0]]):
            one, two = home / f"one{i}", home / f"two{i}"
            good(*common, *words, "--out", one)
            good("finetune", "--config", one / "config.json", "--out", two)
            assert losses(one) == losses(two), words
            assert (one / "adapter_model.safetensors").read_bytes() == (two / "adapter_model.safetensors").read_bytes(), words
            first, second = (json.loads((run / "config.json").read_text()) for run in (one, two))
            first["out"] = second["out"]
            assert first == second, (first, second)


def test_flags_rule():
    """what stands on the command line counts, all else is the file's, an adapter's settings too"""
    with folder() as name:
        home = pathlib.Path(name)
        data = write_lines(home / "train.jsonl", token_records(8))
        good("finetune", "--model", MODEL, "--data", data, "--rank", 2, "--steps", 2, "--lr", 3e-3, "--out", home / "one")
        good("finetune", "--config", home / "one/config.json", "--out", home / "two", "--rank", 3, "--learning-rate", 4e-3)
        found = settings(home / "two")
        assert found["adapters"][0]["rank"] == 3 and found["lr"] == 4e-3 and found["steps"] == 2, found
        good("finetune", "--config", home / "one/config.json", "--out", home / "three", "--adapter", "ia3")
        assert settings(home / "three")["adapter"] == "ia3"


def test_names_of_others():
    """a configuration of PEFT and axolotl is read, as JSON and as YAML alike"""
    with folder() as name:
        home = pathlib.Path(name)
        data = write_lines(home / "train.jsonl", token_records(16))
        yaml = f"""
# as axolotl has it
base_model: {MODEL}
datasets:
  - path: {data}
    type: input_output
val_set_size: 0.25
sequence_len: 64
sample_packing: true
train_on_inputs: false
adapter: lora
lora_r: 4
lora_alpha: 8
lora_dropout: 0.05
lora_target_modules: [q_proj, v_proj]
gradient_accumulation_steps: 2
micro_batch_size: 2
num_epochs: 2
optimizer: adamw
lr_scheduler: cosine
learning_rate: 2e-3
warmup_steps: 2
weight_decay: 0.01
max_grad_norm: 0.5
gradient_checkpointing: yes
logging_steps: 1
eval_steps: 2
save_steps: 2
save_total_limit: 1
early_stopping_patience: ~
load_best_model_at_end: false
resume_from_checkpoint:
seed: 3
output_dir: {home / "yaml"}
"""
        (home / "config.yaml").write_text(yaml)
        done = graft("finetune", "--config", home / "config.yaml")
        if "train.460" in done.stderr:
            print("skipped: this graft reads no YAML")
            return
        assert done.returncode == 0, done.stderr
        found = settings(home / "yaml")
        lora = found["adapters"][0]
        assert (lora["name"], lora["rank"], lora["alpha"], lora["dropout"]) == ("lora", 4, 8, 0.05), lora
        assert lora["target"] == ["self_attn.q_proj", "self_attn.v_proj"]
        expected = {"val_split": 0.25, "max_seq_len": 64, "grad_accum": 2, "batch_size": 2, "schedule": "cosine", "lr": 2e-3,
                    "warmup_steps": 2, "weight_decay": 0.01, "clip": 0.5, "grad_checkpoint": True, "report_every": 1,
                    "eval_every": 2, "save_every": 2, "keep": 1, "keep_best": False, "patience": 0, "seed": 3}
        assert {key: found[key] for key in expected} == expected, found
        peft = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "lora_dropout": 0.05, "target_modules": ["q_proj", "v_proj"],
                "base_model_name_or_path": str(MODEL), "data": str(data), "val_split": 0.25, "max_seq_len": 64, "grad_accum": 2,
                "per_device_train_batch_size": 2, "num_train_epochs": 2, "lr_scheduler_type": "cosine", "learning_rate": 0.002,
                "warmup": 2, "weight_decay": 0.01, "clip": 0.5, "eval_every": 2, "seed": 3, "gradient_checkpointing": True,
                "out": str(home / "json")}  # checkpointing rounds block inputs where the model computes in bf16
        (home / "config.json").write_text(json.dumps(peft))
        good("finetune", "--config", home / "config.json")
        assert losses(home / "json") == losses(home / "yaml")
        reft = {"intervention_type": "LoreftIntervention", "low_rank_dimension": 2, "layers": [0, 2], "positions": "f1+l1",
                "share_weights": True, "model": str(MODEL), "data": str(data), "steps": 1, "out": str(home / "reft")}
        (home / "reft.json").write_text(json.dumps(reft))
        good("finetune", "--config", home / "reft.json")
        loreft = settings(home / "reft")["adapters"][0]
        assert (loreft["name"], loreft["layers"], loreft["positions"], loreft["tied"]) == ("loreft", "0;2", "f1+l1", True), loreft


def test_mistakes():
    """an unknown key is refused with the name that was meant, and what is no configuration with its line or key"""
    with folder() as name:
        home = pathlib.Path(name)
        refused(home, '{"lora_alhpa": 4}', "train.458", "lora_alhpa", "lora_alpha")
        refused(home, '{"learning_rat": 4}', "train.458", "learning_rate")
        refused(home, '{"micro_batch_sise": 4}', "train.458", "micro_batch_size")
        refused(home, "[1]", "train.459")
        refused(home, '{"rank": {"a": 1}}', "train.459", "rank")
        refused(home, '{"no_eos": "maybe"}', "train.459", "no_eos", "maybe")
        refused(home, '{"datasets": [{"path": "a"}, {"path": "b"}]}', "train.459", "datasets")
        refused(home, '{"roles_to_train": ["user"]}', "train.459", "roles_to_train")
        refused(home, '{"r": 4, "lora_r": 8}', "train.459", "lora_r", "--rank")
        refused(home, '{"adapter": [{"rank": 4}]}', "train.459", "name")
        refused(home, '{"lr": "fast"}', "train.430", "lr")
        refused(home, "{", "io.210", "bad.json")
        refused(home, '{"lr": 1, "lr": 2}', "io.211")
        done = graft("finetune", "--config", home / "none.json")
        assert done.returncode == 2 and "io.201" in done.stderr
        (home / "any.yaml").write_text("lr: 1\n")
        if "train.460" in graft("finetune", "--config", home / "any.yaml").stderr:
            return
        refused(home, "lr: 1\nlr: 2\n", "train.461", "line", name="bad.yaml")
        refused(home, "lr: [1\n", "train.461", "line", name="bad.yaml")
        refused(home, "lora_alhpa: 4\n", "train.458", "lora_alpha", name="bad.yaml")
        bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"{c}: &{c} [{', '.join('*' + p for _ in range(10))}]\n" for p, c in zip("abcdefg", "bcdefgh"))
        refused(home, bomb, "train.461", name="bad.yaml")


run_tests(globals())
