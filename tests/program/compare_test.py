# SPDX-License-Identifier: Apache-2.0
"""graft compare: a study is run once, whatever breaks it off, and its tables say what its runs say."""
import csv
import datetime
import json
import pathlib
import shutil
import signal
import statistics
import subprocess
import time
import xml.dom.minidom

import browser
from program import GRAFT, ROOT, folder, good, graft, run_tests

MODEL = ROOT / "examples/models/village"
DATA = ROOT / "examples/data/village"


def lines(name, count):
    return [json.loads(line) for line in (DATA / name).read_text().splitlines()[:count]]


def study_in(home, **changes):
    """A study of two adapters and two seeds, seconds long, in a folder of its own; paths are relative to it."""
    home.mkdir(parents=True, exist_ok=True)
    for name, count in (("train.jsonl", 96), ("heldout.jsonl", 24), ("stories.jsonl", 8)):
        (home / name).write_text("".join(json.dumps(line) + "\n" for line in lines(name, count)))
    study = {"name": "two methods", "model": str(MODEL), "seeds": [3, 4], "budget": {"steps": 6},
             "settings": {"micro_batch_size": 8, "no_eos": True, "threads": 1, "probe": 0, "samples": 1, "sample_tokens": 1},
             "tasks": [{"name": "answers", "data": "train.jsonl", "val_split": 16, "choices": "yes,no", "test": "heldout.jsonl"}],
             "adapters": [{"name": "LoRA r2", "adapter": {"peft_type": "LORA", "r": 2}, "lr": [2e-3, 1e-9]},
                          {"name": "PMSS|r4, random", "adapter": "pmss:rank=4", "lr": 2e-3, "selector": "random"}]}
    study.update(changes)
    (home / "study.json").write_text(json.dumps(study))
    return home / "study.json"


def records(out):
    return {path.stem: json.loads(path.read_text()) for path in (out / "results").iterdir()}


def rows_of(out):
    return list(csv.DictReader((out / "table.csv").read_text(encoding="utf-8").splitlines()))


def numbers(out):
    """What does not depend on the clock or on the process."""
    return {name: (found["train_info"]["status"], found["study"].get("quality"), found["study"].get("valid_loss"),
                   found["train_info"]["num_trainable_params"], found["train_info"]["file_size"])
            for name, found in records(out).items()}


NAMES = {"answers--none", "answers--LoRA-r2--lr0.002--seed3", "answers--LoRA-r2--lr1e-09--seed3", "answers--LoRA-r2--lr0.002--seed4",
         "answers--PMSS-r4-random--lr0.002--seed3", "answers--PMSS-r4-random--lr0.002--seed4"}


