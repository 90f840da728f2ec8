# SPDX-License-Identifier: Apache-2.0
"""Makes encoded.safetensors and written.gguf: numbers that gguf-py encoded, and a file that it wrote.

encoded: `values` (rows of 64 floats of every size, halfway cases among them) and NAME.bytes for F16, BF16, Q8_0. written.gguf: metadata of
every type and four tensors, as tests/io/write_gguf_test.cpp writes them again.

    pip install gguf safetensors numpy
    python make_gguf.py

lora-all.gguf beside them is llama.cpp's own conversion (llama-cpp-python 0.3.36, vendor/llama.cpp) of a LoRA of PEFT, in F32:

    mkdir base && cp ../models/llama-gqa/config.json base
    python convert_lora_to_gguf.py --base base --outfile lora-all.gguf ../adapters/lora-all
"""
import pathlib

import gguf
import numpy
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent
random = numpy.random.default_rng(1)
halves = numpy.arange(0, 64, dtype=numpy.uint16) * 997 % 0x7BFF  # finite halves, and what lies midway to the next
low, high = halves.view(numpy.float16).astype(numpy.float32), (halves + 1).view(numpy.float16).astype(numpy.float32)
brains = ((numpy.arange(64, dtype=numpy.uint32) * 401 % 0x4700 + 0x3000) << 16 | 0x8000).view(numpy.float32)  # midway bf16
levels = (numpy.arange(64, dtype=numpy.float32) - 31.5) * 2  # with 127 among them, x / d ends in .5 everywhere else
levels[5] = levels[40] = 127
rows = [random.normal(0, scale, 64) for scale in (1e-30, 1e-7, 1e-4, 0.02, 1, 300, 15000)]
rows += [numpy.zeros(64), (low + high) / 2, -low, brains.clip(-65000, 65000), levels / 2, levels / 127]
values = numpy.stack(rows).astype(numpy.float32).clip(-65000, 65000)
golden = {"values": values}
for name in ("F16", "BF16", "Q8_0"):
    encoded = gguf.quantize(values, gguf.GGMLQuantizationType[name])
    golden[name + ".bytes"] = numpy.ascontiguousarray(encoded).view(numpy.uint8).reshape(len(values), -1)
save_file(golden, here / "encoded.safetensors")

writer = gguf.GGUFWriter(here / "written.gguf", "llama")
for name, value in {"uint8": 200, "int8": -3, "uint16": 60000, "int16": -5, "uint32": 4000000000, "int32": -7, "float32": 0.5, "bool": True,
                    "string": "some words", "uint64": 1 << 40, "int64": -(1 << 40), "float64": 1e-300}.items():
    getattr(writer, "add_" + name)("a." + name, value)
writer.add_array("a.texts", ["a", "", "ccc"])
writer.add_array("a.ints", [1, -2])
writer.add_array("a.floats", [0.25, -1.0])
writer.add_array("a.bools", [True, False, True])
writer.add_custom_alignment(32)
writer.add_tensor("one.weight", values[4:5, :3].reshape(3))
writer.add_tensor("two.weight", values[3:6].astype(numpy.float16))
for name, quant in (("three.weight", "Q8_0"), ("four.weight", "BF16")):
    kind = gguf.GGMLQuantizationType[quant]
    writer.add_tensor(name, gguf.quantize(values[3:6], kind), raw_dtype=kind)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
