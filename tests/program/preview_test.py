# SPDX-License-Identifier: Apache-2.0
"""graft preview: what the model will see, token by token, and what is called out."""
import html.parser
import json
import pathlib
import re

from program import GOLDEN, ROOT, folder, good, graft, run_tests, write_lines

VILLAGE = ["--model", ROOT / "examples/models/village"]
DATA = ROOT / "examples/data/village/train.jsonl"


def preview(*words):
    done = graft("preview", *VILLAGE, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_tokens():
    """ids, text and labels are those that finetune trains; the text of the tokens is the record's"""
    shown, warnings = preview("--data", DATA, "--no-eos", "-n", 2)
    assert warnings == "" and len(shown["examples"]) == 2, warnings
    record = json.loads(DATA.read_text().splitlines()[0])
    first = shown["examples"][0]
    assert "".join(token["text"] for token in first["tokens"]).strip() == record["prompt"] + record["completion"]
    trained = [token["text"] for token in first["tokens"] if token["trained"]]
    assert "".join(trained) == record["completion"], trained
    assert first["prompt"] == len(first["tokens"]) - len(trained) and first["line"] == 1
    assert shown["examples"][1]["line"] == 2


def test_edits():
    """f2+l3 marks the first two and the last three tokens of the prompt, once for each unit that stands there"""
    shown, _ = preview("--data", DATA, "--no-eos", "-n", 1, "--adapter", "loreft", "--positions", "f2+l3")
    first = shown["examples"][0]
    edits = [token["edits"] for token in first["tokens"]]
    prompt = first["prompt"]
    assert edits[:3] == ["f1", "f2", ""] and edits[prompt - 4:prompt + 1] == ["", "l1", "l2", "l3", ""], edits
    assert any("positions f2+l3" in fact and "untied" in fact for fact in shown["facts"]), shown["facts"]
    shown, _ = preview("--data", DATA, "-n", 1, "--adapter", "loreft:positions=l1", "--adapter", "red", "--adapter", "lora")
    edits = [token["edits"] for token in shown["examples"][0]["tokens"]]
    assert edits[0] == "red:all" and edits[shown["examples"][0]["prompt"] - 1] == "loreft:l1 red:all", edits


def test_an_adapter_that_is_there():
    """--init-adapter shows the places of a trained adapter"""
    with folder() as name:
        out = pathlib.Path(name) / "run"
        good("finetune", *VILLAGE, "--data", DATA, "--adapter", "loreft", "--positions", "f1+l2", "--steps", 1, "--out", out)
        shown, _ = preview("--data", DATA, "-n", 1, "--init-adapter", out)
        edits = [token["edits"] for token in shown["examples"][0]["tokens"] if token["edits"]]
        assert edits == ["f1", "l1", "l2"], edits


def test_what_is_called_out():
    """masks that train nothing, or everything, ends that are cut, and prompts that positions need"""
    with folder() as name:
        home = pathlib.Path(name)
        nothing = write_lines(home / "nothing.jsonl", [{"input_ids": [5, 6, 7], "labels": [-100] * 3}] * 3)
        shown, warnings = preview("--data", nothing)
        assert "trains nothing" in warnings and "finetune leaves it out" in shown["examples"][0]["note"]
        mixed = write_lines(home / "mixed.jsonl", [{"input_ids": [5, 6], "labels": [-100] * 2}, {"input_ids": [5, 6, 7]},
                                                   {"input_ids": [5, 6, 7, 8, 9], "labels": [-100, 6, 7, 8, 9]}])
        shown, warnings = preview("--data", mixed, "-c", 4)
        assert "1 of 3 records have nothing to train" in warnings and "1 of 3 examples are trained whole" in warnings
        assert "1 lose their ends" in warnings, warnings
        _, warnings = preview("--data", DATA, "--train-on", "all", "--adapter", "loreft", "--positions", "f2")
        assert "everything is trained" in warnings and "use --positions all" in warnings, warnings


def test_table_and_page():
    """the table has a line for every token and no colour in a file; the page stands alone and holds every token"""
    with folder() as name:
        page = pathlib.Path(name) / "preview.html"
        text = good("preview", *VILLAGE, "--data", DATA, "-n", 2, "--adapter", "loreft", "--positions", "f1", "--html", page)
        assert "\x1b" not in text
        lines = re.findall(r"^ +\d+ +\d+  \".*\"", text, re.MULTILINE)
        shown, _ = preview("--data", DATA, "-n", 2)
        assert len(lines) == sum(len(example["tokens"]) for example in shown["examples"])
        content = page.read_text()
        assert "http" not in content and "<script" not in content and len(re.findall(r'class="t[ "]', content)) == len(lines) + 3

        class Balanced(html.parser.HTMLParser):
            open_tags = []

            def handle_starttag(self, tag, attributes):
                if tag not in ("meta", "br", "wbr"):
                    self.open_tags.append(tag)

            def handle_endtag(self, tag):
                assert self.open_tags.pop() == tag, tag
        parser = Balanced()
        parser.feed(content)
        assert parser.open_tags == []


def test_escapes():
    """line ends, markup and bytes of half a character are shown as they are, and harmless"""
    with folder() as name:
        home = pathlib.Path(name)
        data = write_lines(home / "odd.jsonl", [{"prompt": "<b>&\n", "completion": "\u00e9\u4e2d"}])
        text = good("preview", *VILLAGE, "--data", data, "--html", home / "odd.html")
        assert "\\n" in text
        content = (home / "odd.html").read_text()
        assert "<b>" not in content and "&lt;" in content


def test_folder_and_bad_input():
    """a folder's train file is shown; what cannot be shown is refused with its id"""
    with folder() as name:
        home = pathlib.Path(name)
        (home / "train.jsonl").write_text(DATA.read_text())
        shown, _ = preview("--data", home)
        assert shown["data"].endswith("train.jsonl") and len(shown["examples"]) == 3
        (home / "empty").mkdir()
        for words, error in [(["--data", home / "empty"], "train.470"), (["--data", DATA, "-n", 0], "train.431"),
                             (["--data", DATA, "--adapter", "loreft", "--positions", "x"], "train.436")]:
            done = graft("preview", *VILLAGE, *words)
            assert done.returncode == 2 and error in done.stderr, done.stderr
        ids = write_lines(home / "ids.jsonl", [{"input_ids": [1, 2, 3]}])
        done = graft("preview", "--model", GOLDEN / "models/llama-gqa", "--data", ids)  # a model without a tokenizer
        assert done.returncode == 0, done.stderr


run_tests(globals())
