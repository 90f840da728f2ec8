# SPDX-License-Identifier: Apache-2.0
"""Every mistake gives one line that names it, exit code 2, and nothing on disk."""
import json
import os
import pathlib
import shutil

from program import GOLDEN, folder, graft, run_tests, token_records, write_lines

MODEL = GOLDEN / "models" / "llama-gqa"


def refused(home, words, *expected, **options):
    """The run ends with 2, one line on stderr holds every expected word, and the folder is as it was."""
    before = {path: path.stat().st_size for path in home.rglob("*")}
    done = graft(*words, **options)
    said = done.stderr
    assert done.returncode == 2, f"{words}: exit {done.returncode}\n{said}"
    assert said.startswith("graft: ") and said.count("\n") == 1, f"{words}: not one line\n{said}"
    assert done.stdout == "", f"{words}: stdout says {done.stdout}"
    for word in expected:
        assert word in said, f"{words}: \"{word}\" is missing in\n{said}"
    after = {path: path.stat().st_size for path in home.rglob("*")}
    assert before == after, f"{words}: {set(after) - set(before)} was written"


def finetune(home, *words, data=None, model=MODEL):
    return ["finetune", "--model", model, "--data", data or home / "train.jsonl", "--out", home / "run", "--threads", 1, *words]


def prepared(name):
    home = pathlib.Path(name)
    write_lines(home / "train.jsonl", token_records(8))
    return home


def test_flags():
    """unknown flags, subcommands, values and missing flags are named, with what was meant"""
    with folder() as name:
        home = prepared(name)
        refused(home, finetune(home, "--rnak", 4), "train.430", "--rnak", "--rank")
        refused(home, finetune(home, "stray"), "train.430", "stray")
        refused(home, ["finetun"], "train.430", "finetune")
        refused(home, finetune(home, "--rank", "four"), "train.430", "rank")
        refused(home, ["finetune", "--data", home / "train.jsonl", "--out", home / "run"], "train.430", "--model")
        refused(home, ["finetune", "--model", MODEL, "--out", home / "run"], "train.430", "--data")
        refused(home, ["finetune", "--model", MODEL, "--data", home / "train.jsonl"], "train.430", "--out")
        refused(home, ["eval", "--model", MODEL], "train.430", "--data")
        refused(home, ["inspect"], "train.430", "PATH")
        refused(home, ["generate", "--model", MODEL], "train.430", "--prompt", "--chat")
        for flag, value in [("--rank", 0), ("--batch-size", 0), ("--dropout", 1.5), ("--optimizer", "adma"), ("--threads", -1),
                            ("--schedule", "liner"), ("--dtype", "fp8"), ("--device", "gpu"), ("--train-on", "prompt"), ("--epochs", 0),
                            ("--max-seq-len", 129), ("--format", "gguf"), ("--val-split", 8), ("--clip", -1)]:
            refused(home, finetune(home, flag, value), "train.431", flag, str(value))


def test_instruction_set():
    """an instruction set that no processor has is refused, with those that this one has"""
    with folder() as name:
        home = prepared(name)
        refused(home, finetune(home), "shape.147", "GRAFT_ISA", "sse9", "baseline", env={**os.environ, "GRAFT_ISA": "sse9"})


def test_device():
    """without a CUDA device, or a build for one, --device cuda says so and names the cure"""
    if pathlib.Path("/dev/nvidia0").exists():
        return  # tests/device computes on it
    with folder() as name:
        home = prepared(name)
        refused(home, finetune(home, "--device", "cuda"), "cuda.00", "--device cpu")
        said = graft(*finetune(home, "--device", "cuda")).stderr
        assert "cuda.001" in said or "cuda.004" in said, said


