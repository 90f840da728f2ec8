# SPDX-License-Identifier: Apache-2.0
"""graft merge: the model that comes out needs no adapter, answers as model and adapter did together, and nothing is lost."""
import json
import pathlib
import struct

from program import GOLDEN, ROOT, folder, good, graft, read_safetensors, run_tests, token_records, write_lines, write_safetensors

MODEL = ROOT / "examples/models/village"
DATA = ROOT / "examples/data/village"


def train(out, *words):
    good("finetune", "--model", MODEL, "--data", DATA / "train.jsonl", "--no-eos", "--steps", 20, "--batch-size", 8, "--out", out, *words)
    return out


def loss(model, *words):
    return json.loads(good("eval", "--model", model, "--data", DATA / "heldout.jsonl", "--no-eos", "--json", "--dtype", "fp32", *words))["loss"]


def receipt_of(merged):
    """receipt.json, which is never about less than it must be."""
    receipt = json.loads((merged / "receipt.json").read_text())
    assert receipt["prompts"] >= 8 and receipt["tokens"] >= 256, receipt
    assert receipt["rms_difference"] <= receipt["tolerance"]["rms"], receipt
    assert 0 <= receipt["mean_difference"] <= receipt["rms_difference"] <= receipt["largest_difference"] <= receipt["tolerance"]["largest"], receipt
    return receipt


def test_merged_is_attached():
    """LoRA, PMSS and full finetuning: merged in fp32 the loss is that of model and adapter, in bf16 nearly so"""
    with folder() as name:
        home = pathlib.Path(name)
        for adapter, rate in (("lora", 5e-3), ("pmss", 5e-3), ("full", 1e-3)):
            words = ["--rank", 8] if adapter != "full" else []
            run = train(home / adapter, "--adapter", adapter, "--lr", rate, "--dtype", "fp32", *words)
            expected = loss(MODEL, "--adapter", run)
            assert abs(loss(MODEL) - expected) > 0.1, adapter
            wide, narrow = home / f"{adapter}-fp32", home / f"{adapter}-own"
            good("merge", "--model", MODEL, "--adapter", run, "--out", wide, "--dtype", "fp32")
            assert abs(loss(wide) - expected) < 1e-4, adapter
            receipt = receipt_of(wide)
            assert receipt["numbers"] == receipt["computed_in"] == "fp32" and receipt["top1_agreement"] > 0.99, receipt
            assert receipt["tensors"] == len(read_safetensors(wide / "model.safetensors")) and receipt["added"] == 0, receipt
            done = graft("merge", "--model", MODEL, "--adapter", run, "--out", narrow)
            assert done.returncode == 0 and "with the tokenizer" in done.stderr, done.stderr
            assert abs(loss(narrow) - expected) < 0.05, adapter
            tensors = read_safetensors(narrow / "model.safetensors")
            assert {dtype for dtype, _, _ in tensors.values()} == {"BF16"} and "lm_head.weight" not in tensors
            assert {path.name for path in narrow.iterdir()} == {path.name for path in MODEL.iterdir()} | {"receipt.json"}
            assert receipt_of(narrow)["numbers"] == "bf16" and "receipt: 10 prompts" in done.stderr, done.stderr


