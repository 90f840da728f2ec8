# SPDX-License-Identifier: Apache-2.0
"""What a run folder holds for those who look at it: samples, memory by part, sizes of edits, skeletons."""
import json
import pathlib

from program import ROOT, folder, good, run_tests, write_lines

MODEL = ROOT / "examples/models/village"
DATA = ROOT / "examples/data/village"
TASK = ["--data", DATA / "train.jsonl", "--valid", DATA / "heldout.jsonl", "--choices", "yes,no", "--no-eos"]
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><b>&amp;</b> \u2028 \\u003c"


def train(out, *words):
    good("finetune", "--model", MODEL, *TASK, "--steps", 6, "--batch-size", 4, "--sample-tokens", 4, "--out", out, *words)
    return out


def test_numbers_of_a_run():
    """a run folder holds what the page draws: samples before and after, memory by part, sizes of edits, skeletons"""
    with folder() as name:
        home = pathlib.Path(name)
        run = json.loads((train(home / "pmss", "--adapter", "pmss", "--rank", 4, "--sample", HOSTILE) / "run.json").read_text())
        (sample,) = run["samples"]
        assert sample["prompt"] == HOSTILE and sample.keys() == {"prompt", "before", "after"}
        assert {"adapter", "weights"} <= {part["name"].split(",")[0].split()[0] for part in run["memory"]["parts"]}
        edits = json.loads((home / "pmss" / "edits.json").read_text())
        layers = run["model"]["layers"]
        assert len(edits["blocks"]) == layers and len(edits["skeletons"]) == 7 * layers and edits["prompts"] == 4
        for block in edits["blocks"]:
            assert block["mean"] > 0 and 1 <= block["effective_rank"] <= 64 and len(block["first"]) == len(block["last"]) == 8
        for chosen in edits["skeletons"]:
            assert len(set(chosen["columns"])) == len(set(chosen["rows"])) == 4
            assert max(chosen["columns"]) < chosen["inputs"] and max(chosen["rows"]) < chosen["outputs"]

        train(home / "loreft", "--adapter", "loreft:rank=2,layers=1,positions=f1+l2", "--samples", 3)
        run = json.loads((home / "loreft" / "run.json").read_text())
        assert len({sample["prompt"] for sample in run["samples"]}) == 3
        edits = json.loads((home / "loreft" / "edits.json").read_text())
        for l, block in enumerate(edits["blocks"]):
            assert all((size > 1e-4) == (l == 1 and k < 1) for k, size in enumerate(block["first"])), (l, block)
            assert all((size > 1e-4) == (l == 1 and k < 2) for k, size in enumerate(block["last"])), (l, block)
            assert block["effective_rank"] <= 2.01, block
        assert "skeletons" not in edits

        train(home / "bare", "--samples", 0, "--probe", 0)
        assert json.loads((home / "bare" / "run.json").read_text())["samples"] == []
        assert not (home / "bare" / "edits.json").exists()


def test_texts_without_questions():
    """a text without a prompt is sampled and probed by its first half; without a validation set the training data speaks"""
    with folder() as name:
        home = pathlib.Path(name)
        records = [json.loads(line) for line in (DATA / "stories.jsonl").read_text().splitlines()]
        stories = [record["prompt"] + record["completion"] for record in records]
        data = write_lines(home / "texts.jsonl", [{"text": story} for story in stories])
        good("finetune", "--model", MODEL, "--data", data, "--steps", 1, "--batch-size", 2, "--adapter", "lora", "--out",
             home / "run")
        run = json.loads((home / "run" / "run.json").read_text())
        assert len(run["samples"]) == 2
        for sample, story in zip(run["samples"], stories):
            assert story.startswith(sample["prompt"].strip()) and len(sample["prompt"]) < len(story), (sample, story)
            assert len(sample["before"]) > 0 and len(sample["after"]) > 0


run_tests(globals())