def test_adapters_and_places():
    """unknown adapters, layers, targets, positions and settings are named"""
    with folder() as name:
        home = prepared(name)
        refused(home, finetune(home, "--adapter", "lorra"), "train.433", "lorra", "lora")
        refused(home, finetune(home, "--target", "q_prj"), "train.433", "q_prj", "q_proj")
        refused(home, finetune(home, "--adapter", "loreft", "--target", "q_proj"), "train.433", "q_proj")
        for layers in ["3", "0;7", "2-1", "x", ";"]:
            refused(home, finetune(home, "--layers", layers), "train.432", "--layers")
        refused(home, finetune(home, "--num-layers", 4), "train.432", "--num-layers")
        for positions in ["g3", "f", "f0+l0", "7"]:
            refused(home, finetune(home, "--adapter", "loreft", "--positions", positions), "train.436", positions)
        refused(home, finetune(home, "--positions", "f1+l1"), "train.434", "--positions")
        refused(home, finetune(home, "--adapter", "loreft", "--alpha", 2), "train.434", "--alpha", "loreft")
        refused(home, finetune(home, "--adapter", "loreft", "--format", "peft"), "adapter.673", "subspace", "PEFT")
        refused(home, finetune(home, "--adapter", "full", "--dtype", "bf16"), "train.435", "fp32")
        refused(home, finetune(home, "--adapter", "pmss", "--rank", 17), "adapter.610", "k_proj", "17")
        refused(home, finetune(home, "--adapter", "loreft", "--rank", 49), "adapter.620", "49")
        refused(home, finetune(home, "--init-adapter", home), "adapter.658", str(home))
        for words in [["--rank", 4], ["--target", "q_proj"], ["--layers", "1"], ["--positions", "all"], ["--share-weights"]]:
            refused(home, finetune(home, "--init-adapter", home, *words), "train.434", words[0], "--init-adapter")


def test_stacks():
    """several adapters: settings that are no settings, a kind that comes twice, plain flags that could mean either"""
    with folder() as name:
        home = prepared(name)
        refused(home, finetune(home, "--adapter", "lora:rank"), "train.431", "rank", "key=value")
        refused(home, finetune(home, "--adapter", "lora:rank=four"), "train.431", "four")
        refused(home, finetune(home, "--adapter", "lora:rank=0"), "train.431", "--rank")
        refused(home, finetune(home, "--adapter", "lora:rnk=4"), "train.434", "rnk", "rank, alpha, dropout")
        refused(home, finetune(home, "--adapter", "loreft:tied=maybe"), "train.431", "maybe")
        refused(home, finetune(home, "--adapter", "lora:layers=0", "--adapter", "lora:layers=1"), "train.434", "twice")
        refused(home, finetune(home, "--adapter", "lora", "--adapter", "pmss", "--rank", 2), "train.434", "--rank", "lora:rank")
        refused(home, finetune(home, "--adapter", "lora:rank=2", "--adapter", "pmss:rank=2", "--format", "peft"), "adapter.673", "two adapters")
        stack = home / "stack.json"
        refused(home, finetune(home, "--adapter", stack), "io.201", str(stack))
        for text, error, *words in [('[{"rank": 2}]', "io.212", "name"), ('[{"name": "lora", "rank": {}}]', "io.212", "rank"),
                                    ('[{"name": "lorra"}]', "train.433", "lorra"), ("[", "io.210", "stack.json"),
                                    ('[{"name": "lora", "target": ["q_prj"]}]', "train.433", "q_proj")]:
            stack.write_text(text)
            refused(home, finetune(home, "--adapter", stack), error, *words)


