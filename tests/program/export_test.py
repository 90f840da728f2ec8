# SPDX-License-Identifier: Apache-2.0
"""graft export: what another program gets is what was trained, read back and compared; what it cannot hold is refused."""
import json
import pathlib

from program import ROOT, folder, good, graft, run_tests

MODEL = ROOT / "examples/models/village"
DATA = ROOT / "examples/data/village"


def train(out, *words):
    good("finetune", "--model", MODEL, "--data", DATA / "train.jsonl", "--no-eos", "--steps", 20, "--batch-size", 8, "--out", out, *words)
    return out


def loss(*words):
    return json.loads(good("eval", "--model", MODEL, "--data", DATA / "heldout.jsonl", "--no-eos", "--json", "--dtype", "fp32", *words))["loss"]


def export(run, to, out, *words):
    return graft("export", "--model", MODEL, "--adapter", run, "--to", to, "--out", out, *words)


def test_exported_is_attached():
    """each format holds what was trained: the loss is the same, and the receipt says how nearly the logits are"""
    cases = (("pmss", ["--rank", 8], ("peft", "graft"), "adapter_config.json"),
             ("pissa", ["--rank", 4], ("peft",), "adapter_config.json"),
             ("lora", ["--rank", 4], ("graft", "peft"), "adapter_config.json"),
             ("loreft", ["--positions", "f2+l2"], ("pyreft", "graft"), "receipt.json"),
             ("direft", ["--positions", "all"], ("pyreft",), "config.json"))
    with folder() as name:
        home = pathlib.Path(name)
        for adapter, words, formats, config in cases:
            run = train(home / adapter, "--adapter", adapter, "--lr", 5e-3, "--dtype", "fp32", *words)
            expected = loss("--adapter", run)
            assert abs(loss() - expected) > 0.05, adapter
            for to in formats:
                out = home / f"{adapter}-{to}"
                done = export(run, to, out, "--json")
                assert done.returncode == 0 and "receipt: " in done.stderr and (out / config).is_file(), done.stderr
                receipt = json.loads((out / "receipt.json").read_text())
                assert json.loads(done.stdout) == receipt and receipt["format"] == to, receipt
                assert receipt["prompts"] >= 8 and receipt["tokens"] >= 256 and receipt["modules"] > 0, receipt
                assert receipt["largest_difference"] <= receipt["tolerance"]["largest"] == 1e-4, receipt
                assert abs(loss("--adapter", out) - expected) < 1e-5, (adapter, to)


def test_finetune_as_peft():
    """finetune --format peft writes whatever PEFT has, not LoRA alone, and eval reads it back"""
    with folder() as name:
        home = pathlib.Path(name)
        for adapter, kind in (("dora", "LORA"), ("ia3", "IA3"), ("prompt", "PROMPT_TUNING")):
            run = train(home / adapter, "--adapter", adapter, "--lr", 5e-3, "--dtype", "fp32", "--format", "peft")
            assert json.loads((run / "adapter_config.json").read_text())["peft_type"] == kind, adapter
            assert abs(loss() - loss("--adapter", run)) > 0.01, adapter


def test_refusals():
    """what the other program cannot hold is refused with the reason, as are formats that do not exist and names that are taken"""
    with folder() as name:
        home = pathlib.Path(name)
        reft, lora = train(home / "reft", "--adapter", "loreft"), train(home / "lora")
        before = {path.name for path in home.iterdir()}
        for run, to, words in ((reft, "peft", ("adapter.673", "no linear map gives alone", str(home / "out"))),
                               (lora, "pyreft", ("adapter.770", "no intervention")),
                               (lora, "onnx", ("train.431", "--to", "peft, pyreft, mlx, gguf-lora, control-vector, graft"))):
            done = export(run, to, home / "out")
            assert done.returncode == 2 and all(word in done.stderr for word in words) and "unproved" not in done.stderr, done.stderr
        done = export(lora, "peft", lora)
        assert done.returncode == 2 and "train.437" in done.stderr, done.stderr
        assert "--to is missing" in graft("export", "--model", MODEL, "--adapter", lora, "--out", home / "out").stderr
        assert {path.name for path in home.iterdir()} == before


def test_overwrite_keeps_the_rest():
    """an export over an older one replaces its files and leaves others alone; compared in bf16 the bound is bf16's"""
    with folder() as name:
        home = pathlib.Path(name)
        run = train(home / "run", "--adapter", "pmss", "--rank", 4)
        assert export(run, "peft", home / "out").returncode == 0
        (home / "out/notes.txt").write_text("mine")
        done = export(run, "peft", home / "out", "--overwrite", "--dtype", "bf16", "--json")
        assert done.returncode == 0, done.stderr
        receipt = json.loads(done.stdout)
        assert receipt["computed_in"] == receipt["numbers"] == "bf16" and receipt["tolerance"]["largest"] == 0.05
        assert (home / "out/notes.txt").read_text() == "mine" and {path.name for path in home.iterdir()} == {"run", "out"}


run_tests(globals())
