# SPDX-License-Identifier: Apache-2.0
"""torch and graft read each other's files; runs in an environment with torch, with torch_roundtrip as the program (table.py).

torch saves tensors of every type and layout that graft reads, graft reads and writes them again,
torch loads that with weights_only=True and finds the same bits. What is no dict of tensors is refused and never run.
"""
import collections
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zipfile

import torch

import table

peer = f"torch {torch.__version__}"
generator = torch.Generator().manual_seed(1)
normal = torch.randn(7, 48, generator=generator)
good = {
    "dict": {"weight": normal, "bias": normal[0].clone()},
    "types": {name: normal.to(dtype) for name, dtype in {
        "f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16, "i64": torch.int64}.items()},
    "layouts": {"transposed": normal.clone().T, "sliced": normal.clone()[1:5, 3:40:2], "scalar": torch.tensor(48), "empty": torch.zeros(0, 3)},
    "module": torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2)).state_dict(),
    "orthogonal": torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(6, 3)).state_dict(),
}


class Owned:
    def __reduce__(self):
        return os.mkdir, ("owned",)


bad = {
    "io.262": {"weight": normal, "code": Owned()},
    "io.264": {"nested": {"weight": normal}},
    "io.265": {"a": normal, "b": normal, "c": normal.view(-1)},
}

with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    for name, tensors in good.items():
        torch.save(tensors, "in.bin")
        subprocess.run([table.program, "in.bin", "out.bin"], check=True)
        loaded = torch.load("out.bin", weights_only=True)
        assert isinstance(loaded, collections.OrderedDict) and sorted(loaded) == sorted(tensors), name
        for key, tensor in tensors.items():
            assert loaded[key].dtype == tensor.dtype and loaded[key].shape == tensor.shape, key
            assert torch.equal(loaded[key], tensor), key
        whole = pathlib.Path("out.bin").read_bytes()
        for member in zipfile.ZipFile("out.bin").infolist():
            begin = member.header_offset + 30 + sum(struct.unpack_from("<HH", whole, member.header_offset + 26))
            assert member.compress_type == zipfile.ZIP_STORED and begin % 64 == 0, member
        table.row("files of torch.save, read and written", peer, f"{name}, {len(tensors)} tensors, bit by bit", "", {"torch": 0.0}, 0.0)
    for error, tensors in bad.items():
        torch.save(tensors, "in.bin")
        done = subprocess.run([table.program, "in.bin", "out.bin"], capture_output=True, text=True)
        assert done.returncode == 1 and done.stderr.startswith(error), done
        assert not pathlib.Path("owned").exists()
        table.row("files of torch.save, refused", peer, error, "", {"graft": 0.0}, 0.0)
    torch.save({"weight": normal}, "old.bin", _use_new_zipfile_serialization=False)
    done = subprocess.run([table.program, "old.bin", "out.bin"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("io.260"), done
    table.row("files of torch.save, refused", peer, "io.260, the format before 1.6", "", {"graft": 0.0}, 0.0)
table.finish()
