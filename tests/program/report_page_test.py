# SPDX-License-Identifier: Apache-2.0
"""graft report --html: the page that people open, looked at in a browser."""
import json
import pathlib

import browser
from program import ROOT, SKIP, folder, good, graft, run_tests

MODEL = ROOT / "examples/models/village"
DATA = ROOT / "examples/data/village"
TASK = ["--data", DATA / "train.jsonl", "--valid", DATA / "heldout.jsonl", "--choices", "yes,no", "--no-eos"]
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><b>&amp;</b> \u2028 \\u003c"


def train(out, *words):
    good("finetune", "--model", MODEL, *TASK, "--steps", 6, "--batch-size", 4, "--eval-every", 3, "--sample-tokens", 4, "--out", out,
         *words)
    return out


def test_page_in_a_browser():
    """the page opens from disk without a word on the console, draws every picture, sorts, and shows hostile texts as texts"""
    browser.skip_without_chromium()
    with folder() as name:
        home = pathlib.Path(name)
        hostile = train(home / "pmss<img src=x>", "--adapter", "pmss", "--rank", 4, "--sample", HOSTILE)
        runs = [hostile, train(home / "loreft", "--adapter", "loreft", "--rank", 2), train(home / "lora", "--adapter", "lora", "--rank", 2),
                train(home / "again", "--adapter", "lora", "--rank", 3)]
        done = graft("report", *runs, "--html", home / "page.html")
        if "train.504" in done.stderr:
            print("skipped: the program was built without Chart.js (Debian: apt-get install libjs-chart.js)")
            raise SystemExit(SKIP)
        assert done.returncode == 0, done.stderr
        text = (home / "page.html").read_text(encoding="utf-8")
        assert "<img" not in text.split('id="data">')[1].split("</script>")[0]
        seen, console = browser.look(home / "page.html")
        assert console == [], console
        assert seen["title"] == "graft report" and seen["images"] == 0
        assert HOSTILE in seen["said"], seen["said"]
        labels = [canvas["label"] for canvas in seen["canvases"]]
        for label in ("Training loss", "Validation loss", "Validation accuracy", "Rate", "Gradient norm", "Speed", "Memory by part",
                      "Size of the edits", "Effective rank", "size of the edits by layer", "columns that self_attn.q_proj",
                      "rows that mlp.down_proj"):
            assert any(found.startswith(label) for found in labels), (label, labels)
        for canvas, hidden in zip(seen["canvases"], seen["hidden"]):
            assert canvas["colours"] > 3, canvas
            assert hidden > 0, canvas
        trainable = {}
        for run in runs:
            found = json.loads((run / "run.json").read_text())
            trainable[run] = found["model"]["trainable"]
        names = [seen["names"][i] for i in sorted(range(4), key=lambda i: trainable[runs[i]])]
        (up, rising), (down, falling) = seen["sorted"]["trainable"]
        assert (up, down) == ("ascending", "descending") and rising == names and falling == names[::-1], seen["sorted"]
        assert seen["sorted"]["run"][0][1] == sorted(seen["names"], key=str.lower), seen["sorted"]["run"]
        assert all(sorted(order) == sorted(seen["names"]) for both in seen["sorted"].values() for _, order in both)


run_tests(globals())
