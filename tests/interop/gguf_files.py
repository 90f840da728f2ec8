# SPDX-License-Identifier: Apache-2.0
"""llama.cpp loads what graft writes: gguf_files.py PROGRAM GOLDEN [SMOLLM2.gguf], with llama-cpp-python; prints a row a case.

PROGRAM is gguf_roundtrip, GOLDEN the folder tests/golden. llama.cpp's logits of merged models, LoRAs on a base and control vectors are
held against the golden ones of transformers and PEFT (of graft, where there are none), its ids of written tokenizers against those of
Hugging Face's library. F16, BF16 and Q8_0 models are held against graft's own logits of the same file: llama.cpp rounds activations
to the type of the weights, graft does not, so what is left is its arithmetic.
"""
import ctypes
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unicodedata

import llama_cpp
import numpy
from safetensors.numpy import load_file, save_file

program, golden = sys.argv[1], pathlib.Path(sys.argv[2])
beside = golden.resolve().parents[1] / "build/models/SmolLM2-135M-Instruct.Q4_1.gguf"
smollm2 = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else os.environ.get("GRAFT_SMOLLM2", beside))
quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
llama_cpp.llama_backend_init()
scratch = tempfile.TemporaryDirectory()
out = pathlib.Path(scratch.name)
failed = False


def report(case, error, tolerance):
    global failed
    failed |= not error <= tolerance
    print(f"| GGUF | llama-cpp-python {llama_cpp.__version__} | {case} | {error:.1e} | {tolerance:.0e} | "
          f"{'pass' if error <= tolerance else 'FAIL'} |", flush=True)


def graft(*words):
    subprocess.run([program, *map(str, words)], check=True)


def load(path):
    params = llama_cpp.llama_model_default_params()
    params.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        raise RuntimeError(f"llama.cpp does not load {path}")
    return model


def llama_logits(path, sequences, lora=None, vector=None):
    """llama.cpp's logits of some sequences of ids, row by row, everything in single precision that it lets one choose."""
    model = load(path)
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = 256
    params.n_threads = params.n_threads_batch = 1
    params.type_k = params.type_v = 0  # F32
    params.flash_attn_type = 0
    context = llama_cpp.llama_init_from_model(model, params)
    if lora is not None:
        adapter = llama_cpp.llama_adapter_lora_init(model, str(lora).encode())
        if not adapter:
            raise RuntimeError(f"llama.cpp does not load {lora}")
        adapters = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(adapter)
        assert llama_cpp.llama_set_adapters_lora(context, adapters, 1, (ctypes.c_float * 1)(1.0)) == 0
    if vector is not None:
        directions = control_vector(vector)
        data = directions.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        layers = llama_cpp.llama_model_n_layer(model)
        assert llama_cpp.llama_set_adapter_cvec(context, data, directions.size, directions.shape[1], 1, layers) == 0
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    rows = []
    for ids in sequences:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = int(token), i, 1, 1
            batch.seq_id[i][0] = 0
        assert llama_cpp.llama_decode(context, batch) == 0
        for i in range(len(ids)):
            rows.append(numpy.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, i), (vocabulary,)).copy())
        llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(model)
    return numpy.stack(rows)


def control_vector(path):
    """direction.1, direction.2 ... as rows, those that are absent zero: what llama.cpp's common_control_vector_load hands over."""
    import gguf

    directions = {int(t.name.split(".")[1]): numpy.array(t.data) for t in gguf.GGUFReader(path).tensors}
    rows = numpy.zeros((max(directions), next(iter(directions.values())).size), dtype=numpy.float32)
    for layer, direction in directions.items():
        rows[layer - 1] = direction
    return rows


def graft_logits(path, sequences, adapter="-"):
    rows = []
    for ids in sequences:
        (out / "ids").write_text(" ".join(str(int(i)) for i in ids))
        graft("logits", path, adapter, out / "ids", out / "logits")
        rows.append(numpy.fromfile(out / "logits", dtype=numpy.float32).reshape(len(ids), -1))
    return numpy.concatenate(rows)


def relative(found, expected):
    return float(numpy.abs(found.astype(float) - expected).max() / numpy.abs(expected).max())


def golden_sequences(model):
    io = load_file(golden / "models" / model / "io.safetensors")
    offsets = io["offsets"]
    return [io["input_ids"][a:b] for a, b in zip(offsets, offsets[1:])], io["logits"]


def models():
    # gelu goes through a table of halves in llama.cpp; everything else is its single precision
    for name in ("llama-mha", "llama-gqa", "llama-headdim", "llama3-rope", "qwen2-bias", "qwen3-qknorm", "gemma"):
        base = golden / "models" / name
        sequences, expected = golden_sequences(name)
        for kind in ("F32", "F16", "BF16", "Q8_0"):
            graft("write", base, "-", kind, out / "model.gguf")
            found = llama_logits(out / "model.gguf", sequences)
            if kind == "F32":
                report(f"model {name} F32", relative(found, expected), 1e-3 if name == "gemma" else 1e-5)
            else:
                ours = graft_logits(out / "model.gguf", sequences)
                report(f"model {name} {kind}", relative(found, ours), {"F16": 5e-3, "BF16": 3e-2, "Q8_0": 3e-2}[kind])


