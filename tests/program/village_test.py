# SPDX-License-Identifier: Apache-2.0
"""The embedded model is what its program makes, and its pretraining is what the quickstart's adapters live on: without it,
or from the words alone, the task is not learnt."""
import json
import math
import pathlib
import re
import subprocess
import sys

from program import GRAFT, ROOT, folder, good, run_tests

VILLAGE = sys.argv[2]
DATA = ROOT / "examples/data/village"
MODEL = ROOT / "examples/models/village"


def items(name):
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]


def words(item):
    return re.findall(r"[A-Za-z]+", item["prompt"])


def made():
    """What the program makes, once for all tests."""
    if not hasattr(made, "folder"):
        made.folder = folder()
        subprocess.run([VILLAGE, made.folder.name], check=True, capture_output=True)
    return pathlib.Path(made.folder.name)


def test_remade():
    """the program makes the committed data, tokenizer and shape again"""
    for name in ("train", "heldout", "stories"):
        assert (made() / f"{name}.jsonl").read_bytes() == (DATA / f"{name}.jsonl").read_bytes(), name
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (made() / "start" / name).read_bytes() == (MODEL / name).read_bytes(), name
    start, model = (json.loads((place / "config.json").read_text()) for place in (made() / "start", MODEL))
    assert start.pop("torch_dtype") == "float32" and model.pop("torch_dtype") == "bfloat16"
    assert start == model
    assert (MODEL / "model.safetensors").stat().st_size < 4e6


def test_split():
    """held-out items share no template, no thing and no adjective with the training items; every word is balanced"""
    train, heldout = items("train"), items("heldout")
    common = {word for item in train for word in words(item)} & {word for item in heldout for word in words(item)}

    def template(item):
        sentence = item["prompt"].split(". ", 1)[1].rsplit(". ", 1)[0]  # without opening and question
        return " ".join("*" if word[0].isupper() and word not in ("The", "Q") or word not in common else word
                        for word in re.findall(r"[A-Za-z]+", sentence))
    assert not {template(item) for item in train} & {template(item) for item in heldout}
    for part in (train, heldout):
        balance = {}
        for item in part:
            for word in set(words(item)):
                balance[word] = balance.get(word, 0) + (1 if item["completion"] == " yes" else -1)
        template_words = {"true", "wrong", "not", "but", "far", "first", "then", "Nobody", "Everybody", "Instead"}
        assert all(balance.get(word, 0) == 0 for word in template_words), balance


def test_bag_of_words():
    """a logistic regression on the words of a prompt stays below 75 % on the held-out items"""
    train, heldout = items("train"), items("heldout")
    vocabulary = sorted({word for item in train for word in words(item)})
    weights = dict.fromkeys(vocabulary, 0.0)
    bias = 0.0

    def logit(item):
        return bias + sum(weights.get(word, 0.0) for word in set(words(item)))
    for epoch in range(60):
        for item in train:
            error = (item["completion"] == " yes") - 1 / (1 + math.exp(-logit(item)))
            rate = 0.1 / (1 + 0.1 * epoch)
            bias += rate * error
            for word in set(words(item)):
                weights[word] += rate * error
    right = sum((logit(item) > 0) == (item["completion"] == " yes") for item in heldout)
    assert right / len(heldout) < 0.75, right / len(heldout)


def test_random_trunk():
    """the quickstart's recipes on the same shape before its pretraining stay below 70 %"""
    with folder() as name:
        subprocess.run(["bash", str(ROOT / "examples/quickstart.sh"), "--graft", GRAFT, "--model",
                        str(made() / "start"), "--out", name], check=True, capture_output=True, text=True)
        for method in ("lora", "pmss", "loreft"):
            after = json.loads((pathlib.Path(name) / method / "run.json").read_text())["scores"]["after"]
            assert after["valid_accuracy"] < 0.7, (method, after)


def test_pretraining_step():
    """the pretraining command of examples/village/remake.sh runs, and what it makes merges into the shape of the model"""
    with folder() as name:
        out = pathlib.Path(name)
        subprocess.run(["bash", str(ROOT / "examples/village/remake.sh"), "--graft", GRAFT, "--village",
                        str(pathlib.Path(VILLAGE).resolve()), "--steps", "2", "--work", str(out / "work"), "--into", str(out / "made")],
                       check=True, capture_output=True, text=True)
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            assert (out / "made/models/village" / name).read_bytes() == (MODEL / name).read_bytes(), name
        assert json.loads(good("inspect", out / "made/models/village", "--json"))["layers"] == 4


run_tests(globals())