def test_data():
    """data that is absent, empty, broken, of unknown keys or of no use is refused with its line"""
    with folder() as name:
        home = prepared(name)

        def with_data(text):
            (home / "bad.jsonl").write_text(text)
            return finetune(home, data=home / "bad.jsonl")

        refused(home, finetune(home, data=home / "none.jsonl"), "io.201", "none.jsonl")
        for text, *expected in [("", "train.426", "bad.jsonl"), ("[]", "train.426"), ("\n\n", "train.426"),
                                ('{"input_ids": [1]}\n{"input_ids": [1,', "io.210", "bad.jsonl:2"), ("[1]", "io.241"),
                                ('[{"input_ids": [1, 2]}', "io.240"), ('{"contxt": "a"}', "train.420", "contxt"),
                                ('{"prompt": "a", "chosen": "b", "rejected": "c"}', "train.420", "docs/preferences.md"),
                                ('{"messages": 3}', "train.421"), ('{"input_ids": [1, 2], "labels": [1]}', "train.422"),
                                ('{"input_ids": [1, 131]}', "train.423", "131"), ('{"text": "a"}', "train.424", "tokenizer"),
                                ('{"input_ids": [1, 2], "prompt_length": 3}', "train.425", "3"),
                                ('{"input_ids": [1, 2], "labels": [1, -100]}', "train.427")]:
            refused(home, with_data(text), *expected)
        long_prompt = json.dumps({"input_ids": list(range(20)), "labels": [-100] * 19 + [19]})
        refused(home, [*with_data(long_prompt), "--max-seq-len", 10], "train.427", "10 tokens", "bad.jsonl")
        refused(home, [*with_data('{"input_ids": [1, 2, 3]}'), "--adapter", "loreft", "--rank", 2], "train.438", "--positions all")
        (home / "bad.jsonl").write_text(json.dumps({"input_ids": [1] * 129}))
        refused(home, ["eval", "--model", MODEL, "--data", home / "bad.jsonl", "--logits", home / "l.npy"], "train.441")
        refused(home, ["eval", "--model", MODEL, "--data", home / "bad.jsonl", "--batch-size", 0], "train.431")


def test_models():
    """a model that is absent, cut, changed, not a number or of unknown keys is refused with the name of what is wrong"""
    with folder() as name:
        home = prepared(name)
        refused(home, finetune(home, model=home / "none.gguf"), "model.520", "none.gguf")
        refused(home, finetune(home, model=home / "train.jsonl"), "model.520")
        model = home / "model"

        def changed(change):
            shutil.rmtree(model, ignore_errors=True)
            model.mkdir()
            shutil.copyfile(MODEL / "config.json", model / "config.json")
            weights = bytearray((MODEL / "model.safetensors").read_bytes())
            config = json.loads((model / "config.json").read_text())
            weights = change(weights, config) or weights
            (model / "config.json").write_text(json.dumps(config))
            (model / "model.safetensors").write_bytes(weights)
            return finetune(home, model=model)

        refused(home, changed(lambda weights, config: weights[:-100]), "io.223", "model.safetensors")
        refused(home, changed(lambda weights, config: weights[:5]), "io.220")

        def not_a_number(weights, config):
            weights[-4:] = b"\x00\x00\xc0\x7f"

        refused(home, changed(not_a_number), "model.513")
        refused(home, changed(lambda weights, config: config.update(num_hidden_layers=4)), "model.510", "model.layers.3")
        refused(home, changed(lambda weights, config: config.update(num_hidden_layers=2)), "model.511", "model.layers.2")
        refused(home, changed(lambda weights, config: config.update(intermediate_size=100)), "model.512", "101")
        refused(home, changed(lambda weights, config: config.update(vocab_size=10**12)), "model.504")
        refused(home, changed(lambda weights, config: config.update(logit_scale=2.0)), "logit_scale")

        def header(edit):
            def change(weights, config):
                size = int.from_bytes(weights[:8], "little")
                head = json.loads(weights[8:8 + size])
                edit(head)
                text = json.dumps(head).encode()
                return bytearray(len(text).to_bytes(8, "little") + text + weights[8 + size:])
            return changed(change)

        norm = "model.norm.weight"
        refused(home, header(lambda head: head[norm].update(dtype="I32")), "model.514", norm, "I32", "F32")
        refused(home, header(lambda head: head[norm].update(dtype="F31")), "io.222", norm, "F31")
        refused(home, header(lambda head: head[norm].update(data_offsets=[0, 192])), "io.224", "overlap", "model.safetensors")
        refused(home, header(lambda head: head[norm].update(data_offsets=[10**12, 10**12 + 192])), "model.safetensors", norm)
        refused(home, header(lambda head: head[norm].update(shape=[10**18])), norm)
        changed(lambda weights, config: weights.__setitem__(slice(0, 8), b"\xff" * 8))
        refused(home, finetune(home, model=model), "io.220", "18446744073709551615")
        changed(lambda weights, config: None)
        (model / "model.safetensors").unlink()
        refused(home, finetune(home, model=model), "model.520")


