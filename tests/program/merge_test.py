# SPDX-License-Identifier: Apache-2.0
"""graft merge: the model that comes out needs no adapter, answers as model and adapter did together, and nothing is lost."""
import json
import pathlib

from program import ROOT, folder, good, graft, read_safetensors, run_tests

MODEL = ROOT / "examples/models/village"
DATA = ROOT / "examples/data/village"


def train(out, *words):
    good("finetune", "--model", MODEL, "--data", DATA / "train.jsonl", "--no-eos", "--steps", 20, "--batch-size", 8, "--out", out, *words)
    return out


def loss(model, *words):
    return json.loads(good("eval", "--model", model, "--data", DATA / "heldout.jsonl", "--no-eos", "--json", "--dtype", "fp32", *words))["loss"]


def test_merged_is_attached():
    """LoRA, PMSS and full finetuning: merged in fp32 the loss is that of model and adapter, in bf16 nearly so"""
    with folder() as name:
        home = pathlib.Path(name)
        for adapter, rate in (("lora", 5e-3), ("pmss", 5e-3), ("full", 1e-3)):
            words = ["--rank", 8] if adapter != "full" else []
            run = train(home / adapter, "--adapter", adapter, "--lr", rate, "--dtype", "fp32", *words)
            expected = loss(MODEL, "--adapter", run)
            assert abs(loss(MODEL) - expected) > 0.1, adapter
            wide, narrow = home / f"{adapter}-fp32", home / f"{adapter}-own"
            good("merge", "--model", MODEL, "--adapter", run, "--out", wide, "--dtype", "fp32")
            assert abs(loss(wide) - expected) < 1e-4, adapter
            done = graft("merge", "--model", MODEL, "--adapter", run, "--out", narrow)
            assert done.returncode == 0 and "with the tokenizer" in done.stderr, done.stderr
            assert abs(loss(narrow) - expected) < 0.05, adapter
            tensors = read_safetensors(narrow / "model.safetensors")
            assert {dtype for dtype, _, _ in tensors.values()} == {"BF16"} and "lm_head.weight" not in tensors
            assert {path.name for path in narrow.iterdir()} == {path.name for path in MODEL.iterdir()}


def test_reft_is_refused():
    """an edit that depends on the position says why it cannot be merged, and nothing is written"""
    with folder() as name:
        home = pathlib.Path(name)
        run = train(home / "run", "--adapter", "loreft")
        done = graft("merge", "--model", MODEL, "--adapter", run, "--out", home / "out")
        assert done.returncode == 2 and "adapter.680" in done.stderr and "positions" in done.stderr, done.stderr
        assert not (home / "out").exists()


def test_taken_folder():
    """a folder with a model in it is left alone unless --overwrite is given; flags and dtypes are checked"""
    with folder() as name:
        home = pathlib.Path(name)
        run = train(home / "run")
        words = ["merge", "--model", MODEL, "--adapter", run, "--out", home / "out"]
        good(*words)
        before = (home / "out/model.safetensors").read_bytes()
        done = graft(*words)
        assert done.returncode == 2 and "train.437" in done.stderr and "--overwrite" in done.stderr
        assert (home / "out/model.safetensors").read_bytes() == before
        good(*words, "--overwrite")
        for wrong in (["--dtype", "fp8", "--overwrite"], ["--adapter", home]):
            assert graft(*words, *wrong).returncode == 2
        assert "--adapter is missing" in graft("merge", "--model", MODEL, "--out", home / "x").stderr


run_tests(globals())
