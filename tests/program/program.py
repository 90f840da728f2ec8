# SPDX-License-Identifier: Apache-2.0
"""How a test drives the program graft from outside: runs, temporary folders, small data, and what is absent is skipped."""
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
SHARED = ROOT.parent / "shared"
GRAFT = str(pathlib.Path(sys.argv[1]).resolve())
SKIP = 77


def skip_unless(*needs):
    """Ends with 77, saying what is absent, unless `shared` and `real` data are there; returns the real model's path."""
    real = pathlib.Path(os.environ.get("GRAFT_SMOLLM2", ROOT / "build/models/SmolLM2-135M-Instruct.Q4_1.gguf"))
    if "shared" in needs and not SHARED.is_dir():
        print(f"skipped: {SHARED} is absent")
        sys.exit(SKIP)
    if "real" in needs and not real.is_file():
        print(f"skipped: {real} is absent (examples/get_smollm2.sh fetches it)")
        sys.exit(SKIP)
    return real


def graft(*words, **options):
    """Runs the program; stdout and stderr come back as text."""
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([GRAFT, *map(str, words)], capture_output=True, text=True, check=False, **options)


def good(*words, **options):
    """Runs the program, which must succeed; its stdout."""
    done = graft(*words, **options)
    assert done.returncode == 0, f"graft {' '.join(map(str, words))}\n{done.stdout}{done.stderr}"
    return done.stdout


def folder():
    return tempfile.TemporaryDirectory(prefix="graft-")


def write_lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def token_records(count, vocab=131, seed=1):
    """Records of ids that a tiny model can learn: one sequence counts on from the other's end, the prompt is masked."""
    numbers = random.Random(seed)
    records = []
    for _ in range(count):
        start, length = numbers.randrange(3, vocab - 24), numbers.randrange(8, 20)
        ids = list(range(start, start + length))
        records.append({"input_ids": ids, "labels": [-100] * 4 + ids[4:]})
    return records


def read_npy(path):
    """Shape and flat floats of a .npy file of float32."""
    data = path.read_bytes()
    assert data[:6] == b"\x93NUMPY"
    size = struct.unpack("<H", data[8:10])[0]
    header = data[10:10 + size].decode()
    assert "'<f4'" in header and "False" in header, header
    rows, cols = map(int, header.split("(")[1].split(")")[0].split(",")[:2])
    return (rows, cols), struct.unpack(f"<{rows * cols}f", data[10 + size:])


def read_safetensors(path):
    """{name: (dtype, shape, bytes)}."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (entry["dtype"], entry["shape"], data[8 + size + entry["data_offsets"][0]:8 + size + entry["data_offsets"][1]])
            for name, entry in header.items()}


def write_safetensors(path, tensors):
    """The inverse of read_safetensors."""
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + data)


def run_tests(names):
    """Calls every test_... of a module; says which failed and ends with 1."""
    failed = 0
    for name, test in names.items():
        if name.startswith("test_"):
            try:
                test()
                print(f"passed: {test.__doc__}")
            except AssertionError as error:
                failed += 1
                print(f"FAILED: {test.__doc__}\n{error}")
    sys.exit(1 if failed else 0)
