# SPDX-License-Identifier: Apache-2.0
"""finetune, eval and generate on a tiny model: what they write, what they print, what they promise to repeat."""
import contextlib
import json
import math
import os
import pathlib
import re
import signal
import struct
import subprocess
import time
import xml.dom.minidom

from program import (GOLDEN, GRAFT, folder, good, graft, read_npy, read_safetensors, run_tests, token_records, write_lines,
                     write_safetensors)

MODEL = GOLDEN / "models" / "llama-gqa"
ON_MODEL = ["--model", MODEL, "--dtype", "fp32"]  # a processor with bf16 would choose that
SMALL = ["--batch-size", 4, "--lr", 1e-2, "--rank", 2, "--threads", 1]
ADAPTERS = ["lora", "rslora", "pmss", "loreft", "noreft", "direft", "nodireft", "direft-orthonormal", "consreft", "lobireft"]


OTHERS = ["dora:rank=2", "pissa:rank=2", "olora:rank=2", "lora-xs:rank=2", "vera:rank=8", "loha:rank=2", "lokr:rank=2", "ia3",
          "bitfit", "curlora:rank=2", "red", "bottleneck:width=4", "parallel:width=4", "prompt:tokens=3", "prefix:tokens=3"]


def prepare(home):
    data = write_lines(home / "train.jsonl", token_records(24))
    valid = write_lines(home / "valid.jsonl", token_records(6, seed=2))
    return data, valid