def write_gguf(path, folder):
    """The model of a Hugging Face folder with a byte-level tokenizer as llama.cpp's converter writes it: one BF16 file."""
    config = json.loads((folder / "config.json").read_text())
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "model.layers.": "blk.", "input_layernorm": "attn_norm",
             "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
             "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down"}
    text = lambda s: struct.pack("<Q", len(s.encode())) + s.encode()
    array = lambda kind, items, pack: struct.pack("<IQ", kind, len(items)) + b"".join(pack(item) for item in items)
    vocab = sorted({**tokenizer["model"]["vocab"], **{t["content"]: t["id"] for t in tokenizer["added_tokens"]}}.items(),
                   key=lambda entry: entry[1])
    special = {token["id"] for token in tokenizer["added_tokens"]}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    number = lambda value: (4, struct.pack("<I", value))
    metadata = {"general.architecture": (8, text("llama")), "llama.context_length": number(config["max_position_embeddings"]),
                "llama.embedding_length": number(config["hidden_size"]), "llama.block_count": number(config["num_hidden_layers"]),
                "llama.feed_forward_length": number(config["intermediate_size"]),
                "llama.attention.head_count": number(config["num_attention_heads"]),
                "llama.attention.head_count_kv": number(config["num_key_value_heads"]),
                "llama.attention.layer_norm_rms_epsilon": (6, struct.pack("<f", config["rms_norm_eps"])),
                "llama.rope.freq_base": (6, struct.pack("<f", config["rope_theta"])),
                "tokenizer.ggml.model": (8, text("gpt2")), "tokenizer.ggml.pre": (8, text("gpt-2")),
                "tokenizer.ggml.tokens": (9, array(8, [token for token, _ in vocab], text)),
                "tokenizer.ggml.token_type": (9, array(5, [3 if i in special else 1 for _, i in vocab], lambda t: struct.pack("<i", t))),
                "tokenizer.ggml.merges": (9, array(8, merges, text)),
                "tokenizer.ggml.eos_token_id": number(config["eos_token_id"])}
    entries, data = b"", b""
    tensors = read_safetensors(folder / "model.safetensors")
    for name, (dtype, shape, content) in tensors.items():
        assert dtype == "BF16"
        row = len(content) // shape[0]
        for projection, count in heads.items():
            if projection in name:  # llama.cpp turns neighbours, Hugging Face halves: the rows of each head are shuffled together
                size = shape[0] // count
                order = [h * size + half * size // 2 + i for h in range(count) for i in range(size // 2) for half in range(2)]
                content = b"".join(content[r * row:(r + 1) * row] for r in order)
        kind = 30  # BF16
        if len(shape) == 1:  # norms are F32
            kind, content = 0, b"".join(bytes(2) + content[i:i + 2] for i in range(0, len(content), 2))
        for long, short in names.items():
            name = name.replace(long, short)
        data += bytes(-len(data) % 32)
        entries += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in reversed(shape))
        entries += struct.pack("<IQ", kind, len(data))
        data += content
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(text(key) + struct.pack("<I", kind) + value for key, (kind, value) in metadata.items()) + entries
    path.write_bytes(head + bytes(-len(head) % 32) + data)


def test_gguf_becomes_a_folder():
    """a GGUF is the model it was made of, and merged it leaves as a folder with its tokenizer"""
    with folder() as name:
        home = pathlib.Path(name)
        write_gguf(home / "village.gguf", MODEL)
        assert abs(loss(home / "village.gguf") - loss(MODEL)) < 1e-6
        run = train(home / "run", "--rank", 8)
        done = graft("merge", "--model", home / "village.gguf", "--adapter", run, "--out", home / "merged", "--dtype", "fp32")
        assert done.returncode == 0 and "with the tokenizer" in done.stderr, done.stderr
        assert (home / "merged/tokenizer.json").is_file() and (home / "merged/tokenizer_config.json").is_file()
        assert abs(loss(home / "merged") - loss(MODEL, "--adapter", run)) < 1e-4


def test_reft_is_refused():
    """an edit that depends on the position says why it cannot be merged, and nothing is written"""
    with folder() as name:
        home = pathlib.Path(name)
        run = train(home / "run", "--adapter", "loreft")
        done = graft("merge", "--model", MODEL, "--adapter", run, "--out", home / "out")
        assert done.returncode == 2 and "adapter.680" in done.stderr and "positions" in done.stderr, done.stderr
        assert not (home / "out").exists()


