# SPDX-License-Identifier: Apache-2.0
"""Makes quants.safetensors: blocks of GGML's quantised types and the numbers that gguf-py reads out of them.

Per type, NAME.blocks (rows of bytes) and NAME.values: six rows of 256 numbers from random bytes (scales finite, everything else
as it falls, so every bit of a block is seen at both values), then four rows of 256 weights that ggml itself quantised.

    pip install gguf safetensors numpy
    python make_quants.py SmolLM2-135M-Instruct.Q4_1.gguf libggml-base.so
"""
import ctypes
import pathlib
import sys

import gguf
import numpy
from safetensors.numpy import save_file

# type: where its half-precision numbers stand in a block
TYPES = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "IQ4_NL": [0],
         "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def random_rows(quant, halves, random):
    block, size = gguf.GGML_QUANT_SIZES[quant]
    rows = random.integers(0, 256, (6, 256 // block, size), dtype=numpy.uint8)
    for at in halves:
        scale = random.normal(0, [[1e-7], [1e-3], [0.1], [1], [100], [20000]], rows.shape[:2])  # subnormal to nearly largest
        rows[:, :, at:at + 2] = scale.clip(-65504, 65504).astype(numpy.float16)[..., None].view(numpy.uint8)
    return rows.reshape(6, -1)


def real_rows(quant, weights, ggml):
    block, size = gguf.GGML_QUANT_SIZES[quant]
    out = numpy.zeros((4, 256 // block * size), dtype=numpy.uint8)
    pointer = ctypes.POINTER(ctypes.c_float)
    written = ggml.ggml_quantize_chunk(ctypes.c_int(int(quant)), weights.ctypes.data_as(pointer), out.ctypes.data_as(ctypes.c_void_p),
                                       ctypes.c_int64(0), ctypes.c_int64(4), ctypes.c_int64(256), pointer())
    assert written == out.size
    return out


model, library = sys.argv[1:]
ggml = ctypes.CDLL(library)
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
tensor = next(t for t in gguf.GGUFReader(model).tensors if t.name == "blk.3.ffn_down.weight")
weights = numpy.ascontiguousarray(gguf.dequantize(tensor.data, tensor.tensor_type)[:4, :256])
random = numpy.random.default_rng(1)
golden = {}
for name, halves in TYPES.items():
    quant = gguf.GGMLQuantizationType[name]
    rows = numpy.concatenate([random_rows(quant, halves, random), real_rows(quant, weights, ggml)])
    golden[name + ".blocks"] = rows
    golden[name + ".values"] = gguf.dequantize(rows, quant)
    assert numpy.isfinite(golden[name + ".values"]).all()
    print(name, numpy.abs(golden[name + ".values"][6:] - weights).max())
save_file(golden, pathlib.Path(__file__).with_name("quants.safetensors"))
