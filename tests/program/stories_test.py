# SPDX-License-Identifier: Apache-2.0
"""The smallest real LLaMA there is, stories260K: it writes, is measured on text, learns another text, and shows itself."""
import json
import pathlib

from program import GOLDEN, SHARED, folder, good, graft, run_tests, skip_unless, write_lines

skip_unless("shared")
MODEL = SHARED / "data" / "models" / "stories260K.bin"
STORY = ("Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, "
         "red ball. She wanted to play with it, but it was too high.")


def text(name, begin, length):
    whole = (SHARED / "data" / "text" / name).read_text(encoding="utf-8")
    return whole[begin:] if length is None else whole[begin:begin + length]


def evaluate(data, *words):
    return json.loads(good("eval", "--model", MODEL, "--data", data, "--json", "--dtype", "fp32", *words))


def generate(*words):
    return json.loads(good("generate", "--model", MODEL, "--max-tokens", 80, "--json", "--dtype", "fp32", *words))


def test_story():
    """from nothing it writes its sentence"""
    found = generate("--prompt", "")
    assert found["text"].strip().startswith(STORY), found["text"]
    assert len(found["ids"]) == 80


def test_nats_per_token():
    """300 real stories, each from its bos and cut at 512 tokens, cost the nats a token of shared/data/README.md"""
    with folder() as name:
        stories = text("tinystories_sample.txt", 0, None).split("<|endoftext|>")[:300]
        data = write_lines(pathlib.Path(name) / "text.jsonl", [{"text": story.strip()} for story in stories])
        found = evaluate(data, "--max-seq-len", 512, "--no-eos")
        assert found["cut"] > 0 and abs(found["loss"] - 1.50) < 0.005, found


def test_it_learns_a_text():
    """finetuned on Alice it knows her held-out pages better; the saved adapter changes what it writes"""
    with folder() as name:
        home = pathlib.Path(name)
        data = write_lines(home / "alice.jsonl", [{"text": text("alice.txt", 400 * i, 400)} for i in range(60)])
        heldout = write_lines(home / "heldout.jsonl", [{"text": text("alice.txt", 100000 + 400 * i, 400)} for i in range(10)])
        before = evaluate(heldout)["loss"]
        good("finetune", "--model", MODEL, "--data", data, "--adapter", "lora", "--rank", 8, "--lr", 5e-3, "--epochs", 2, "--out",
             home / "run", "--dtype", "fp32")
        assert evaluate(heldout, "--adapter", home / "run")["loss"] < before - 0.2
        asked = ["--prompt", "Alice was"]
        assert generate(*asked, "--adapter", home / "run")["ids"] != generate(*asked)["ids"]


def test_prompt_of_text():
    """only the completion is trained unless asked otherwise, and --no-eos leaves the end out"""
    with folder() as name:
        data = write_lines(pathlib.Path(name) / "pairs.jsonl", [{"prompt": "Once upon a", "completion": " time, there was"}])
        answer = evaluate(data)["tokens"]
        assert evaluate(data, "--no-eos")["tokens"] == answer - 1
        assert evaluate(data, "--train-on", "all")["tokens"] > answer


def test_inspect():
    """inspect reads a llama2.c model and a PEFT folder"""
    model = json.loads(good("inspect", MODEL, "--json"))
    assert model["kind"] == "model" and model["format"] == "llama2.c" and model["layers"] == 5 and model["vocab"] == 512, model
    adapter = json.loads(good("inspect", GOLDEN / "adapters" / "lora", "--json"))
    assert adapter["kind"] == "adapter", adapter
    assert "LORA" in good("inspect", GOLDEN / "adapters" / "lora")


def test_loreft_needs_a_prompt():
    """where the prompt is empty, positions are refused with the advice to edit all"""
    with folder() as name:
        home = pathlib.Path(name)
        data = write_lines(home / "text.jsonl", [{"text": "Once upon a time."}])
        words = ["finetune", "--model", MODEL, "--data", data, "--adapter", "loreft", "--steps", 1, "--out", home / "run"]
        done = graft(*words)
        assert done.returncode == 2 and "train.438" in done.stderr and "--positions all" in done.stderr, done.stderr
        good(*words, "--positions", "all")


run_tests(globals())