def test_other_containers():
    """a GGUF or llama2.c file that is cut or of absurd sizes is refused by name"""
    with folder() as name:
        home = prepared(name)
        magic = b"GGUF" + (3).to_bytes(4, "little")
        for file, content, *expected in [("cut.gguf", magic, "io.231"),
                                         ("vast.gguf", magic + (1 << 60).to_bytes(8, "little") * 2, "io.232"),
                                         ("old.gguf", b"GGUF" + (1).to_bytes(4, "little") + bytes(16), "io.230", "version 1"),
                                         ("cut.bin", b"".join(n.to_bytes(4, "little") for n in [64, 172, 5, 8, 4, 512, 512]))]:
            (home / file).write_bytes(content)
            refused(home, finetune(home, model=home / file), file, *expected)


def test_saved_adapters():
    """an adapter whose tensors are cut, changed, missing, extra or not numbers is refused by name"""
    good_folder = GOLDEN / "adapters" / "lora"
    with folder() as name:
        home = prepared(name)
        broken = home / "adapter"
        key = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"

        def adapter(edit):
            shutil.rmtree(broken, ignore_errors=True)
            shutil.copytree(good_folder, broken)
            file = broken / "adapter_model.safetensors"
            data = file.read_bytes()
            size = int.from_bytes(data[:8], "little")
            head, tail = json.loads(data[8:8 + size]), bytearray(data[8 + size:])
            tail = edit(head, tail) or tail
            text = json.dumps(head).encode()
            file.write_bytes(len(text).to_bytes(8, "little") + text + tail)
            return ["eval", "--model", MODEL, "--data", home / "train.jsonl", "--adapter", broken]

        def not_a_number(head, tail):
            begin = head[key]["data_offsets"][0]
            tail[begin:begin + 8] = b"\xff" * 8

        refused(home, adapter(lambda head, tail: tail[:-8]), "io.223", "adapter_model.safetensors")
        refused(home, adapter(not_a_number), key, "NaN")
        refused(home, adapter(lambda head, tail: head.update({key + "s": head.pop(key)})), key, "nearest")
        refused(home, adapter(lambda head, tail: head[key].update(shape=head[key]["shape"][::-1])), "adapter.651", key)


def test_processes():
    """several processes that cannot meet are refused, as is what only one can do"""
    with folder() as name:
        home = prepared(name)
        launched = {**os.environ, "PMI_SIZE": "2"}  # what a launcher says that is not the one of the program's MPI, if it has one
        refused(home, finetune(home), "train.510", "2 processes", env=launched)
        refused(home, ["eval", "--model", MODEL, "--data", home / "train.jsonl"], "train.510", "eval", env=launched)


def test_generate():
    """a prompt without a tokenizer, a bad number and an unknown file are refused"""
    with folder() as name:
        home = prepared(name)
        words = ["generate", "--model", MODEL]
        refused(home, [*words, "--prompt", "a"], "train.424", "tokenizer")
        refused(home, [*words, "--prompt", "a", "--chat", "b"], "train.430")
        refused(home, [*words, "--prompt", "a", "--top-p", 0], "train.431", "--top-p")
        refused(home, [*words, "--prompt", "a", "--temperature", -1], "train.431", "--temperature")
        refused(home, [*words, "--prompt", "a", "--max-tokens", 0], "train.431", "--max-tokens")
        smollm = GOLDEN / "tokenizer" / "bytelevel-smollm"
        refused(home, [*words, "--tokenizer", smollm, "--chat", "a", "--chat-template", "chatlm"], "text.341", "chatlm")
        refused(home, [*words, "--tokenizer", smollm, "--prompt", "word " * 200], "train.440", "128")
        refused(home, [*words, "--tokenizer", home / "train.jsonl", "--prompt", "a"], "model.530")
        refused(home, ["inspect", home / "nothing"], "model.520")


run_tests(globals())