def test_a_study():
    """a study gives tables, results in PEFT's shape, pictures and a page, all of the same numbers as its runs; again it runs nothing"""
    with folder() as name:
        home, out = pathlib.Path(name), pathlib.Path(name) / "out"
        study = study_in(home)
        shown = good("compare", study, "--out", out)
        assert numbers(out).keys() == NAMES, numbers(out).keys()

        by_run = records(out)
        for run, found in by_run.items():
            assert found.keys() == {"run_info", "train_info", "meta_info", "study"}
            test = json.loads((out / "runs" / run / "test.json").read_text()) if "quality" in found["study"] else None
            assert (test is None) == ("1e-09" in run), run  # what was not chosen is not tested
            if test is not None:
                assert found["study"]["quality"] == test["accuracy"] == found["train_info"]["metrics"][-1]["test accuracy"]
            if run != "answers--none":
                ran = json.loads((out / "runs" / run / "run.json").read_text())
                assert found["train_info"]["num_trainable_params"] == ran["model"]["trainable"]
                assert found["train_info"]["accelerator_memory_max"] == ran["memory"]["peak_bytes"] > 1e6
                assert found["train_info"]["file_size"] == (out / "runs" / run / "adapter_model.safetensors").stat().st_size
                assert found["study"]["step_seconds"] == ran["times"]["steps"] > 0 and ran["result"]["steps"] == 6
                logged = [json.loads(line) for line in (out / "runs" / run / "log.jsonl").read_text().splitlines()]
                assert abs(sum(line["seconds"] for line in logged) - ran["times"]["steps"]) < 1e-9
                assert found["run_info"]["peft_config"]["peft_type"] == ("LORA" if "LoRA" in run else "PMSS")
            trained, package, last = found["train_info"], found["meta_info"]["package_info"], found["train_info"]["metrics"][-1]
            for key in ("accelerator_memory_reserved_avg", "accelerator_memory_max", "accelerator_memory_reserved_99th", "file_size"):
                assert isinstance(trained[key], int), key  # as PEFT's processing.py takes them
            assert {"test accuracy", "train loss", "train samples", "train total tokens"} <= last.keys()
            assert {"peft-version", "transformers-version", "datasets-version", "torch-version", "bitsandbytes-version"} <= package.keys()
            assert {"experiment_name", "total_time", "peft_branch", "peft_config"} <= found["run_info"].keys()
            assert found["run_info"]["train_config"]["model_id"] == str(MODEL)
            datetime.datetime.fromisoformat(found["run_info"]["created_at"])
        assert json.loads((out / "results.json").read_text()) == [by_run[run] for run in sorted(by_run)]
        tried = [by_run[f"answers--LoRA-r2--lr{rate}--seed3"]["study"]["valid_loss"] for rate in ("0.002", "1e-09")]
        assert tried[0] < tried[1]

        rows = rows_of(out)
        assert [row["adapter"] for row in rows] == ["none", "LoRA r2", "PMSS|r4, random"]
        table = (out / "table.md").read_text()
        for row in rows[1:]:
            runs = [found for run, found in by_run.items() if found["study"]["adapter"] == row["adapter"] and "quality" in found["study"]]
            quality = [found["study"]["quality"] for found in runs]
            assert len(quality) == int(row["runs"]) == 2 and row["status"] == "2 of 2"
            assert abs(float(row["mean"]) - statistics.mean(quality)) < 1e-9
            assert abs(float(row["deviation"]) - statistics.stdev(quality)) < 1e-9
            assert float(row["trainable"]) == runs[0]["train_info"]["num_trainable_params"] and float(row["rate"]) == 2e-3
            assert abs(float(row["seconds"]) - statistics.mean(found["study"]["step_seconds"] for found in runs)) < 1e-6
            words = f"{100 * statistics.mean(quality):.1f} ± {100 * statistics.stdev(quality):.1f}"
            assert words in shown and f"| {words} |" in table, (words, shown)
        assert "| PMSS\\|r4, random |" in table
        for picture in ("answers-parameters.svg", "answers-time.svg"):
            xml.dom.minidom.parse(str(out / picture))
            text = (out / picture).read_text()
            assert ">LoRA r2<" in text and ">PMSS|r4, random<" in text and f"]({picture})" in table
        drawn = [(out / "skeletons" / f"PMSS-r4-random--seed{seed}").read_bytes() for seed in (3, 4)]
        assert drawn[0] != drawn[1]

        before = {path: path.stat().st_mtime_ns for path in out.rglob("run.json")}
        again = graft("compare", study, "--out", out)
        assert again.returncode == 0 and again.stdout == shown and "to go" not in again.stderr, again.stderr
        assert before == {path: path.stat().st_mtime_ns for path in out.rglob("run.json")}
        elsewhere = good("compare", study, "--out", home / "elsewhere", "--results", out / "results")  # of another machine, say
        assert elsewhere == shown and not (home / "elsewhere" / "runs").exists()

        if (out / "report.html").is_file() and browser.CHROMIUM:
            seen, console = browser.look(out / "report.html")
            assert console == [] and seen["images"] == 0, console
            assert {"answers", "Runs of the first seed"} <= set(seen["sections"]) and len(seen["names"]) == 2, seen
            for cost in ("trainable parameters", "seconds of training steps"):
                drawn = [canvas for canvas in seen["canvases"] if canvas["label"].startswith(f"answers: accuracy by {cost}")]
                assert len(drawn) == 1 and drawn[0]["colours"] > 3, seen["canvases"]


