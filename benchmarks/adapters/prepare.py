# SPDX-License-Identifier: Apache-2.0
"""prepare.py [SHARED [OUT]]: the training, validation and test files of smollm2.json, from ../shared/data into build/adapters/smollm2.

Prompts are those that `graft eval --task` asks (docs/evaluation.md), so that an adapter is trained for what it is tested on. Validation records come from the end of
the training sets; no test record is among either. SST-2, ARC-easy and BoolQ are tested on their own files."""
import csv
import gzip
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
VALIDATION = 50  # records: enough to tell rates apart, little beside 12,000 tokens of training


def write(out, name, records):
    path = out / f"{name}.jsonl"
    path.write_text("".join(json.dumps({"prompt": prompt, "completion": " " + answer}) + "\n" for prompt, answer in records), encoding="utf-8")
    print(f"{path}: {len(records)} records")


def split(out, name, records, count):
    """The first `count` records are for training, the last ones for validation."""
    assert count + VALIDATION <= len(records), (name, len(records))
    write(out, f"{name}_train", records[:count])
    write(out, f"{name}_valid", records[-VALIDATION:])


def sst2(path):
    with path.open(encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(f"{row['sentence']}\nQuestion: Is this sentence positive or negative?\nAnswer:", ["negative", "positive"][int(row["label"])]) for row in rows]


def arc(path):
    """LLM-Adapters has "... question: Q\\n\\nAnswer1: A Answer2: B\\n\\nAnswer format: answer1/answer2"."""
    records = []
    for record in json.loads(path.read_text(encoding="utf-8")):
        question, answers, labels = record["instruction"].split(": ", 1)[1].rsplit("\n\n", 2)
        labels = labels.removeprefix("Answer format: ").split("/")
        right = record["answer"].removeprefix("answer")
        answer = answers.split(f"Answer{right}: ", 1)[1].split(f" Answer{int(right) + 1}: ", 1)[0]
        records.append((f"Question: {question}\nAnswer:", answer.strip()))
    return records


def boolq(path):
    """The file has the questions alone, without their passages."""
    records = []
    for record in json.loads(path.read_text(encoding="utf-8")):
        question = record["instruction"].split("question: ", 1)[1].split("\n\nAnswer format:", 1)[0].rstrip("?")
        records.append((f"Question: {question}?\nAnswer:", "yes" if record["answer"] == "true" else "no"))
    return records


def lines(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")
    with opened as file:
        return [json.loads(line) for line in file]


def gsm8k(path):
    return [(f"Question: {record['question']}\nAnswer:", record["answer"]) for record in lines(path)]


def main():
    shared = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT.parent / "shared") / "data"
    out = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "build/adapters/smollm2")
    if not shared.is_dir():
        sys.exit(f"{shared} is absent: name the folder that holds data/")
    out.mkdir(parents=True, exist_ok=True)
    split(out, "sst2", sst2(shared / "sst2/train.tsv"), 8000)
    split(out, "arc_easy", arc(shared / "commonsense/arc_easy_train.json"), 2100)
    split(out, "gsm8k", gsm8k(shared / "gsm8k/train.jsonl"), 2000)
    write(out, "gsm8k_test", gsm8k(shared / "gsm8k/test.jsonl")[:100])
    split(out, "boolq", boolq(shared / "commonsense/boolq_train.json"), 8000)
    drop = lines(shared / "drop/dev.jsonl.gz")  # the set's own training half is not at hand: the last passages are for the test
    split(out, "drop", [(record["context"].strip(), record["completion"].strip()) for record in drop[:-500]], 2000)
    (out / "drop_test.jsonl").write_text("".join(json.dumps(record) + "\n" for record in drop[-500:]), encoding="utf-8")


main()
