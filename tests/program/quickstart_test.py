# SPDX-License-Identifier: Apache-2.0
"""examples/quickstart.sh in a shorter setting: three adapters, each above 90 %, their logs, one table and one picture."""
import json
import pathlib
import subprocess

from program import GRAFT, ROOT, folder, run_tests

METHODS = ["lora", "pmss", "loreft"]


def quickstart(*words, steps=150):
    done = subprocess.run(["bash", str(ROOT / "examples/quickstart.sh"), "--graft", GRAFT,
                           "--steps", str(steps), *map(str, words)], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def scores(out, method):
    return json.loads((out / method / "run.json").read_text())["scores"]


def test_quickstart():
    """the untouched model is at chance, each adapter answers nine of ten, and what the model knew is still there"""
    with folder() as name:
        out = pathlib.Path(name) / "quick"
        shown = quickstart("--out", out)
        for method in METHODS:
            assert {"adapter_config.json", "adapter_model.safetensors", "log.jsonl", "run.json"} <= {
                path.name for path in (out / method).iterdir()}
            found = scores(out, method)
            assert 0.35 < found["before"]["valid_accuracy"] < 0.65, (method, found)
            assert found["after"]["valid_accuracy"] > 0.9, (method, found)
            assert found["after"]["retain_perplexity"] < 1.5 * found["before"]["retain_perplexity"], (method, found)
            row = next(line for line in shown.splitlines() if line.startswith(method + " "))
            assert f"{100 * found['after']['valid_accuracy']:.1f}" in row, row
        picture = (out / "losses.svg").read_text()
        assert picture.count("<polyline") == 3 and all(f">{method}<" in picture for method in METHODS)
        for line in shown.splitlines():  # the commands to try next are what they say
            if line.startswith("  ") and (" generate " in line or " merge " in line):
                done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False, cwd=ROOT)
                assert done.returncode == 0, line + done.stderr
        assert (out / "merged" / "model.safetensors").is_file() and (out / "merged" / "tokenizer.json").is_file()


def test_again():
    """run again it replaces its runs, and says how to call it"""
    with folder() as name:
        out = pathlib.Path(name) / "quick"
        for steps in (2, 3):
            quickstart("--out", out, steps=steps)
            assert json.loads((out / "pmss" / "run.json").read_text())["result"]["steps"] == steps
    help_text = subprocess.run(["bash", str(ROOT / "examples/quickstart.sh"), "--help"], capture_output=True, text=True, check=True)
    assert "--real" in help_text.stdout
    wrong = subprocess.run(["bash", str(ROOT / "examples/quickstart.sh"), "--fast"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "--fast" in wrong.stderr


run_tests(globals())
