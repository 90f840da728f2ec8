# SPDX-License-Identifier: Apache-2.0
"""A run survives: killed at any moment, interrupted, out of space or fed a bad batch, it goes on to the very same bits."""
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import time

from program import GRAFT, ROOT, folder, good, graft, run_tests

DATA = ROOT / "examples/data/village"
WORDS = ["finetune", "--model", ROOT / "examples/models/village", "--dtype", "fp32", "--threads", 1, "--data",
         DATA / "train.jsonl", "--no-eos", "--batch-size", 4, "--lr", 2e-3, "--warmup", 10, "--weight-decay", 0.01]
LORA = ["--adapter", "lora:rank=4,target=q_proj+v_proj,dropout=0.1", "--grad-accum", 2]
ADAPTER = ["adapter_config.json", "adapter_model.safetensors"]


def log(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def told(run):
    """what the log says of every step, but the seconds"""
    return [{key: value for key, value in record.items() if key != "seconds"} for record in log(run)]


def same_end(run, other):
    """Two runs have the same log, files and result."""
    assert told(run) == told(other), (run, len(log(run)), len(log(other)))
    for name in ADAPTER:
        assert (run / name).read_bytes() == (other / name).read_bytes(), (run, name)
    one, two = (json.loads((path / "run.json").read_text()) for path in (run, other))
    assert one["scores"] == two["scores"]
    for key in ("status", "steps", "loss", "valid_loss", "tokens", "best_step"):
        assert one["result"][key] == two["result"][key], (key, one["result"], two["result"])
    assert {p.name for p in run.rglob("*")} == {p.name for p in other.rglob("*")}
    assert (run / "loss.svg").read_text().count("<path") == (other / "loss.svg").read_text().count("<path")


def started(words, **options):
    return subprocess.Popen([GRAFT, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def wait_for(condition, seconds=120):
    deadline = time.time() + seconds
    while time.time() < deadline and not condition():
        time.sleep(0.005)
    assert condition()


def test_twenty_kills():
    """SIGKILL at twenty random moments, and each time --resume auto: the same log, the same files"""
    with folder() as name:
        home = pathlib.Path(name)
        run = [*WORDS, *LORA, "--steps", 240, "--val-split", 40, "--eval-every", 35, "--keep-best", "--save-every", 7, "--keep", 2]
        begin = time.time()
        good(*run, "--out", home / "whole")
        took = time.time() - begin
        random.seed(11)
        kills = 0
        for _ in range(400):
            process = started([*run, "--out", home / "killed", "--resume", "auto"])
            try:
                limit = random.uniform(0.05, 0.35) * took if kills < 20 else 600
                _, errors = process.communicate(timeout=limit)
                assert process.returncode == 0, errors
                if kills >= 20:
                    break
                same_end(home / "killed", home / "whole")
                shutil.rmtree(home / "killed")  # it came to its end too early: again from the start
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
        assert kills >= 20, kills
        same_end(home / "killed", home / "whole")
        again = graft(*run, "--out", home / "killed", "--resume", "auto")
        assert again.returncode == 0 and "finished already" in again.stderr, again.stderr


def test_signals():
    """Ctrl-C and SIGTERM leave a checkpoint; --resume DIR alone, elsewhere, goes on from it with the run's settings"""
    with folder() as name:
        home = pathlib.Path(name)
        for number, adapter in [(signal.SIGINT, "pmss:rank=8"), (signal.SIGTERM, "loreft:rank=4,positions=f3+l3,dropout=0.1"),
                                (signal.SIGTERM, "full")]:
            kind = adapter.split(":")[0]
            rate = ["--lr", 1e-4] if kind == "full" else []
            run = [*WORDS, "--adapter", adapter, "--steps", 200, "--val-split", 40, *rate]
            good(*run, "--out", home / f"{kind}-whole")
            out = home / f"{kind}-cut"
            process = started([*run, "--out", out])
            wait_for(lambda: (out / "log.jsonl").exists() and (out / "log.jsonl").read_text().count("\n") >= 20)
            process.send_signal(number)
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 130 and "--resume" in errors, (kind, errors)
            steps = len(log(out))
            assert [p.name for p in out.glob("step-*")] == [f"step-{steps:06}"] and 20 <= steps < 200
            assert json.loads((out / "run.json").read_text())["result"]["status"] == "interrupted"
            moved = home / "elsewhere" / f"{kind}-moved"
            moved.parent.mkdir(exist_ok=True)
            shutil.move(out, moved)
            good("finetune", "--resume", moved)
            shutil.rmtree(moved / f"step-{steps:06}")
            same_end(moved, home / f"{kind}-whole")


def test_an_older_checkpoint():
    """--resume run/step-N goes on from that one; --keep says how many there are, and every one is an adapter"""
    with folder() as name:
        home = pathlib.Path(name)
        run = [*WORDS, *LORA, "--steps", 30, "--save-every", 5]
        good(*run, "--out", home / "all", "--keep", 0)
        assert sorted(p.name for p in (home / "all").glob("step-*")) == [f"step-{n:06}" for n in (5, 10, 15, 20, 25)]
        good(*run, "--out", home / "two", "--keep", 2)
        assert sorted(p.name for p in (home / "two").glob("step-*")) == ["step-000020", "step-000025"]
        shutil.copytree(home / "all", home / "again")
        done = graft("finetune", "--resume", home / "again" / "step-000010", "--keep", 0)
        assert done.returncode == 0 and "after step 10" in done.stderr, done.stderr
        same_end(home / "again", home / "all")
        good("eval", "--model", ROOT / "examples/models/village", "--adapter", home / "two/step-000020", "--data",
             DATA / "heldout.jsonl", "--no-eos")


def test_another_run_is_refused():
    """resuming with another setting, data file or model names it, and touches nothing"""
    with folder() as name:
        home = pathlib.Path(name)
        data = home / "train.jsonl"
        shutil.copy(DATA / "train.jsonl", data)
        run = [*WORDS, *LORA, "--steps", 12, "--save-every", 5, "--data", data, "--out", home / "run"]
        good(*run)
        (home / "run" / "run.json").unlink()  # as if it had been killed while it ended

        def refused(*words):
            before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
            done = graft(*words)
            assert done.returncode == 2 and done.stderr.count("\ngraft: ") + done.stderr.startswith("graft: ") == 1, done.stderr
            assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before
            return done.stderr

        said = refused(*run, "--resume", "auto", "--lr", 1e-3)
        assert "train.454" in said and "lr 0.002" in said and "lr 0.001" in said, said
        said = refused(*run, "--resume", "auto", "--seed", 5)
        assert "train.454" in said and "seed" in said, said
        assert "train.457" in refused(*run, "--resume", home), "no run there"
        assert "train.457" in refused(*run, "--resume", home / "run", "--out", home / "other"), "another folder"
        assert "train.430" in refused(*run, "--resume", "auto", "--overwrite")
        said = refused(*run)
        assert "train.437" in said and "--resume auto" in said, said
        data.write_text(data.read_text() + "\n")
        said = refused(*run, "--resume", "auto")
        assert "train.453" in said and "--data" in said, said
        shutil.copy(DATA / "train.jsonl", data)
        checkpoint = home / "run/step-000010/checkpoint.safetensors"
        whole = checkpoint.read_bytes()
        checkpoint.write_bytes(whole[:len(whole) // 2])
        assert "io.22" in refused(*run, "--resume", "auto")
        checkpoint.write_bytes(whole)
        good(*run, "--resume", "auto", "--threads", 2, "--report-every", 3)
        said = refused(*run, "--resume", "auto", "--lr", 1e-3)
        assert "train.454" in said, "a run that has ended is another one, too"


def test_a_full_disk():
    """a checkpoint that cannot be written is told; the one before it stays whole, and the run goes on from there"""
    with folder() as name:
        home = pathlib.Path(name)
        run = [*WORDS, "--adapter", "lora:rank=16", "--steps", 100, "--save-every", 40]
        good(*run, "--out", home / "whole", "--keep", 1)
        cut = home / "cut"
        process = started([*run, "--out", cut, "--keep", 1])
        wait_for(lambda: (cut / "step-000040" / "checkpoint.safetensors").exists())
        process.kill()
        process.communicate()
        assert not (cut / "run.json").exists() and not (cut / "step-000080").exists()
        whole = {path: path.read_bytes() for path in (cut / "step-000040").iterdir()}
        size = (cut / "step-000040" / "checkpoint.safetensors").stat().st_size
        done = graft(*run, "--out", cut, "--keep", 1, "--resume", "auto",
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY)))
        assert done.returncode == 2 and "train.464" in done.stderr and "File too large" in done.stderr, done.stderr
        assert "that of step 40 is whole" in done.stderr, done.stderr
        assert [p.name for p in cut.glob("step-*")] == ["step-000040"] and not list(cut.rglob("*.partial-*"))
        assert {path: path.read_bytes() for path in (cut / "step-000040").iterdir()} == whole
        good(*run, "--out", cut, "--keep", 1, "--resume", "auto")
        same_end(cut, home / "whole")


def test_not_finite():
    """a step that would spoil the adapter is not taken, what went wrong is named, and the run stops or goes past it"""
    with folder() as name:
        home = pathlib.Path(name)
        bad = [*WORDS, "--adapter", "lora:rank=2", "--warmup", 0, "--clip", 0, "--lr", 1e30, "--steps", 8]
        done = graft(*bad, "--out", home / "stop")
        assert done.returncode == 2 and "train.439" in done.stderr, done.stderr
        assert "hidden state after block" in done.stderr or "gradient of" in done.stderr, done.stderr
        assert "step 2 was not taken" in done.stderr and "step-000001" in done.stderr, done.stderr
        assert len(log(home / "stop")) == 1 and (home / "stop/step-000001/checkpoint.safetensors").exists()
        assert not (home / "stop/run.json").exists()
        done = graft("finetune", "--resume", home / "stop", "--on-nonfinite", "skip")
        assert done.returncode == 0 and done.stderr.count("left out") == 7, done.stderr
        records = log(home / "stop")
        assert [record["step"] for record in records] == list(range(1, 9))
        assert all("not finite" in record["skipped"] for record in records[1:])
        assert json.loads((home / "stop/run.json").read_text())["result"]["left_out"] == 7
        good("report", home / "stop")
        done = graft(*bad, "--steps", 40, "--on-nonfinite", "skip", "--out", home / "lost")
        assert done.returncode == 2 and "10 batches in a row" in done.stderr, done.stderr


def test_spikes():
    """--spike leaves out a batch whose loss towers over the mean; nothing else changes"""
    with folder() as name:
        home = pathlib.Path(name)
        records = [json.loads(line) for line in (DATA / "train.jsonl").read_text().splitlines()][:160]
        records[123]["completion"] = " zzqx zzqx zzqx zzqx"
        (home / "train.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        run = [*WORDS, *LORA[:2], "--data", home / "train.jsonl", "--no-shuffle", "--lr", 5e-3]
        good(*run, "--out", home / "run", "--spike", 2.5)
        out = [record for record in log(home / "run") if "skipped" in record]
        assert [record["step"] for record in out] == [31] and "spike" in out[0]["skipped"], out
        good(*run, "--out", home / "all")
        assert told(home / "run")[:30] == told(home / "all")[:30]


def test_best_and_early():
    """--keep-best ends with the adapter of the best validation, --patience ends a run that gets no better"""
    with folder() as name:
        home = pathlib.Path(name)
        records = (DATA / "train.jsonl").read_text().splitlines(True)
        (home / "train.jsonl").write_text("".join(records[:16]))  # few enough to learn by heart
        (home / "valid.jsonl").write_text("".join(records[400:440]))
        run = [*WORDS, *LORA[:2], "--data", home / "train.jsonl", "--valid", home / "valid.jsonl", "--warmup", 0, "--lr", 1e-2,
               "--epochs", 60]
        done = graft(*run, "--out", home / "run", "--keep-best", "--patience", 4)
        assert done.returncode == 0 and "stopped early" in done.stderr, done.stderr
        losses = {record["step"]: record["valid_loss"] for record in log(home / "run") if "valid_loss" in record}
        best = min(losses, key=losses.get)
        result = json.loads((home / "run/run.json").read_text())
        assert result["result"]["status"] == "stopped early" and result["result"]["best_step"] == best, (result, losses)
        assert list(losses)[-1] == best + 4 * 4, losses
        for file in ADAPTER:
            assert (home / "run" / file).read_bytes() == (home / "run" / f"step-{best:06}" / file).read_bytes()
        assert result["scores"]["after"]["valid_loss"] == losses[best]
        found = json.loads(good("eval", "--model", ROOT / "examples/models/village", "--dtype", "fp32", "--adapter", home / "run",
                                "--data", home / "valid.jsonl", "--no-eos", "--batch-size", 4, "--json"))
        assert abs(found["loss"] - losses[best]) < 1e-5
        assert "train.430" in graft(*WORDS, "--out", home / "x", "--keep-best").stderr


run_tests(globals())
