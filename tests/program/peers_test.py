# SPDX-License-Identifier: Apache-2.0
"""The program opens the folders that other programs saved: eval, generate, merge and inspect, with the positions a user gives."""
import json
import pathlib

from program import GOLDEN, folder, good, graft, run_tests, write_lines

MODEL = GOLDEN / "models" / "llama-gqa"
PYREFT = GOLDEN / "reft" / "loreft-tied" / "saved"


def loss(home, *words):
    write_lines(home / "data.jsonl", [{"input_ids": [3, 14, 15, 92, 65, 35, 89, 79], "labels": [-100] * 5 + [35, 89, 79]}])
    return json.loads(good("eval", "--model", MODEL, "--data", home / "data.jsonl", "--dtype", "fp32", "--json", *words))["loss"]


def test_open():
    """eval takes folders of mlx-lm, AdapterHub and pyreft and a GGUF LoRA, and each changes the loss"""
    with folder() as name:
        home = pathlib.Path(name)
        plain = loss(home)
        for words in [["mlx/lora"], ["mlx/dora"], ["adapterhub/loreft-untied"], ["reft/loreft-tied/saved", "--positions", "f2+l2"], ["io/lora-all.gguf"]]:
            found = loss(home, "--adapter", GOLDEN / words[0], *words[1:])
            assert abs(found - plain) > 1e-3, words
        one, two = (loss(home, "--adapter", PYREFT, "--positions", positions) for positions in ("f2+l2", "l1"))
        assert one != two


def test_positions():
    """positions are asked for where the folder lacks them, and refused where it holds them"""
    with folder() as name:
        home = pathlib.Path(name)
        data = write_lines(home / "data.jsonl", [{"input_ids": [3, 14, 15], "labels": [-100, 14, 15]}])
        words = ["eval", "--model", MODEL, "--data", data]
        for extra, code in [(["--adapter", PYREFT], "adapter.767"), (["--adapter", PYREFT, "--positions", "x"], "train.436"),
                            (["--adapter", GOLDEN / "mlx/lora", "--positions", "f1"], "adapter.830")]:
            done = graft(*words, *extra)
            assert done.returncode == 2 and code in done.stderr, (extra, done.stderr)


def test_merge():
    """an adapter of mlx-lm merges into the model; the merged model has its loss"""
    with folder() as name:
        home = pathlib.Path(name)
        adapter = GOLDEN / "mlx/dora"
        good("merge", "--model", MODEL, "--adapter", adapter, "--out", home / "merged")
        write_lines(home / "data.jsonl", [{"input_ids": [3, 14, 15, 92, 65], "labels": [-100, -100, 15, 92, 65]}])
        words = ["--data", home / "data.jsonl", "--dtype", "fp32", "--json"]
        apart = json.loads(good("eval", "--model", MODEL, "--adapter", adapter, *words))["loss"]
        merged = json.loads(good("eval", "--model", home / "merged", *words))["loss"]
        assert abs(apart - merged) < 1e-4 * abs(apart), (apart, merged)
        done = graft("merge", "--model", MODEL, "--adapter", PYREFT, "--positions", "f2+l2", "--out", home / "no")
        assert done.returncode == 2 and not (home / "no").exists(), done.stderr


def test_inspect():
    """inspect says what a GGUF adapter holds, and what graft understands of a folder, without a model and without positions"""
    for adapter, maker, kind in [("mlx/lora", "mlx-lm LoRA", "lora"), ("adapterhub/loreft-untied", "AdapterHub ReFT", "subspace"),
                                 ("reft/loreft-tied/saved", "pyreft", "subspace")]:
        found = json.loads(good("inspect", "--json", GOLDEN / adapter))
        assert found["config"]["saved by"] == maker and found["config"]["parts"][0]["adapter"] == kind, found
        assert maker in good("inspect", GOLDEN / adapter)
    found = json.loads(good("inspect", "--json", GOLDEN / "io/lora-all.gguf"))
    assert found["kind"] == "adapter" and found["config"]["adapter.type"] == "lora" and found["stored"]["F32"]["tensors"] == 42, found
    assert "not in the folder" in good("inspect", PYREFT)
    assert "f7+l7" in good("inspect", PYREFT, "--positions", "f7+l7")


run_tests(globals())