@contextlib.contextmanager
def running(data, out, threads):
    """a finetuning without end that has taken its first step"""
    log = out / "log.jsonl"
    with subprocess.Popen([GRAFT, "finetune", *ON_MODEL, "--data", data, "--steps", "1000000", "--out", out,
                           "--threads", str(threads)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        deadline = time.time() + 120
        while time.time() < deadline and not (log.exists() and log.stat().st_size > 0):
            time.sleep(0.05)
        yield run


def losses(run):
    return [json.loads(line)["loss"] for line in (run / "log.jsonl").read_text().splitlines()]


def evaluate(data, *words):
    return json.loads(good("eval", *ON_MODEL, "--data", data, "--json", "--threads", 1, *words))


def test_every_adapter_trains_saves_and_loads():
    """every adapter lowers the loss, and what is saved evaluates to what training saw at its end"""
    with folder() as name:
        home = pathlib.Path(name)
        data, valid = prepare(home)
        for adapter in ADAPTERS:
            out = home / adapter
            words = {"loreft": ["--share-weights"], "lobireft": ["--lr", 0.3]}.get(adapter, [])  # a bias alone learns slowly
            good("finetune", *ON_MODEL, "--data", data, "--valid", valid, "--adapter", adapter, "--epochs", 3,
                 "--out", out, *SMALL, *words)
            assert {p.name for p in out.iterdir()} == {
                "adapter_config.json", "adapter_model.safetensors", "config.json", "edits.json", "log.jsonl", "run.json",
                "loss.svg"}, adapter
            log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
            assert [record["step"] for record in log] == list(range(1, 19)), adapter
            for record in log:
                assert {"step", "epoch", "loss", "lr", "grad_norm", "tokens", "seconds"} <= record.keys(), record
            assert [record["step"] for record in log if "valid_loss" in record] == [6, 12, 18], adapter
            first, last = (sum(r["loss"] for r in part) for part in (log[:6], log[-6:]))
            assert last < first, f"{adapter}: {first} -> {last}"
            run = json.loads((out / "run.json").read_text())
            assert {"settings", "model", "machine", "times", "memory", "data", "result"} <= run.keys()
            name = {"nodireft": "direft"}.get(adapter, adapter)  # two names of one method
            assert run["settings"]["adapter"] == name and run["settings"]["adapters"][0]["rank"] == 2
            assert run["result"]["status"] == "finished" and run["memory"]["peak_bytes"] > 0
            xml.dom.minidom.parse(str(out / "loss.svg"))
            found = evaluate(valid, "--adapter", out, "--batch-size", 4)
            assert abs(found["loss"] - log[-1]["valid_loss"]) < 1e-5, (adapter, found, log[-1])


def test_the_rest_of_the_family():
    """so do the adapters of the other papers; what run.json says of each is an --adapter again"""
    with folder() as name:
        home = pathlib.Path(name)
        data, valid = prepare(home)
        for words in OTHERS:
            out = home / words.split(":")[0]
            good("finetune", *ON_MODEL, "--data", data, "--valid", valid, "--adapter", words, "--epochs", 3, "--batch-size", 4,
                 "--lr", 0.03, "--threads", 1, "--out", out)
            log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
            first, last = (sum(r["loss"] for r in part) for part in (log[:6], log[-6:]))
            assert last < first, f"{words}: {first} -> {last}"
            found = evaluate(valid, "--adapter", out, "--batch-size", 4)
            assert abs(found["loss"] - log[-1]["valid_loss"]) < 1e-5, (words, found, log[-1])
            run = json.loads((out / "run.json").read_text())
            (home / "again.json").write_text(json.dumps(run["settings"]["adapters"]))
            good("finetune", *ON_MODEL, "--data", data, "--adapter", home / "again.json", "--dry-run", "--out", home / "x")


def test_trainable_counts():
    """the trainable counts are the papers' arithmetic"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)
        d, kv, f, layers, r = 48, 16, 101, 3, 2
        lora = layers * r * ((d + d) + 2 * (d + kv) + (d + d) + 2 * (d + f) + (f + d))
        for adapter, words, count in [("lora", [], lora), ("lora", ["--target", "q_proj,v_proj"], layers * r * (3 * d + kv)),
                                      ("pmss", [], layers * 7 * r * r), ("loreft", [], layers * 2 * (2 * d * r + r)),
                                      ("loreft", ["--share-weights", "--layers", "0;2"], 2 * (2 * d * r + r)),
                                      ("lobireft", ["--positions", "all", "--num-layers", 1], d * r + r)]:
            out = home / f"{adapter}{len(words)}"
            good("finetune", *ON_MODEL, "--data", data, "--adapter", adapter, "--steps", 1, "--out", out, *SMALL, *words)
            run = json.loads((out / "run.json").read_text())
            assert run["model"]["trainable"] == count, (adapter, words, run["model"]["trainable"], count)


def test_runs_repeat():
    """a run repeats bit for bit with its seed, whatever the number of threads, and not with another seed"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)

        def run(out, *words):
            good("finetune", *ON_MODEL, "--data", data, "--out", home / out, "--batch-size", 4, "--lr", 1e-2,
                 "--steps", 8, "--dropout", 0.1, *words)
            return losses(home / out), (home / out / "adapter_model.safetensors").read_bytes()

        one = run("a", "--seed", 3, "--threads", 1)
        assert one == run("b", "--seed", 3, "--threads", 1)
        assert one == run("c", "--seed", 3, "--threads", 2)
        assert one[0] != run("d", "--seed", 4, "--threads", 1)[0]
        assert run("e", "--no-shuffle", "--steps", 1)[0] != one[0][:1]


def test_recompute_changes_memory_only():
    """blocks that are computed again on the way back give the same run, bit for bit, in less memory"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)
        found = []
        for adapter in ["lora", "pmss", "loreft"]:
            for words in [[], ["--grad-checkpoint"]]:
                out = home / f"{adapter}{len(words)}"
                good("finetune", *ON_MODEL, "--data", data, "--adapter", adapter, "--rank", 4, "--steps", 4,
                     "--lr", 1e-2, "--batch-size", 24, "--out", out, *words)
                memory = json.loads((out / "run.json").read_text())["memory"]["forecast_bytes"]
                found.append((losses(out), (out / "adapter_model.safetensors").read_bytes(), memory["activations of a batch"]))
            kept, again = found[-2:]
            assert kept[:2] == again[:2], adapter
            assert again[2] < kept[2], (adapter, kept[2], again[2])


def test_accumulation_is_one_batch():
    """two batches of two are the same step as one of four, whatever their labelled tokens"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)

        def first_losses(out, *words):
            good("finetune", *ON_MODEL, "--data", data, "--out", home / out, "--steps", 6, "--no-shuffle", "--lr", 1e-2,
                 "--threads", 1, *words)
            return losses(home / out)

        whole = first_losses("whole", "--batch-size", 4)
        parts = first_losses("parts", "--batch-size", 2, "--grad-accum", 2)
        assert all(abs(a - b) < 1e-4 for a, b in zip(whole, parts)), (whole, parts)


def test_init_adapter_goes_on():
    """a run from an adapter begins where that adapter's evaluation stands"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)
        for adapter in ["lora", "pmss", "loreft"]:
            first, second = home / (adapter + "1"), home / (adapter + "2")
            good("finetune", *ON_MODEL, "--data", data, "--adapter", adapter, "--epochs", 2, "--out", first, *SMALL)
            good("finetune", *ON_MODEL, "--data", data, "--adapter", adapter, "--init-adapter", first, "--steps", 1,
                 "--batch-size", 24, "--no-shuffle", "--out", second, "--threads", 1)
            found = evaluate(data, "--adapter", first)
            assert abs(losses(second)[0] - found["loss"]) < 1e-5, (adapter, losses(second), found)


def test_lora_is_a_peft_folder():
    """LoRA is saved as PEFT reads it: names, shapes, configuration"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)
        good("finetune", *ON_MODEL, "--data", data, "--target", "q_proj,down_proj", "--layers", "1-2", "--steps", 1,
             "--alpha", 4, "--out", home / "run", *SMALL)
        config = json.loads((home / "run" / "adapter_config.json").read_text())
        assert config["peft_type"] == "LORA" and config["r"] == 2 and config["lora_alpha"] == 4, config
        tensors = read_safetensors(home / "run" / "adapter_model.safetensors")
        assert len(tensors) == 8
        key = "base_model.model.model.layers.2.mlp.down_proj.lora_"
        assert tensors[key + "A.weight"][:2] == ("F32", [2, 101]) and tensors[key + "B.weight"][:2] == ("F32", [48, 2])


def test_logits_are_every_row():
    """--logits holds every token of the file in its order, the golden ones"""
    expected = read_safetensors(MODEL / "io.safetensors")

    def numbers(key):
        code = {"I64": "q", "F64": "d"}[expected[key][0]]
        return struct.unpack(f"<{len(expected[key][2]) // 8}{code}", expected[key][2])

    ids, labels, offsets, golden = (numbers(key) for key in ("input_ids", "labels", "offsets", "logits"))
    with folder() as name:
        home = pathlib.Path(name)
        rows = [{"input_ids": ids[a:b], "labels": labels[a:b]} for a, b in zip(offsets, offsets[1:])]
        data = write_lines(home / "rows.jsonl", rows)
        found = evaluate(data, "--logits", home / "logits.npy")
        shape, logits = read_npy(home / "logits.npy")
        assert shape == (len(ids), 131), shape
        scale = max(map(abs, golden))
        assert max(abs(a - b) for a, b in zip(logits, golden)) < 1e-5 * scale
        loss = numbers("loss")[0]
        assert abs(found["loss"] - loss) < 1e-5 and found["tokens"] == 42, found
        assert abs(found["perplexity"] - math.exp(found["loss"])) < 1e-9 * found["perplexity"]


def test_f16_is_converted_and_said():
    """a checkpoint in F16 is read to nearly the same loss, and the conversion is announced"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)
        half = home / "half"
        half.mkdir()
        (half / "config.json").write_bytes((MODEL / "config.json").read_bytes())
        write_safetensors(half / "model.safetensors", {
            key: ("F16", shape, struct.pack(f"<{len(data) // 4}e", *struct.unpack(f"<{len(data) // 4}f", data)))
            for key, (_, shape, data) in read_safetensors(MODEL / "model.safetensors").items()})
        done = graft("eval", "--model", half, "--dtype", "fp32", "--data", data, "--json")
        assert done.returncode == 0 and "29 F16 tensors are converted to fp32" in done.stderr, done.stderr
        assert 0 < abs(json.loads(done.stdout)["loss"] - evaluate(data)["loss"]) < 1e-3


def test_a_json_list_is_data():
    """a JSON list and the JSONL of the same records evaluate alike"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)
        records = [json.loads(line) for line in data.read_text().splitlines()]
        (home / "list.json").write_text(json.dumps(records, indent=1))
        assert evaluate(data)["loss"] == evaluate(home / "list.json")["loss"]


def test_signals_meet_no_computing_thread():
    """SIGINT and SIGTERM reach the one thread that waits for them: a handler inside oneDNN's sgemm would corrupt the heap"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)
        with running(data, home / "run", 2) as run:
            threads = list(pathlib.Path(f"/proc/{run.pid}/task").iterdir())
            masks = {t.name: int(re.search(r"SigBlk:\s*(\w+)", (t / "status").read_text()).group(1), 16) for t in threads}
            run.kill()
        both = 1 << (signal.SIGINT - 1) | 1 << (signal.SIGTERM - 1)
        reachable = [thread for thread, blocked in masks.items() if blocked & both != both]
        assert len(masks) >= 3 and len(reachable) == 1 and reachable != [str(run.pid)], (run.pid, masks)


def test_interrupt_saves():
    """Ctrl-C finishes the step, saves a whole run, and ends with 130"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)
        with running(data, home / "run", 1) as run:
            os.kill(run.pid, signal.SIGINT)
            _, errors = run.communicate(timeout=120)
        assert run.returncode == 130, (run.returncode, errors)
        result = json.loads((home / "run" / "run.json").read_text())["result"]
        assert result["status"] == "interrupted" and result["steps"] == len(losses(home / "run")) > 0
        evaluate(data, "--adapter", home / "run")


def test_dry_run_and_overwrite():
    """a dry run writes nothing, a second run needs --overwrite, and stdout of a run is its folder"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)
        words = ["finetune", *ON_MODEL, "--data", data, "--steps", 1, "--out", home / "run", *SMALL]
        done = graft(*words, "--dry-run")
        assert done.returncode == 0 and not (home / "run").exists() and done.stdout == ""
        for expected in ["parameters", "trainable", "carry loss", "memory"]:
            assert expected in done.stderr, done.stderr
        assert good(*words).strip() == str(home / "run")
        before = (home / "run" / "log.jsonl").read_text()
        again = graft(*words)
        assert again.returncode == 2 and "train.437" in again.stderr and "--overwrite" in again.stderr
        assert (home / "run" / "log.jsonl").read_text() == before
        result = json.loads(good(*words, "--overwrite", "--json"))
        assert result["steps"] == 1 and result["status"] == "finished"


def test_divergence_is_named():
    """a loss that is not finite ends the run with 2 and keeps the log and a checkpoint of the step before"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)
        done = graft("finetune", *ON_MODEL, "--data", data, "--out", home / "run", *SMALL, "--lr", 1e30, "--clip", 0)
        assert done.returncode == 2 and "train.439" in done.stderr, done.stderr
        assert {p.name for p in (home / "run").iterdir()} == {"config.json", "log.jsonl", "step-000001"}


def test_save_every_and_split():
    """--save-every keeps loadable steps, --val-split holds records out"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)
        good("finetune", *ON_MODEL, "--data", data, "--val-split", 0.25, "--steps", 5, "--save-every", 2, "--out",
             home / "run", *SMALL)
        run = json.loads((home / "run" / "run.json").read_text())
        assert run["valid_examples"] == 6 and run["result"]["valid_loss"] > 0
        assert sorted(p.name for p in home.glob("run/step-*")) == ["step-000002", "step-000004"]
        evaluate(data, "--adapter", home / "run" / "step-000004")


def test_full_finetuning_trains():
    """full finetuning lowers the loss, and what it saves keeps --dtype auto at fp32, as it must"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)
        good("finetune", "--model", MODEL, "--data", data, "--adapter", "full", "--lr", 1e-3, "--epochs", 3, "--batch-size", 4,
             "--threads", 1, "--out", home / "run")
        found = losses(home / "run")
        assert sum(found[-6:]) < sum(found[:6]), found
        tuned = json.loads(good("eval", "--model", MODEL, "--data", data, "--json", "--adapter", home / "run"))
        assert tuned["loss"] < evaluate(data)["loss"]


def test_settings_are_resolved():
    """run.json holds every setting as it was used, defaults included, and what was left out of the data"""
    with folder() as name:
        home = pathlib.Path(name)
        data, valid = prepare(home)
        with open(valid, "a") as file:
            file.write(json.dumps({"input_ids": list(range(3, 63)), "labels": [-100] * 4 + list(range(7, 63))}) + "\n")
        done = graft("finetune", *ON_MODEL, "--data", data, "--valid", valid, "--steps", 1, "--max-seq-len", 30, "--out",
                     home / "run")
        assert done.returncode == 0 and "valid.jsonl: 7 records" in done.stderr and "1 cut" in done.stderr, done.stderr
        run = json.loads((home / "run" / "run.json").read_text())
        targets = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
                   "mlp.up_proj", "mlp.down_proj"]
        lora = {"name": "lora", "rank": 8, "alpha": 16, "dropout": 0, "layers": "all", "target": targets}
        expected = {"adapter": "lora", "adapters": [lora], "dtype": "fp32", "batch_size": 8, "lr": 2e-4, "format": "auto",
                    "max_seq_len": 30}
        assert {key: run["settings"][key] for key in expected} == expected, run["settings"]
        assert run["settings"]["threads"] >= 1 and run["valid"]["cut"] == 1 and run["data"]["cut"] == 0
        again = home / "again"
        good("finetune", *ON_MODEL, "--data", data, "--init-adapter", home / "run", "--steps", 1, "--out", again)
        settings = json.loads((again / "run.json").read_text())["settings"]
        assert settings["adapters"] == [lora] and settings["init_adapter"] == str(home / "run")


def test_stacks():
    """several adapters train together, from flags or from the JSON that run.json holds, and are loaded again"""
    with folder() as name:
        home = pathlib.Path(name)
        data, valid = prepare(home)
        words = ["--adapter", "lora:rank=3,alpha=6,target=q_proj+v_proj,layers=0", "--adapter",
                 "loreft:rank=2,layers=1;2,positions=f1+l1,tied=true", "--adapter", "pmss:rank=2,target=mlp"]
        good("finetune", *ON_MODEL, "--data", data, *words, "--steps", 6, "--batch-size", 4, "--threads", 1, "--out",
             home / "run")
        run = json.loads((home / "run" / "run.json").read_text())
        assert run["settings"]["adapter"] == "lora+pmss+loreft" and run["settings"]["lr"] == 1e-4, run["settings"]
        lora, pmss, loreft = run["settings"]["adapters"]
        assert (lora["rank"], lora["layers"], lora["target"]) == (3, "0", ["self_attn.q_proj", "self_attn.v_proj"]), lora
        assert (pmss["layers"], len(pmss["target"])) == ("all", 3), pmss
        assert (loreft["layers"], loreft["positions"], loreft["tied"]) == ("1-2", "f1+l1", True), loreft
        tuned = json.loads(good("eval", *ON_MODEL, "--data", valid, "--json", "--adapter", home / "run"))
        assert tuned["loss"] != evaluate(valid)["loss"]

        (home / "stack.json").write_text(json.dumps(run["settings"]["adapters"]))
        good("finetune", *ON_MODEL, "--data", data, "--adapter", home / "stack.json", "--steps", 6, "--batch-size", 4,
             "--threads", 1, "--out", home / "again")
        assert losses(home / "again") == losses(home / "run")
        good("finetune", *ON_MODEL, "--data", data, "--init-adapter", home / "run", "--adapter", "lora", "--adapter", "pmss",
             "--adapter", "loreft", "--steps", 1, "--out", home / "further")


def test_rates():
    """the logged rates are the schedule's, and weight decay and SGD change what is learnt"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)

        def run(out, *words):
            good("finetune", *ON_MODEL, "--data", data, "--steps", 8, "--batch-size", 4, "--threads", 1, "--rank", 2, "--lr", 0.01,
                 "--out", home / out, *words)
            log = [json.loads(line) for line in (home / out / "log.jsonl").read_text().splitlines()]
            return [round(record["lr"] / 0.01, 9) for record in log], losses(home / out)

        rates, plain = run("constant", "--schedule", "constant")
        assert rates == [1] * 8
        assert run("linear")[0] == [1 - k / 8 for k in range(8)]
        assert run("warm", "--schedule", "constant", "--warmup", 4)[0] == [0, 0.25, 0.5, 0.75, 1, 1, 1, 1]
        assert run("share", "--schedule", "constant", "--warmup", 0.5)[0] == [0, 0.25, 0.5, 0.75, 1, 1, 1, 1]
        cosine = [0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * k / 8)) for k in range(8)]
        assert all(abs(a - b) < 1e-8 for a, b in zip(run("cosine", "--schedule", "cosine", "--lr-min", 0.001)[0], cosine))
        decayed = run("decay", "--schedule", "constant", "--weight-decay", 5)[1]
        assert decayed[0] == plain[0] and decayed[-1] != plain[-1]
        assert run("sgd", "--schedule", "constant", "--optimizer", "sgd")[1][-1] not in (plain[-1], decayed[-1])


def test_inspect_tells():
    """inspect reads a model, an adapter and a safetensors file, as a table and as JSON"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)
        good("finetune", *ON_MODEL, "--data", data, "--adapter", "pmss", "--steps", 1, "--out", home / "run", *SMALL)
        model = json.loads(good("inspect", MODEL, "--json"))
        assert model["parameters"] == 68688 and model["layers"] == 3 and len(model["tensors"]) == 29, model
        assert "68,688" in good("inspect", MODEL)
        adapter = json.loads(good("inspect", home / "run", "--json"))
        assert adapter["kind"] == "adapter" and len(adapter["tensors"]) == 3 * 21
        assert "GRAFT_PMSS" in good("inspect", home / "run")
        tensors = json.loads(good("inspect", MODEL / "model.safetensors", "--json"))
        assert tensors["kind"] == "safetensors" and len(tensors["tensors"]) == 29
        assert "model.norm.weight" in good("inspect", MODEL / "model.safetensors")


def test_bf16_is_near():
    """--dtype bf16 evaluates near fp32 and trains"""
    with folder() as name:
        home = pathlib.Path(name)
        data, _ = prepare(home)
        exact, rounded = evaluate(data, "--dtype", "fp32")["loss"], evaluate(data, "--dtype", "bf16")["loss"]
        assert 0 < abs(exact - rounded) < 0.05 * exact, (exact, rounded)
        good("finetune", *ON_MODEL, "--data", data, "--dtype", "bf16", "--epochs", 3, "--out", home / "run", *SMALL)
        found = losses(home / "run")
        assert sum(found[-6:]) < sum(found[:6]), found


run_tests(globals())
