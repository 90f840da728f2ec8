# SPDX-License-Identifier: Apache-2.0
"""llama.cpp loads the GGUF files of graft, and graft llama.cpp's; runs in an environment with llama-cpp-python (table.py).

Merged models, LoRAs on a base and control vectors that graft trained for a few steps and wrote: llama.cpp's logits are held
against graft's with the adapter attached. Models in F16, BF16 and Q8_0 are held against graft's logits of the same file: llama.cpp
rounds activations to the type of the weights, graft does not, so what is left is its arithmetic. LoRAs that llama.cpp's
convert_lora_to_gguf.py made of PEFT's folders, and K-quants that its quantizer made: graft's logits are held against llama.cpp's, on
the quantizer's own way back to F32. Ids of written tokenizers are held against those of Hugging Face's library.
"""
import ctypes
import json
import pathlib
import subprocess
import sys
import unicodedata

import gguf
import llama_cpp
import numpy
from safetensors.numpy import load_file, save_file

import table

quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
llama_cpp.llama_backend_init()
peer = f"llama-cpp-python {llama_cpp.__version__}"
converter = next(pathlib.Path(sys.prefix).glob("source/*/vendor/llama.cpp/convert_lora_to_gguf.py"))
attention = "loreft:rank=4,target=attention,positions=all"


def load(path):
    params = llama_cpp.llama_model_default_params()
    params.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        raise RuntimeError(f"llama.cpp does not load {path}")
    return model


def logits_of(model, path, lora=None, vector=None):
    """llama.cpp's logits, row by row, everything in single precision that it lets one choose."""
    loaded = load(path)
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = 256
    params.n_threads = params.n_threads_batch = 2
    params.type_k = params.type_v = 0  # F32
    params.flash_attn_type = 0
    context = llama_cpp.llama_init_from_model(loaded, params)
    if lora is not None:
        adapter = llama_cpp.llama_adapter_lora_init(loaded, str(lora).encode())
        if not adapter:
            raise RuntimeError(f"llama.cpp does not load {lora}")
        adapters = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(adapter)
        assert llama_cpp.llama_set_adapters_lora(context, adapters, 1, (ctypes.c_float * 1)(1.0)) == 0
    if vector is not None:
        directions = control_vector(vector)
        data = directions.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        layers = llama_cpp.llama_model_n_layer(loaded)
        assert llama_cpp.llama_set_adapter_cvec(context, data, directions.size, directions.shape[1], 1, layers) == 0
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(loaded))
    rows = []
    for ids in model.sequences:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
            batch.seq_id[i][0] = 0
        assert llama_cpp.llama_decode(context, batch) == 0
        for i in range(len(ids)):
            rows.append(numpy.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, i), (vocabulary,)).copy())
        llama_cpp.llama_batch_free(batch)
    llama_cpp.llama_free(context)
    llama_cpp.llama_model_free(loaded)
    return numpy.stack(rows)


def control_vector(path):
    """direction.1, direction.2 ... as rows, those that are absent zero: what llama.cpp's common_control_vector_load hands over."""
    directions = {int(t.name.split(".")[1]): numpy.array(t.data) for t in gguf.GGUFReader(path).tensors}
    rows = numpy.zeros((max(directions), next(iter(directions.values())).size), dtype=numpy.float32)
    for layer, direction in directions.items():
        rows[layer - 1] = direction
    return rows


def alone(model, dtype="fp32"):
    """The model alone as GGUF, F32 once for all: an IA3 of ones is merged into it, which changes no number."""
    kept = table.scratch / f"{model.name}-{dtype}.gguf"
    if not kept.exists():
        model.merge(model.train("ia3", lr=0, steps=1), dtype, gguf=True).rename(kept)
    return kept


def merged(case, *adapters, dtype="fp32", lr=1e-2, tolerance=table.fp32, **more):
    def run(model):
        folder = model.train(*adapters, lr=lr)
        expected = table.moved(model, model.logits(folder))
        out = model.merge(folder, dtype, gguf=True)
        if dtype != "fp32":
            expected = model.logits(path=out)
        return {"llama.cpp": table.difference(logits_of(model, out), expected)}
    table.check(f"merged GGUF, {dtype}", peer, case, run, tolerance=tolerance, **more)


def lora(case, *adapters, lr=1e-2):
    def run(model):
        folder = model.train(*adapters, lr=lr)
        expected = table.moved(model, model.logits(folder))
        out = model.export(folder, "gguf-lora", ending=".gguf")
        return {"llama.cpp": table.difference(logits_of(model, alone(model), lora=out), expected),
                "graft": table.difference(model.logits(out), expected)}
    table.check("GGUF LoRA: graft's out, in again", peer, case, run)


