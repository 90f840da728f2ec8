# SPDX-License-Identifier: Apache-2.0
"""Data as people keep it: folders, lists, texts, order by length; read from the disk; and what a dry run says."""
import json
import os
import pathlib
import re

from program import ROOT, folder, good, graft, run_tests, write_lines

MODEL = ["--model", ROOT / "examples/models/village"]
TRAIN = ROOT / "examples/data/village/train.jsonl"
HELDOUT = ROOT / "examples/data/village/heldout.jsonl"


def records(path, count):
    return [json.loads(line) for line in path.read_text().splitlines()[:count]]


def losses(out):
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


def test_folder():
    """a folder's train file is trained, its valid file measured; eval takes its test file; a JSON list is the same as lines"""
    with folder() as name:
        home = pathlib.Path(name)
        data = home / "data"
        data.mkdir()
        write_lines(data / "train.jsonl", records(TRAIN, 40))
        write_lines(data / "valid.jsonl", records(HELDOUT, 20))
        good("finetune", *MODEL, "--data", data, "--steps", 3, "--out", home / "run")
        run = json.loads((home / "run/run.json").read_text())
        assert run["valid"]["path"].endswith("valid.jsonl") and run["valid"]["records"] == 20
        assert run["data"]["path"].endswith("train.jsonl")
        (data / "train.json").write_text(json.dumps(records(TRAIN, 40)))
        good("finetune", *MODEL, "--data", data / "train.json", "--steps", 3, "--out", home / "list")
        assert losses(home / "list") == losses(home / "run")
        found = json.loads(good("eval", *MODEL, "--data", data, "--json"))
        assert found == json.loads(good("eval", *MODEL, "--data", data / "valid.jsonl", "--json"))
        write_lines(data / "test.jsonl", records(HELDOUT, 5))
        assert json.loads(good("eval", *MODEL, "--data", data, "--json"))["records"] == 5
        for missing in ("train.jsonl", "train.json"):
            (data / missing).unlink()
        done = graft("finetune", *MODEL, "--data", data, "--out", home / "none")
        assert done.returncode == 2 and "train.470" in done.stderr, done.stderr


def test_conversations():
    """every turn of the assistant is trained, no other is"""
    with folder() as name:
        home = pathlib.Path(name)
        data = write_lines(home / "chat.jsonl", [{"messages": [
            {"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Ida smiled."},
            {"role": "user", "content": "And?"}, {"role": "assistant", "content": "Max frowned."}]}])
        shown = json.loads(good("preview", *MODEL, "--chat-template", "plain", "--data", data, "--json"))
        trained = "".join(t["text"] for t in shown["examples"][0]["tokens"] if t["trained"])
        assert "Ida smiled." in trained and "Max frowned." in trained and "And?" not in trained and "Hi." not in trained, trained


def test_text():
    """a .txt file is trained whole: no token is cut, every byte of it is there"""
    with folder() as name:
        home = pathlib.Path(name)
        text = "".join(r["prompt"] + r["completion"] + "\n" for r in records(TRAIN, 60))
        (home / "stories.txt").write_text(text)
        good("finetune", *MODEL, "--data", home / "stories.txt", "--steps", 2, "-c", 64, "--no-eos", "--out", home / "run")
        data = json.loads((home / "run/run.json").read_text())["data"]
        assert data["keys"] == "plain text" and data["cut"] == data["too_long"] == data["untrained"] == 0, data
        shown = json.loads(good("preview", *MODEL, "--data", home / "stories.txt", "-c", 64, "--no-eos", "-n", 10000, "--json"))
        whole = "".join(t["text"] for example in shown["examples"] for t in example["tokens"])
        assert whole.replace(" ", "") == text.replace(" ", "")


def test_by_length():
    """--group-by-length begins with the longest, is repeatable, and another order than without"""
    with folder() as name:
        home = pathlib.Path(name)
        data = write_lines(home / "d.jsonl", [{"input_ids": [5] * (3 + i * 7 % 41)} for i in range(200)])
        runs = []
        for out, words in [("a", ["--group-by-length"]), ("b", ["--group_by_length"]), ("c", [])]:
            good("finetune", *MODEL, "--data", data, "--batch-size", 1, "--epochs", 1, "--lr", 0, "--out", home / out, *words)
            runs.append([json.loads(line)["tokens"] for line in (home / out / "log.jsonl").read_text().splitlines()])
        assert runs[0] == runs[1] != runs[2] and sum(runs[0]) == sum(runs[2])
        assert runs[0][0] == max(runs[0])


def test_memory():
    """a file of many records takes no more memory than one of few: neither training and its validation, nor looking at it"""
    with folder() as name:
        home = pathlib.Path(name)
        peaks = []
        for count in (20_000, 400_000):
            data = home / f"{count}.jsonl"
            with data.open("w") as file:  # in pieces: the peak of this process, too, is one that the program starts from
                for _ in range(count // 1000):
                    file.write('{"input_ids":[5,6]}\n' * 1000)
            found = json.loads(good("finetune", *MODEL, "--data", data, "--val-split", 0.1, "--group-by-length", "--adapter",
                                    "bitfit", "--dry-run", "--json"))
            peaks.append(found["peak_bytes"])
            assert found["steps"] == -(-count * 9 // 10 // 8), found
        assert peaks[1] - peaks[0] < 8 * 380_000, peaks  # where a record begins alone would take more in memory


def test_disk():
    """an index that finds no room is an error that names the folder, before anything is trained"""
    with folder() as name:
        home = pathlib.Path(name)
        data = home / "long.jsonl"
        data.write_text('{"input_ids":[5,6]}\n' * 100_000)
        done = graft("preview", *MODEL, "--data", data, env=os.environ | {"TMPDIR": name + "/absent"})
        assert done.returncode == 2 and "io.203" in done.stderr and name + "/absent" in done.stderr, done.stderr
        good("preview", *MODEL, "--data", data, env=os.environ | {"TMPDIR": name})
        assert sorted(path.name for path in home.iterdir()) == ["long.jsonl"]


def test_dry_run():
    """parts of memory, tokens, steps, time and measured peak are told; nothing is written, and no folder is asked for"""
    with folder() as name:
        home = pathlib.Path(name)
        good("finetune", *MODEL, "--data", TRAIN, "--dry-run")
        done = graft("finetune", *MODEL, "--data", TRAIN, "--val-split", 0.1, "--dry-run", "--out", home / "run")
        assert done.returncode == 0 and not (home / "run").exists(), done.stderr
        for part in ["weights of the model", "adapter", "gradients", "optimizer", "activations of a batch", "head",
                     "validation", "together", "tokens carry loss", "ms for a step", "of the forecast", "nothing was written"]:
            assert re.search(part, done.stderr), (part, done.stderr)


run_tests(globals())
