# SPDX-License-Identifier: Apache-2.0
"""graft report, and what it reports: answers chosen by likelihood, before and after, and the text that is to be retained."""
import json
import pathlib

from program import ROOT, folder, good, graft, run_tests, write_lines

MODEL = ROOT / "examples/models/village"
DATA = ROOT / "examples/data/village"
TASK = ["--data", DATA / "train.jsonl", "--valid", DATA / "heldout.jsonl", "--choices", "yes,no", "--no-eos"]


def train(out, *words):
    good("finetune", "--model", MODEL, *TASK, "--retain", DATA / "stories.jsonl", "--steps", 4, "--out", out, *words)
    return json.loads((out / "run.json").read_text())


def test_report():
    """a row for each run with what its run.json says, one picture with a line for each, and all of it as JSON"""
    with folder() as name:
        home = pathlib.Path(name)
        runs = {adapter: train(home / adapter, "--adapter", adapter, "--rank", 4) for adapter in ("lora", "loreft")}
        text = good("report", home / "lora", home / "loreft", "--svg", home / "losses.svg")
        for adapter, run in runs.items():
            row = next(line for line in text.splitlines() if line.startswith(adapter))
            scores = run["scores"]
            for value in (f"{run['model']['trainable']:,}", f"{scores['after']['valid_loss']:.3f}",
                          f"{100 * scores['before']['valid_accuracy']:.1f} -> {100 * scores['after']['valid_accuracy']:.1f}"):
                assert value in row, (value, row)
        picture = (home / "losses.svg").read_text()
        assert picture.count("<polyline") == 2 and ">loreft<" in picture
        told = json.loads(good("report", home / "lora", home / "loreft", "--json"))["runs"]
        assert [run["settings"]["adapter"] for run in told] == ["lora", "loreft"]
        again = train(home / "again", "--adapter", "lora", "--rank", 4)
        assert again["scores"] == runs["lora"]["scores"]
        assert f"lora ({home / 'again'})" in good("report", home / "lora", home / "again")
        assert "*" not in text, text


def test_report_without_validation():
    """a run that measured nothing shows the losses of its own first and last batch, and says so"""
    with folder() as name:
        run = pathlib.Path(name) / "run"
        good("finetune", "--model", MODEL, "--data", DATA / "train.jsonl", "--no-eos", "--steps", 3, "--out", run)
        log = [json.loads(line)["loss"] for line in (run / "log.jsonl").read_text().splitlines()]
        text = good("report", run)
        assert f"{log[0]:.3f} -> {log[-1]:.3f} *" in text and "no --valid" in text, text


def test_measured_before_and_after():
    """run.json has the scores of eval itself: of the model alone before, with the adapter after"""
    with folder() as name:
        home = pathlib.Path(name)
        run = train(home / "run", "--dtype", "fp32")
        for when, words in (("before", []), ("after", ["--adapter", home / "run"])):
            common = ["eval", "--model", MODEL, "--no-eos", "--json", "--dtype", "fp32", *words]
            chosen = json.loads(good(*common, "--data", DATA / "heldout.jsonl", "--choices", "yes,no"))
            kept = json.loads(good(*common, "--data", DATA / "stories.jsonl"))
            scores = run["scores"][when]
            assert abs(scores["valid_loss"] - chosen["loss"]) < 1e-4 and scores["valid_accuracy"] == chosen["accuracy"]
            assert abs(scores["retain_perplexity"] / kept["perplexity"] - 1) < 1e-4


def test_mistakes():
    """folders without a run, answers that are none, choices without questions: one error each that says what to do"""
    with folder() as name:
        home = pathlib.Path(name)
        done = graft("report", home)
        assert done.returncode == 2 and "train.442" in done.stderr and str(home) in done.stderr
        data = write_lines(home / "odd.jsonl", [{"prompt": "Is it?", "completion": " perhaps"}])
        done = graft("eval", "--model", MODEL, "--data", data, "--choices", "yes,no")
        assert done.returncode == 2 and "train.428" in done.stderr and "perhaps" in done.stderr
        done = graft("finetune", "--model", MODEL, "--data", data, "--choices", "yes,no", "--out", home / "x")
        assert done.returncode == 2 and "train.430" in done.stderr and "--valid" in done.stderr
        done = graft("eval", "--model", MODEL, "--data", data, "--choices", "perhaps,no", "--logits", home / "x.npy")
        assert done.returncode == 2 and "train.430" in done.stderr


run_tests(globals())
