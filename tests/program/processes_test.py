# SPDX-License-Identifier: Apache-2.0
"""Several processes do the run of one: the same losses and adapter up to rounding, one folder, one voice, one end."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

from program import GRAFT, ROOT, folder, good, read_safetensors, run_tests

MPIEXEC = os.environ.get("MPIEXEC", "mpirun")
DATA = ROOT / "examples/data/village"
WORDS = ["finetune", "--model", ROOT / "examples/models/village", "--device", "cpu", "--dtype", "fp32", "--threads", 1, "--data",
         DATA / "train.jsonl", "--no-eos", "--batch-size", 8, "--lr", 2e-3, "--adapter", "lora:rank=4,target=q_proj+v_proj",
         "--val-split", 20, "--sample-tokens", 4]


def processes(count, *words):
    return [MPIEXEC, "-n", str(count), GRAFT, *map(str, words)]


def run(command):
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=300)


def well(command):
    done = run(command)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done


def refused(command, *expected):
    """All end with 2, and one of them says why."""
    done = run(command)
    assert done.returncode == 2, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
    said = [line for line in done.stderr.splitlines() if line.startswith("graft: ")]
    assert len(said) == 1 and all(word in said[0] for word in expected), done.stderr
    return said[0]


def log(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def floats(path):
    import array
    numbers = {}
    for name, (dtype, _, content) in read_safetensors(path).items():
        assert dtype == "F32"
        numbers[name] = array.array("f", content)
    return numbers


def near(run_a, run_b, within=2e-3):
    """Two runs went the same way, up to the order of sums."""
    one, two = log(run_a), log(run_b)
    assert [record["step"] for record in one] == [record["step"] for record in two]
    for a, b in zip(one, two):
        for key in ("lr", "tokens", "epoch"):
            assert a[key] == b[key], (key, a, b)
        for key in ("loss", "valid_loss", "grad_norm"):
            assert (key in a) == (key in b), (key, a, b)
            if key in a:
                assert abs(a[key] - b[key]) <= within * max(a[key], 0.1), (key, a, b)
    a, b = (floats(path / "adapter_model.safetensors") for path in (run_a, run_b))
    assert a.keys() == b.keys()
    for name in a:
        largest = max(map(abs, a[name]))
        assert max(abs(x - y) for x, y in zip(a[name], b[name])) <= 10 * within * largest, name


def test_the_run_of_one():
    """two and three processes go the way of one, also through a last step that is smaller; the first alone is heard"""
    with folder() as name:
        home = pathlib.Path(name)
        words = [*WORDS, "--steps", 12, "--eval-every", 5, "--grad-accum", 2]
        good(*words, "--out", home / "one")
        for count in (2, 3):
            done = well(processes(count, *words, "--out", home / f"{count}"))
            assert done.stdout == f"{home / str(count)}\n", done.stdout
            assert f"by {count} processes" in done.stderr and done.stderr.count("forecast of the peak") == 1, done.stderr
            near(home / "one", home / f"{count}")
            assert json.loads((home / f"{count}" / "run.json").read_text())["processes"] == count
            assert {p.name for p in (home / "one").iterdir()} == {p.name for p in (home / f"{count}").iterdir()}
        assert json.loads((home / "one" / "run.json").read_text())["processes"] == 1


def test_the_same_bits_again():
    """the same number of processes gives the same bits, with dropout too"""
    with folder() as name:
        home = pathlib.Path(name)
        words = [*WORDS, "--dropout", 0.2, "--steps", 6]
        for out in ("a", "b"):
            well(processes(2, *words, "--out", home / out))
        assert (home / "a/adapter_model.safetensors").read_bytes() == (home / "b/adapter_model.safetensors").read_bytes()
        assert [r["loss"] for r in log(home / "a")] == [r["loss"] for r in log(home / "b")]


def process_of_rank(rank, out):
    """The id of the process of that rank which writes, or does not write, to this folder."""
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if (entry.name.isdigit() and str(out).encode() in (entry / "cmdline").read_bytes() and
                    f"\0OMPI_COMM_WORLD_RANK={rank}\0".encode() in b"\0" + (entry / "environ").read_bytes()):
                return int(entry.name)
        except OSError:
            continue
    return None


def test_one_is_asked_to_end():
    """SIGTERM to any process ends all after the same step; the run goes on from there by one process or by several"""
    with folder() as name:
        home = pathlib.Path(name)
        words = [*WORDS, "--steps", 60]
        good(*words, "--out", home / "whole")
        cut = home / "cut"
        for resumed in (processes(2, "finetune", "--resume", cut), [GRAFT, "finetune", "--resume", str(cut)]):
            shutil.rmtree(cut, ignore_errors=True)
            started = subprocess.Popen(processes(2, *words, "--out", cut), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            deadline = time.time() + 120
            while not ((cut / "log.jsonl").exists() and (cut / "log.jsonl").read_text().count("\n") >= 5):
                assert time.time() < deadline and started.poll() is None
                time.sleep(0.002)
            os.kill(process_of_rank(1, cut), signal.SIGTERM)
            _, errors = started.communicate(timeout=120)
            steps = len(log(cut))
            assert started.returncode == 130 and f"interrupted after step {steps}" in errors, errors
            assert 5 <= steps < 60 and (cut / f"step-{steps:06}" / "checkpoint.safetensors").exists()
            assert json.loads((cut / "run.json").read_text())["result"]["status"] == "interrupted"
            well(resumed)
            near(home / "whole", cut)


def test_what_spoils_a_run():
    """a step that is not finite ends all, with a checkpoint and one voice"""
    with folder() as name:
        home = pathlib.Path(name)
        words = ["lora:rank=2,target=gate_proj+up_proj" if str(word).startswith("lora:") else word for word in WORDS]
        said = refused(processes(2, *words, "--warmup", 0, "--clip", 0, "--lr", 1e30, "--steps", 6, "--out", home / "run"),
                       "train.439", "is not finite")
        assert "the sum of the losses" not in said, said
        assert (home / "run/step-000001/checkpoint.safetensors").exists() and not (home / "run/run.json").exists()


def test_refusals():
    """fewer examples than processes, and processes that do not compute alike, are refused before anything is written"""
    with folder() as name:
        home = pathlib.Path(name)
        words = [*map(str, WORDS), "--steps", "3", "--out", str(home / "run")]
        refused(processes(3, *words, "--batch-size", 2), "train.511", "3 processes")
        refused([MPIEXEC, "-n", "1", GRAFT, *words, ":", "-n", "1", GRAFT, *words, "--seed", "5"], "train.512")
        assert not (home / "run").exists()


def test_dry_run():
    """the processes agree on when they have tried enough"""
    done = well(processes(2, *WORDS, "--steps", 40, "--dry-run", "--json"))
    assert json.loads(done.stdout)["steps"] == 40


run_tests(globals())