def test_reft_on_a_linear_map():
    """at all positions of attention or mlp a LoReFT is a linear map: merged it is that, with biases that the model had not"""
    with folder() as name:
        home = pathlib.Path(name)
        run = train(home / "run", "--adapter", "loreft", "--target", "attention,mlp", "--positions", "all", "--lr", 5e-3, "--dtype", "fp32")
        expected = loss(MODEL, "--adapter", run)
        assert abs(loss(MODEL) - expected) > 0.1
        done = graft("merge", "--model", MODEL, "--adapter", run, "--out", home / "out", "--dtype", "fp32", "--json")
        assert done.returncode == 0 and "new biases" in done.stderr, done.stderr
        config = json.loads((home / "out/config.json").read_text())
        assert config["attention_bias"] is True and config["mlp_bias"] is True
        layers = config["num_hidden_layers"]
        receipt = receipt_of(home / "out")
        assert json.loads(done.stdout) == receipt
        assert (receipt["changed"], receipt["added"]) == (4 * layers, 7 * layers), receipt
        assert abs(loss(home / "out") - expected) < 1e-4


def test_receipt_speaks_the_run_s_language():
    """one prompt has the form of training: the chat template of run.json, else question and answer; without a tokenizer, ids"""
    with folder() as name:
        home = pathlib.Path(name)
        for words, form in ((["--chat-template", "chatml"], "chat template"), ([], "question and answer")):
            run = train(home / form, *words)
            good("merge", "--model", MODEL, "--adapter", run, "--out", home / f"{form} merged")
            assert receipt_of(home / f"{form} merged")["training_form"] == form
        tiny = GOLDEN / "models" / "llama-gqa"
        data = write_lines(home / "train.jsonl", token_records(8))
        good("finetune", "--model", tiny, "--data", data, "--out", home / "tiny", "--steps", 2)
        good("merge", "--model", tiny, "--adapter", home / "tiny", "--out", home / "tiny merged")
        assert receipt_of(home / "tiny merged")["training_form"] == "token ids"


def test_receipt_fails():
    """weights so large that rounding them changes the answers are not merged in bf16, and nothing is left"""
    with folder() as name:
        home = pathlib.Path(name)
        run = train(home / "run", "--adapter", "lora", "--target", "q_proj,k_proj")
        path = run / "adapter_model.safetensors"
        tensors = read_safetensors(path)
        for key, (dtype, shape, content) in tensors.items():
            if "lora_B" in key:
                values = struct.unpack(f"<{len(content) // 4}f", content)
                tensors[key] = (dtype, shape, struct.pack(f"<{len(values)}f", *(3000 * value for value in values)))
        write_safetensors(path, tensors)
        before = {entry.name for entry in home.iterdir()}
        done = graft("merge", "--model", MODEL, "--adapter", run, "--out", home / "out", "--dtype", "bf16")
        assert done.returncode == 2 and "train.446" in done.stderr and done.stderr.count("\n") == 1, done.stderr
        assert {entry.name for entry in home.iterdir()} == before


def test_taken_folder():
    """a folder with a model in it is left alone unless --overwrite is given; flags and dtypes are checked"""
    with folder() as name:
        home = pathlib.Path(name)
        run = train(home / "run")
        words = ["merge", "--model", MODEL, "--adapter", run, "--out", home / "out"]
        good(*words)
        before = (home / "out/model.safetensors").read_bytes()
        done = graft(*words)
        assert done.returncode == 2 and "train.437" in done.stderr and "--overwrite" in done.stderr
        assert (home / "out/model.safetensors").read_bytes() == before
        (home / "out/notes.txt").write_text("mine")
        good(*words, "--overwrite")
        assert (home / "out/notes.txt").read_text() == "mine" and {path.name for path in home.iterdir()} == {"run", "out"}
        for wrong in (["--dtype", "fp8", "--overwrite"], ["--format", "onnx", "--overwrite"], ["--adapter", home]):
            assert graft(*words, *wrong).returncode == 2
        assert "--adapter is missing" in graft("merge", "--model", MODEL, "--out", home / "x").stderr


run_tests(globals())