def converted(case, adapter):
    def run(model):
        folder = model.export(model.train(adapter), "peft")
        base = table.fresh("base")  # the converter wants the configuration alone
        base.mkdir()
        (base / "config.json").write_bytes((model.path / "config.json").read_bytes())
        out = table.fresh("converted.gguf")
        done = subprocess.run([sys.executable, converter, "--base", base, "--outtype", "f32", "--outfile", out, folder], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        expected = table.moved(model, logits_of(model, alone(model), lora=out))
        return {"graft": table.difference(model.logits(out), expected)}
    table.check("GGUF LoRA: llama.cpp's in", peer, case, run)


def vector(model):
    folder = model.train("lobireft:rank=2,layers=1-2,positions=all", lr=0.3)
    expected = table.moved(model, model.logits(folder))
    out = model.export(folder, "control-vector", ending=".gguf")
    return {"llama.cpp": table.difference(logits_of(model, alone(model), vector=out), expected),
            "graft": table.difference(model.logits(out), expected)}


def quantized(source, out, kind, pure=False):
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize, params.pure = kind, True, pure
    if llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(params)) != 0:
        raise RuntimeError(f"llama.cpp does not quantize {source}")
    return out


def k_quants(name, pure=False):
    def run(model):
        small = quantized(alone(model), table.fresh("small.gguf"), getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{name}"), pure)
        wide = quantized(small, table.fresh("wide.gguf"), llama_cpp.LLAMA_FTYPE_ALL_F32)
        types = sorted({tensor.tensor_type.name for tensor in gguf.GGUFReader(small).tensors} - {"F32"})
        found = table.difference(model.logits(path=small), logits_of(model, wide))
        if not any(each.endswith("_K") for each in types):
            raise ValueError(f"no K-quant in it: {types}")
        return {f"graft ({', '.join(types)})": found}
    table.check("GGUF bases in K-quants: llama.cpp's in", peer, f"{name}{', pure' if pure else ''}", run, on="", without="its rows are no multiple of 256")


def ids_of(vocabulary, text):
    raw = text.encode()
    tokens = (llama_cpp.llama_token * (2 * len(raw) + 8))()
    return list(tokens[: llama_cpp.llama_tokenize(vocabulary, raw, len(raw), tokens, len(tokens), True, True)])


def tokenizer(kind):
    """How many golden texts of a golden tokenizer get other ids than from Hugging Face's library."""
    source = table.golden / "tokenizer" / kind
    base = table.tiny()
    folder = table.fresh(kind)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(json.loads((base.path / "config.json").read_text()) | {"vocab_size": 520}))
    tensors = load_file(base.path / "model.safetensors")
    tensors["model.embed_tokens.weight"] = numpy.resize(tensors["model.embed_tokens.weight"], (520, 48))
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((source / name).read_bytes())
    model = load(alone(table.Model(folder, kind, base.sequences, 0), "f16"))
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
    llama_cpp.llama_model_free(model)
    return {f"other ids, of {texts} texts,": float(other)}


def tokenizer_of_smollm2():
    model = load(alone(table.model_named("SmolLM2")))
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    texts = [json.loads(line)["text"] for line in pathlib.Path(__file__).with_name("prompts.jsonl").read_text().splitlines()]
    other = sum(ids_of(vocabulary, text) != ids for text, ids in zip(texts, table.model_named("SmolLM2").sequences, strict=True))
    llama_cpp.llama_model_free(model)
    return {f"other ids, of {len(texts)} texts,": float(other)}


plain = "lora:rank=4,target=q_proj+down_proj"
for name in ("llama-gqa", "llama-mha", "llama-headdim", "llama3-rope", "qwen2-bias", "qwen3-qknorm", "gemma"):
    # gelu goes through a table of halves in llama.cpp; everything else is its single precision
    for dtype, tolerance in (("fp32", 1e-3 if name == "gemma" else table.fp32), ("f16", table.f16), ("bf16", table.bf16), ("q8_0", table.q8_0)):
        merged("LoRA" if name == "llama-gqa" else f"LoRA, {name}", plain, dtype=dtype, tolerance=tolerance, on=name,
               without="" if name == "llama-gqa" else "not its family")
merged("DoRA", "dora:rank=4,target=q_proj+down_proj")
merged("PMSS", "pmss:columns=6,rows=4,target=q_proj+down_proj", lr=1e-1)
merged("BitFit", "bitfit")
merged("LoReFT on attention, all positions", attention)
lora("LoRA, all maps", "lora:rank=4,alpha=6")
lora("LoRA, some layers", "lora:rank=4,layers=0+2")
lora("LoRA beside rsLoRA, different ranks", "lora:rank=4,target=q_proj", "rslora:rank=3,target=down_proj+k_proj")
lora("PiSSA", "pissa:rank=4,target=q_proj+down_proj")
lora("LoRA-XS", "lora-xs:rank=8,target=q_proj+down_proj", lr=1e-1)
lora("PMSS, c = 6 columns, r = 4 rows", "pmss:columns=6,rows=4,target=q_proj+down_proj", lr=1e-1)
converted("LoRA, all maps", "lora:rank=4,alpha=6")
table.check("control vectors: graft's out, in again", peer, "LobiReFT on two blocks", vector)
for name in ("Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K"):
    k_quants(name)
k_quants("Q2_K", pure=True)  # llama.cpp mixes types: the file of this name above holds no tensor of it
for kind in ("bytelevel-gpt2", "bytelevel-smollm", "bytelevel-llama3", "bytelevel-qwen2", "sentencepiece"):
    table.row("tokenizers in GGUF: graft's out", peer, kind, "", tokenizer(kind), 0.0)
if table.smollm2:
    table.row("tokenizers in GGUF: graft's out", peer, "SmolLM2's", "SmolLM2", tokenizer_of_smollm2(), 0.0)
table.finish()