def loras():
    base = golden / "models/llama-gqa"
    sequences, _ = golden_sequences("llama-gqa")
    graft("write", base, "-", "F32", out / "base.gguf")
    for name in ("lora", "lora-all", "lora-rs", "lora-rank-pattern", "lora-layers"):
        folder = golden / "adapters" / name
        expected = load_file(folder / "io.safetensors")["logits"]
        graft("write", base, folder, "lora", out / "lora.gguf")
        report(f"lora {name}", relative(llama_logits(out / "base.gguf", sequences, lora=out / "lora.gguf"), expected), 1e-5)
        report(f"lora {name} read back", relative(graft_logits(base, sequences, out / "lora.gguf"), expected), 1e-5)
        graft("write", base, folder, "F32", out / "merged.gguf")
        report(f"merged {name} F32", relative(llama_logits(out / "merged.gguf", sequences), expected), 1e-5)
    expected = load_file(golden / "adapters/lora-all/io.safetensors")["logits"]
    theirs = golden / "io/lora-all.gguf"
    report("lora of convert_lora_to_gguf.py, in graft", relative(graft_logits(base, sequences, theirs), expected), 1e-5)


def vectors():
    base = golden / "models/llama-gqa"
    sequences, plain = golden_sequences("llama-gqa")
    graft("write", base, "-", "F32", out / "base.gguf")
    graft("write", base, "steer", "vector", out / "vector.gguf")
    expected = graft_logits(base, sequences, "steer")
    assert relative(expected, plain) > 1e-2
    report("control vector", relative(llama_logits(out / "base.gguf", sequences, vector=out / "vector.gguf"), expected), 1e-5)
    report("control vector read back", relative(graft_logits(base, sequences, out / "vector.gguf"), expected), 1e-5)


def ids_of(vocabulary, text):
    raw = text.encode()
    tokens = (llama_cpp.llama_token * (2 * len(raw) + 8))()
    return list(tokens[: llama_cpp.llama_tokenize(vocabulary, raw, len(raw), tokens, len(tokens), True, True)])


def tokenizers():
    """Of every golden tokenizer: how many golden texts get other ids than from Hugging Face's library."""
    for kind in ("bytelevel-gpt2", "bytelevel-smollm", "bytelevel-llama3", "bytelevel-qwen2", "sentencepiece"):
        source = golden / "tokenizer" / kind
        folder = out / kind
        folder.mkdir()
        base = golden / "models/llama-gqa"
        config = json.loads((base / "config.json").read_text()) | {"vocab_size": 520}
        (folder / "config.json").write_text(json.dumps(config))
        tensors = load_file(base / "model.safetensors")
        tensors["model.embed_tokens.weight"] = numpy.resize(tensors["model.embed_tokens.weight"], (520, 48))
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name).write_bytes((source / name).read_bytes())
        graft("write", folder, "-", "F16", out / "tokens.gguf")
        model = load(out / "tokens.gguf")
        vocabulary = llama_cpp.llama_model_get_vocab(model)
        texts = other = 0
        differ = json.loads((source / "notes.json").read_text()) if (source / "notes.json").exists() else {}
        known = differ.get("differ_between_tokenizer_json_and_sentencepiece", [])  # llama.cpp does as sentencepiece does
        for line in (source / "ids.jsonl").read_text().splitlines():
            row = json.loads(line)
            text = row.get("text", "\0")
            composed = unicodedata.normalize("NFC", text) == text  # Qwen2's tokenizer composes, llama.cpp's does not
            if text not in known and "\0" not in text and (composed or kind != "bytelevel-qwen2"):
                texts += 1
                other += ids_of(vocabulary, text) != row["ids_with_special"]
        template = llama_cpp.llama_model_chat_template(model, None)
        other += template.decode() != json.loads((source / "tokenizer_config.json").read_text())["chat_template"]
        report(f"tokenizer {kind}, {texts} texts, other ids", other, 0)
        llama_cpp.llama_model_free(model)


def real():
    if not smollm2.exists():
        print("SmolLM2 skipped: no", smollm2, file=sys.stderr)
        return
    model = load(smollm2)
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    ids = ids_of(vocabulary, "<|im_start|>user\nWhat is gravity, in 2 sentences?<|im_end|>\n<|im_start|>assistant\nGravity is")
    llama_cpp.llama_model_free(model)
    expected = graft_logits(smollm2, [ids])
    for kind, tolerance in (("F32", 1e-4), ("BF16", 3e-2), ("Q8_0", 8e-2)):
        graft("write", smollm2, "-", kind, out / "real.gguf")
        found = llama_logits(out / "real.gguf", [ids])
        same = (found.argmax(1) == expected.argmax(1)).mean()
        report(f"SmolLM2 {kind}, top-1 agrees {same:.0%}", relative(found, expected), tolerance)


models()
loras()
vectors()
tokenizers()
real()
sys.exit(failed)
