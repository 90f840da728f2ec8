# SPDX-License-Identifier: Apache-2.0
"""graft select: skeletons that are chosen once are those of finetune, an interrupted choice goes on, a report adds up."""
import json
import pathlib
import signal
import struct
import subprocess

from program import GRAFT, ROOT, folder, good, graft, read_safetensors, run_tests, write_safetensors

MODEL = ROOT / "examples/models/village"
DATA = ROOT / "examples/data/village"
TRAIN = ["finetune", "--model", MODEL, "--data", DATA / "train.jsonl", "--no-eos", "--steps", 3, "--adapter", "pmss", "--dtype", "fp32"]


def metadata(path):
    data = path.read_bytes()
    return json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])["__metadata__"]


def rewrite(path, tensors, texts):
    """write_safetensors with metadata, in front of the tensors."""
    write_safetensors(path, tensors)
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    head = json.dumps({"__metadata__": texts, **json.loads(data[8:8 + size])}).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + data[8 + size:])


def test_prepared_is_chosen():
    """finetune with prepared skeletons trains what it trains with its own, and takes their counts from the file"""
    with folder() as name:
        home = pathlib.Path(name)
        file = home / "village.skeletons"
        assert good("select", "--model", MODEL, "--columns", 12, "--rows", 8, "--out", file).strip() == str(file)
        good(*TRAIN, "--columns", 12, "--rows", 8, "--out", home / "own")
        good(*TRAIN, "--skeletons", file, "--out", home / "prepared")
        own, prepared = (read_safetensors(home / run / "adapter_model.safetensors") for run in ("own", "prepared"))
        assert own == prepared
        lists = read_safetensors(file)
        assert all(own[key.removesuffix(key[-2:]) + ".pmss" + key[-2:]][2] == lists[key][2] for key in lists), list(own)[:4]


def test_goes_on():
    """what a file holds already is kept, the rest is chosen, and a changed wish is refused until --overwrite"""
    with folder() as name:
        file = pathlib.Path(name) / "village.skeletons"
        words = ["select", "--model", MODEL, "--rank", 8, "--out", file]
        good(*words)
        whole, texts = read_safetensors(file), metadata(file)
        kept = {key: value for key, value in whole.items() if ".layers.0." in key}
        odd = next(iter(kept))
        kept[odd] = (kept[odd][0], kept[odd][1], bytes(len(kept[odd][2])))  # would be another list if it were chosen again
        rewrite(file, kept, texts)
        done = graft(*TRAIN, "--skeletons", file, "--out", pathlib.Path(name) / "run")
        assert done.returncode == 2 and ("adapter.692" in done.stderr or "adapter.611" in done.stderr), done.stderr
        done = graft(*words)
        assert done.returncode == 0 and "going on" in done.stderr, done.stderr
        again = read_safetensors(file)
        assert again.keys() == whole.keys() and again[odd] == kept[odd]
        assert all(again[key] == whole[key] for key in whole if key != odd)
        done = graft(*words, "--rank", 9)
        assert done.returncode == 2 and "adapter.693" in done.stderr and "--overwrite" in done.stderr, done.stderr
        good(*words, "--overwrite")
        assert read_safetensors(file) == whole


def test_interrupted():
    """Ctrl-C leaves a whole file or none, ends with 130, and the same command finishes"""
    with folder() as name:
        file = pathlib.Path(name) / "village.skeletons"
        words = [GRAFT, "select", "--model", MODEL, "--rank", "8", "--out", str(file), "--selector", "leverage"]
        running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "/" in running.stderr.readline()  # the first matrix is done
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
        assert running.returncode in (0, 130), errors
        if running.returncode == 130:
            assert "the same command goes on" in errors and len(read_safetensors(file)) > 0
        good(*words[1:])


def test_report():
    """the report compares selectors, all shares lie between 0 and 100, and pivots keep more than random columns"""
    lines = good("select", "--model", MODEL, "--rank", 8, "--layers", 0, "--target", "q_proj,down_proj", "--report",
                 "--compare", "random,largest-norm,low-norm,two-stage,leverage").splitlines()
    rows = [line.split() for line in lines[2:]]
    assert len(rows) == 3 * 6, lines
    means = {row[3]: [float(x) for x in row[-3:]] for row in rows if row[0] == "mean"}
    assert all(0 < share <= 100 for shares in means.values() for share in shares), means
    assert means["pivoted-qr"][0] > means["random"][0] and means["pivoted-qr"][2] > means["low-norm"][2]
    assert all(both <= min(columns, rows) + 0.01 for columns, rows, both in means.values())


