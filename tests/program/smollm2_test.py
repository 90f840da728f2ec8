# SPDX-License-Identifier: Apache-2.0
"""The program on real models against the references: greedy text, held-out loss, training that helps."""
import json
import pathlib

from program import SHARED, folder, good, run_tests, skip_unless, write_lines

MODEL = skip_unless("shared", "real")
GOLDEN = SHARED / "golden" / "smollm2"


def evaluate(data, *words):
    return json.loads(good("eval", "--model", MODEL, "--data", data, "--json", "--dtype", "fp32", *words))


def labelled(rows):
    return [{"input_ids": row["ids"], "labels": [-100] * row["prompt"] + row["ids"][row["prompt"]:]} for row in rows]


def golden_rows(name):
    return [json.loads(line) for line in (GOLDEN / name).read_text().splitlines()]


def test_greedy_text():
    """greedy answers are the golden ids, up to a step that is decided by less than fp32 can tell"""
    for golden in json.loads((GOLDEN / "generate.json").read_text()):
        found = json.loads(good("generate", "--model", MODEL, "--chat", golden["question"], "--max-tokens", 40, "--json",
                                "--dtype", "fp32"))
        assert found["text"] == golden["text"].removesuffix("<|im_end|>"), (found["text"], golden["text"])
        assert found["ids"] == golden["new_ids"]


def test_drawn_text_repeats():
    """drawn text is a function of its seed"""
    words = ["generate", "--model", MODEL, "--chat", "Tell me a story.", "--max-tokens", 16, "--temperature", 1, "--top-p", 0.9]
    assert good(*words, "--seed", 1) == good(*words, "--seed", 1) != good(*words, "--seed", 2)


def test_heldout_loss():
    """the bare model's held-out loss is the golden one"""
    golden = json.loads((GOLDEN / "train_lora" / "trajectory.json").read_text())["heldout_nll_before"]
    with folder() as name:
        found = evaluate(write_lines(pathlib.Path(name) / "heldout.jsonl", labelled(golden_rows("heldout.jsonl"))))
        assert abs(found["loss"] - golden) < 1e-4, (found, golden)


def test_reference_adapters():
    """the adapters that PEFT trained give PEFT's held-out loss"""
    golden = json.loads((GOLDEN / "train_lora" / "trajectory.json").read_text())["heldout_nll_after"]
    with folder() as name:
        data = write_lines(pathlib.Path(name) / "heldout.jsonl", labelled(golden_rows("heldout.jsonl")))
        found = evaluate(data, "--adapter", GOLDEN / "train_lora" / "final")
        assert abs(found["loss"] - golden) < 1e-4, (found, golden)


def test_training_helps():
    """twenty steps of LoRA and of PMSS on GSM8K text lower the held-out loss as far as the references"""
    with folder() as name:
        home = pathlib.Path(name)
        data = write_lines(home / "train.jsonl", labelled(golden_rows("train.jsonl")))
        heldout = write_lines(home / "heldout.jsonl", labelled(golden_rows("heldout.jsonl")))
        before = evaluate(heldout)["loss"]
        for adapter, words in [("lora", ["--rank", 8, "--lr", 2e-4]), ("pmss", ["--rank", 32, "--lr", 1e-3])]:
            good("finetune", "--model", MODEL, "--data", data, "--valid", heldout, "--adapter", adapter, "--target",
                 "q_proj,v_proj", "--batch-size", 4, "--epochs", 1, "--schedule", "constant", "--clip", 0, "--no-shuffle",
                 "--dtype", "fp32", "--out", home / adapter, *words)
            run = json.loads((home / adapter / "run.json").read_text())
            golden = json.loads((GOLDEN / f"train_{adapter}" / "trajectory.json").read_text())["heldout_nll_after"]
            assert run["result"]["valid_loss"] < before - 0.1, run["result"]
            assert abs(run["result"]["valid_loss"] - golden) < 0.01 * golden, (adapter, run["result"], golden)
            print(f"{adapter}: start to first step {run['times']['start_to_first_step']:.2f} s, "
                  f"{run['result']['tokens_per_second']:.0f} tokens/s, peak {run['memory']['peak_bytes'] / 2**20:.0f} MiB")


def test_gguf_to_hugging_face():
    """SmolLM2 as GGUF: the merged folder has its tokenizer and chat template, and generates what GGUF and adapter do"""
    with folder() as name:
        home = pathlib.Path(name)
        data = home / "data.jsonl"
        data.write_text('{"prompt": "Who are you?", "completion": "A graft."}\n')
        good("finetune", "--model", MODEL, "--data", data, "--steps", 2, "--lr", 1e-3, "--out", home / "run")
        good("merge", "--model", MODEL, "--adapter", home / "run", "--out", home / "out", "--dtype", "fp32")
        asked = ["--chat", "Who are you?", "--max-tokens", 12, "--dtype", "fp32"]
        assert good("generate", "--model", home / "out", *asked) == good("generate", "--model", MODEL, "--adapter", home / "run", *asked)


run_tests(globals())