def test_broken_off():
    """killed and interrupted again and again, a study comes to the numbers of one that was left alone"""
    with folder() as name:
        home = pathlib.Path(name)
        study = study_in(home / "study", adapters=[{"name": "LoRA r2", "adapter": "lora:rank=2", "lr": [2e-3, 1e-3]}],
                         budget={"steps": 30})
        good("compare", study, "--out", home / "whole")
        codes = []
        for attempt, number in enumerate([signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGKILL]):
            process = subprocess.Popen([GRAFT, "compare", study, "--out", home / "broken"], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 60
            runs = home / "broken/runs"
            while len(list(runs.glob("*/log.jsonl"))) <= attempt // 2 and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            process.send_signal(number)
            codes.append(process.wait(timeout=60))
        assert codes[0] == -signal.SIGKILL and 130 in codes, codes
        good("compare", study, "--out", home / "broken")
        assert numbers(home / "broken") == numbers(home / "whole")
        assert not list((home / "broken").rglob("step-*"))  # checkpoints are for runs that are not done


def test_a_run_that_fails():
    """one that diverges is told and kept as a result, the others go on; a rate that diverges is not chosen"""
    with folder() as name:
        home, out = pathlib.Path(name), pathlib.Path(name) / "out"
        study = study_in(home, seeds=[0], adapters=[{"name": "wild", "adapter": "lora:rank=2", "lr": 1e30},
                                                    {"name": "swept", "adapter": "lora:rank=2", "lr": [1e30, 2e-3]}])
        done = graft("compare", study, "--out", out)
        assert done.returncode == 2 and "FAILED: train.439" in done.stderr, done.stderr
        found = records(out)
        wild = found["answers--wild--lr1e+30--seed0"]
        assert wild["train_info"]["status"] == "failed" and wild["run_info"]["error_msg"].startswith("train.439")
        rows = {row["adapter"]: row for row in rows_of(out)}
        assert rows["wild"]["mean"] == "" and "train.439" in rows["wild"]["status"]
        assert float(rows["swept"]["rate"]) == 2e-3 and rows["swept"]["status"] == "1 of 1"
        again = graft("compare", study, "--out", out)
        assert again.returncode == 0 and "to go" not in again.stderr, again.stderr  # it would diverge again


def test_budgets():
    """tokens, seconds and the time of another adapter become steps, and stay what they were"""
    with folder() as name:
        home, out = pathlib.Path(name), pathlib.Path(name) / "out"
        lora = {"adapter": "lora:rank=2", "lr": 1e-3}
        study = study_in(home, seeds=[0], budget={"tokens": 2000}, keep_adapters=False,
                         adapters=[{"name": "by tokens", **lora}, {"name": "by seconds", **lora, "budget": {"seconds": 0.2}},
                                   {"name": "as long", **lora, "budget": {"time_of": "by tokens"}}])
        good("compare", study, "--out", out)
        found = {record["study"]["adapter"]: record["study"] for record in records(out).values()}
        each = found["by tokens"]["tokens"] / found["by tokens"]["steps"]
        assert 0.8 * 2000 < found["by tokens"]["tokens"] < 2000 + each
        assert 1 <= found["as long"]["steps"] <= 20 * found["by tokens"]["steps"] and found["by seconds"]["steps"] >= 1
        assert not list(out.rglob("runs/*/adapter_model.safetensors"))
        steps = {name: own["steps"] for name, own in found.items() if name != "none"}
        (out / "plan.json").unlink()  # another machine would measure anew, but what is there decides
        for path in (out / "results").glob("*as-long*"):
            kept = json.loads(path.read_text())
        study.write_text(json.dumps({**json.loads(study.read_text()), "seeds": [0, 1]}))
        good("compare", study, "--out", out)
        again = [record["study"] for record in records(out).values() if record["study"]["seed"] == 1]
        assert {own["adapter"]: own["steps"] for own in again} == steps and kept["study"]["steps"] == steps["as long"]


def test_tasks_and_parts():
    """tasks of graft eval and plain losses stand side by side; --dry-run writes nothing, --only runs a part"""
    with folder() as name:
        home, out = pathlib.Path(name), pathlib.Path(name) / "out"
        plain = {"name": "stories", "data": "stories.jsonl", "test": "stories.jsonl", "settings": {"batch_size": 2}}
        asked = {"name": "asked", "data": "train.jsonl", "test": {"task": "qa", "data": "qa.jsonl", "limit": 4, "metric": "f1"}}
        (home / "qa.jsonl").write_text("".join(json.dumps({"question": line["prompt"], "answer": line["completion"]}) + "\n"
                                               for line in lines("heldout.jsonl", 8)))
        study = study_in(home, tasks=[plain, asked], seeds=[0],
                         adapters=[{"name": "a", "adapter": "loreft:rank=2", "lr": 1e-3}, {"name": "b", "adapter": "ia3"}])
        before = sorted(path for path in home.rglob("*"))
        shown = good("compare", study, "--out", out, "--dry-run")
        assert shown.count("\n") == 6 and "stories" in shown and before == sorted(path for path in home.rglob("*"))
        good("compare", study, "--out", out, "--only", "b", "--only", "stories")
        assert numbers(out).keys() == {"stories--none", "stories--b--seed0"}
        table = good("compare", study, "--out", out)
        rows = {(row["task"], row["adapter"]): row for row in rows_of(out)}
        assert rows["stories", "a"]["metric"] == "loss" and rows["stories", "a"]["lower_is_better"] == "true"
        assert rows["asked", "b"]["metric"] == "f1" and "f1 %" in table
        tested = json.loads((out / "runs/stories--a--lr0.001--seed0/test.json").read_text())
        assert abs(float(rows["stories", "a"]["mean"]) - tested["loss"]) < 1e-6
        found = json.loads((out / "results/asked--a--lr0.001--seed0.json").read_text())
        assert found["study"]["test"]["items"] == 4 and found["study"]["quality"] == found["study"]["test"]["metrics"]["f1"]["value"]


def test_bad_studies():
    """each mistake is one line that names it, before anything is run"""
    with folder() as name:
        home = pathlib.Path(name)
        task = {"name": "answers", "data": "train.jsonl", "test": "heldout.jsonl"}
        lora = {"name": "LoRA", "adapter": "lora", "lr": 1e-3}

        def refused(*expected, words=(), **changes):
            study = study_in(home, **changes)
            done = graft("compare", study, "--out", home / "out", *words)
            assert done.returncode == 2 and done.stdout == "", (changes, done.stdout)
            assert done.stderr.startswith("graft: ") and done.stderr.count("\n") == 1, done.stderr
            for word in expected:
                assert word in done.stderr, (word, done.stderr)
            assert not (home / "out" / "runs").exists()

        refused("train.480", "budge", "budget", budge={"steps": 1})
        refused("train.480", "adaptor", "adapter", adapters=[{"name": "LoRA", "adaptor": "lora"}])
        refused("train.481", "steps", budget={"steps": 0})
        refused("train.481", "steps", budget={"steps": 2, "tokens": 5})
        refused("train.480", "minutes", "did you mean", budget={"minutes": 2})
        refused("train.481", "nowhere.jsonl", "folder of the study", tasks=[{**task, "data": "nowhere.jsonl"}])
        refused("train.481", "nowhere.jsonl", tasks=[{**task, "test": {"task": "qa", "data": "nowhere.jsonl"}}])
        refused("train.481", "val_split", tasks=[task])
        refused("train.481", "seed", seeds=[1, 1])
        refused("train.481", "seeds", seeds=[])
        refused("io.212", "seeds", seeds=["one"])
        refused("train.481", "--seed", settings={"seed": 1})
        refused("train.481", "--resume", settings={"resume": "auto"})
        refused("train.481", "lr", adapters=[{**lora, "lr": [1e-3, -1]}])
        refused("train.481", "selector", adapters=[{**lora, "selector": "random"}])
        refused("train.481", "time of", adapters=[{**lora, "budget": {"time_of": "b"}}, {**lora, "name": "b", "budget": {"time_of": "LoRA"}}])
        refused("train.482", "named", adapters=[lora, {**lora, "name": "LoRA"}])
        refused("train.482", "named", adapters=[{**lora, "name": "none"}])
        refused("train.482", "LoRa", "LoRA", adapters=[lora, {**lora, "name": "b", "budget": {"time_of": "LoRa"}}])
        refused("train.482", "randon", "random", adapters=[{"name": "p", "adapter": "pmss", "selector": "randon"}])
        refused("train.482", "answer", "answers", words=["--only", "answer"])
        refused("train.458", "batchsize", "batch_size", settings={"batchsize": 1})
        refused("train.459", "batch-size", settings={"batch_size": "many"})
        refused("train.433", "lroa", "lora", adapters=[{"name": "a", "adapter": "lroa"}])
        refused("train.474", "arc_eazy", "arc_easy", tasks=[{**task, "test": {"task": "arc_eazy", "data": "heldout.jsonl"}}])
        refused("train.431", "optimizer", settings={"optimizer": "adma"})
        refused("train.484", "LoRA", "train.434", adapters=[{**lora, "adapter": "lora:rnak=2"}])
        done = graft("compare", home / "absent.json", "--out", home / "out")
        assert done.returncode == 2 and "absent.json" in done.stderr
        for words in (["compare", "--out", home / "out"], ["compare", home / "study.json"]):
            assert "train.430" in graft(*words).stderr


def test_other_results():
    """results of other settings are refused by name, and a metric that a test does not give ends the study at the untouched model"""
    with folder() as name:
        home, out = pathlib.Path(name), pathlib.Path(name) / "out"
        adapters = [{"name": "LoRA", "adapter": "lora:rank=2", "lr": 1e-3}]
        good("compare", study_in(home, adapters=adapters, seeds=[0]), "--out", out)
        study = study_in(home, adapters=adapters, seeds=[0], settings={"batch_size": 4, "no_eos": True, "threads": 1})
        done = graft("compare", study, "--out", out)
        assert done.returncode == 2 and "train.483" in done.stderr and "batch-size" in done.stderr, done.stderr
        shutil.rmtree(out)
        task = {"name": "t", "data": "train.jsonl", "test": {"data": "heldout.jsonl", "metric": "f1"}}
        done = graft("compare", study_in(home, adapters=adapters, tasks=[task]), "--out", out)
        assert done.returncode == 2 and "train.481" in done.stderr and "f1" in done.stderr and "loss" in done.stderr, done.stderr


run_tests(globals())