def test_update():
    """what a merged PMSS changed lies in its skeleton, what a LoRA changed does not; random rows and columns hold less, and a map
    that nobody trained is said to be unchanged"""
    with folder() as name:
        home = pathlib.Path(name)
        train = ["finetune", "--model", MODEL, "--data", DATA / "train.jsonl", "--no-eos", "--steps", 3, "--dtype", "fp32", "--rank", 8]
        for adapter, more in (("pmss", []), ("lora", ["--target", "q_proj,up_proj"])):
            good(*train, "--adapter", adapter, *more, "--lr", "1e-2", "--out", home / f"{adapter}-run")
            good("merge", "--model", MODEL, "--adapter", home / f"{adapter}-run", "--dtype", "fp32", "--out", home / adapter)
        words = ["select", "--model", MODEL, "--rank", 8]
        found = json.loads(good(*words, "--update", home / "pmss", "--draws", 3, "--json"))
        modules = found["updates"]["modules"]
        assert len(modules) == found["updates"]["means"]["all"]["matrices"] > 7 and "weights" not in found
        for module in modules:
            assert module["change"] > 0 and module["columns"] == module["rows"] == 8
            assert all(1 - 1e-4 < share < 1 + 1e-6 for share in module["kept"]["pivoted-qr"].values()), module
            assert all(0 < share < 0.9 for share in module["kept"]["random"].values()), module
        lines = good(*words, "--update", home / "lora", "--layers", 0, "--compare", "largest-norm").splitlines()
        assert "unchanged" in next(line for line in lines if ".k_proj" in line) and "mean of 2 " in lines[-1], lines
        means = [line.split() for line in lines if line.startswith("mean of 2 ")]
        assert [row[4] for row in means] == ["pivoted-qr", "largest-norm", "random"], means
        assert all(0 < float(row[-1]) < 99 for row in means), means
        for wrong, expected in ((["--update", MODEL], "adapter.696"), (["--update", ROOT / "tests/golden/models/llama-gqa"], "adapter.695"),
                                (["--update", home / "lora", "--target", "k_proj"], "adapter.696"),
                                (["--update", home / "none"], "model.520"), (["--update", home / "lora", "--draws", 0], "train.431")):
            done = graft(*words, *wrong)
            assert done.returncode == 2 and expected in done.stderr, done.stderr
        tensors = read_safetensors(home / "lora/model.safetensors")
        odd = "model.layers.1.mlp.up_proj.weight"
        kind, shape, data = tensors[odd]
        tensors[odd] = (kind, shape, struct.pack("<f", float("nan")) + data[4:])
        write_safetensors(home / "lora/model.safetensors", tensors)
        done = graft(*words, "--update", home / "lora")
        assert done.returncode == 2 and "model.513" in done.stderr and odd in done.stderr, done.stderr


def test_refusals():
    """unknown selectors, ranks that a matrix does not have, other models and files that are none"""
    with folder() as name:
        home = pathlib.Path(name)
        words = ["select", "--model", MODEL, "--out", home / "a"]
        for wrong, expected in ((["--selector", "pivoted"], "did you mean \"pivoted-qr\""), (["--rank", 100000], "adapter.610"),
                                (["--compare", "nothing"], "adapter.694"), (["--target", "x_proj"], "train.433"),
                                (["--threads", -1], "train.431")):
            done = graft(*words, *wrong)
            assert done.returncode == 2 and expected in done.stderr, done.stderr
        assert not (home / "a").exists()
        assert "--out is missing" in graft("select", "--model", MODEL).stderr
        done = graft(*TRAIN, "--adapter", "lora", "--skeletons", home / "a", "--out", home / "run")
        assert done.returncode == 2 and "train.434" in done.stderr, done.stderr
        done = graft(*TRAIN, "--skeletons", MODEL / "model.safetensors", "--out", home / "run")
        assert done.returncode == 2 and "adapter.690" in done.stderr, done.stderr


run_tests(globals())
