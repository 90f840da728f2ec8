# SPDX-License-Identifier: Apache-2.0
"""graft eval --task: definitions by hand on items whose scores are known, batches against one by one, and refusals."""
import json
import math
import pathlib

from program import GOLDEN, ROOT, SHARED, folder, good, graft, run_tests, write_lines

MODEL = ["--model", ROOT / "examples/models/village"]
HELDOUT = ROOT / "examples/data/village/heldout.jsonl"


def task(name, data, *words):
    return json.loads(good("eval", *MODEL, "--task", name, "--data", data, "--json", *words))


def value(result, metric):
    return result["metrics"][metric]["value"]


def village_choices(home, count=60):
    records = [json.loads(line) for line in HELDOUT.read_text().splitlines()[:count]]
    items = [{"question": r["prompt"], "choices": ["no", "yes"], "label": int(r["completion"] == " yes")} for r in records]
    return write_lines(home / "choice.jsonl", items), write_lines(home / "pairs.jsonl", records)


def test_choice_is_eval_with_choices():
    """the likeliest answer of a list is what --choices finds, in every shape that published files have"""
    with folder() as name:
        home = pathlib.Path(name)
        choices, pairs = village_choices(home)
        result = task("choice", choices)
        reference = json.loads(good("eval", *MODEL, "--data", pairs, "--choices", "no,yes", "--no-eos", "--json"))
        assert result["items"] == 60 and value(result, "acc") == reference["accuracy"]
        assert abs(value(result, "answer_loss") - reference["loss"]) < 1e-6
        p = reference["accuracy"]
        assert math.isclose(result["metrics"]["acc"]["stderr"], math.sqrt(p * (1 - p) / 59), rel_tol=1e-9)
        items = [json.loads(line) for line in choices.read_text().splitlines()]
        shapes = [
            [{"question": i["question"], "choices": {"text": i["choices"], "label": ["A", "B"]}, "answerKey": "AB"[i["label"]]} for i in items],
            [{"question": {"stem": i["question"], "choices": [{"text": t, "label": l} for t, l in zip(i["choices"], "12")]},
              "answerKey": "12"[i["label"]]} for i in items],
            [{"question_stem": i["question"], "choices": {"text": i["choices"], "label": ["A", "B"]}, "answerKey": "AB"[i["label"]]} for i in items],
            [{"question": i["question"], "answers": i["choices"], "answer": i["choices"][i["label"]]} for i in items]]
        for number, shape in enumerate(shapes):
            again = task("choice", write_lines(home / f"{number}.jsonl", shape))
            assert again["metrics"] == result["metrics"], number
        assert task("choice", choices, "--limit", 7)["items"] == 7
        for name, found in task("choice", choices, "-b", 3)["metrics"].items():  # other sizes, other products: rounded otherwise
            for key, number in result["metrics"][name].items():
                assert found[key] == number or math.isclose(found[key], number, rel_tol=1e-5), (name, key, found)


def test_templates():
    """each task asks in the harness's words: equal to a plain file with the prompt written out"""
    with folder() as name:
        home = pathlib.Path(name)
        cases = [
            ("arc_easy", {"question": "Was it noon", "choices": {"text": ["no", "a bird"], "label": ["A", "B"]}, "answerKey": "A"},
             "Question: Was it noon\nAnswer:", ["no", "a bird"], 0),
            ("boolq", {"passage": "It was.", "question": "was it noon", "answer": True},
             "It was.\nQuestion: was it noon?\nAnswer:", ["no", "yes"], 1),
            ("sst2", {"sentence": "the tea was fresh", "label": 1},
             "the tea was fresh\nQuestion: Is this sentence positive or negative?\nAnswer:", ["negative", "positive"], 1),
            ("openbookqa", {"question_stem": "Ida got", "choices": {"text": ["a kite", "no"], "label": ["A", "B"]}, "answerKey": "B"},
             "Ida got", ["a kite", "no"], 1),
            ("arc_easy", {"instruction": "Please choose the correct answer to the question: Was it noon\n\nAnswer1: no Answer2: a bird\n\n"
                          "Answer format: answer1/answer2", "answer": "answer1"}, "Question: Was it noon\nAnswer:", ["no", "a bird"], 0)]
        for number, (kind, item, prompt, answers, right) in enumerate(cases):
            result = task(kind, write_lines(home / f"i{number}.jsonl", [item]))
            plain = task("choice", write_lines(home / f"p{number}.jsonl", [{"question": prompt, "choices": answers, "label": right}]))
            assert value(result, "answer_loss") == value(plain, "answer_loss"), kind
        tsv = home / "s.tsv"
        tsv.write_text("sentence\tlabel\nthe tea was fresh\t1\n")
        assert value(task("sst2", tsv), "answer_loss") == value(task("sst2", home / "i2.jsonl"), "answer_loss")


def test_normalised_by_characters():
    """acc_norm divides an answer's log-likelihood by its characters"""
    with folder() as name:
        home = pathlib.Path(name)
        question, answers = "Ida got a kite. The kite was not broken. Did Ida like it?", ["yes", "The kite was broken and it was not new"]
        losses = []
        for answer in answers:  # the loss of each answer alone
            pair = write_lines(home / "one.jsonl", [{"prompt": question, "completion": " " + answer}])
            found = json.loads(good("eval", *MODEL, "--data", pair, "--no-eos", "--json"))
            losses.append(found["loss"] * found["tokens"])
        result = task("choice", write_lines(home / "q.jsonl", [{"question": question, "choices": answers, "label": 1}]))
        assert value(result, "acc") == (losses[1] < losses[0])
        assert value(result, "acc_norm") == (losses[1] / len(answers[1]) < losses[0] / len(answers[0]))


def test_generated_answers():
    """a batch of prompts gives the answers of one by one, and they are judged as exact match and F1"""
    with folder() as name:
        home = pathlib.Path(name)
        prompts = [json.loads(line)["prompt"] for line in HELDOUT.read_text().splitlines()[:12]]
        texts = [json.loads(good("generate", *MODEL, "--prompt", p, "--max-tokens", 5, "--json"))["text"] for p in prompts]
        items = [{"question": p, "answer": t.split("\n")[0]} for p, t in zip(prompts, texts)]
        items[0]["answer"] = "nothing of the kind"
        data = write_lines(home / "qa.jsonl", items)
        for size in [1, 5, 12]:
            result = task("qa", data, "--max-tokens", 5, "-b", size)
            assert math.isclose(value(result, "exact_match"), 11 / 12), (size, result)
            assert value(result, "f1") >= 11 / 12
        several = write_lines(home / "several.jsonl", [{"question": p, "answers": ["x", t.split("\n")[0]]} for p, t in zip(prompts, texts)])
        assert value(task("qa", several, "--max-tokens", 5), "exact_match") == 1


def test_numbers():
    """gsm8k compares the number after ####, flexibly the last one"""
    with folder() as name:
        home = pathlib.Path(name)
        data = write_lines(home / "g.jsonl", [{"question": "Ida got 3 kites.", "answer": "so <<1+1=2>>2\n#### 1,002"}] * 3)
        result = task("gsm8k", data, "--max-tokens", 4)
        assert set(result["metrics"]) == {"exact_match", "flexible"} and value(result, "exact_match") == 0
        bad = write_lines(home / "bad.jsonl", [{"question": "How many?", "answer": "none"}])
        done = graft("eval", *MODEL, "--task", "gsm8k", "--data", bad)
        assert done.returncode == 2 and "train.475" in done.stderr, done.stderr


def test_perplexity():
    """a text that fits one window has the perplexity of eval; longer ones predict every token once"""
    with folder() as name:
        home = pathlib.Path(name)
        text = "Ida got a kite. The kite was not broken. Hooray! Ida smiled."
        result = task("perplexity", write_lines(home / "t.jsonl", [{"text": text}]))
        nll = value(result, "bits_per_byte") * math.log(2) * len(text)
        assert math.isclose(math.exp(nll / len(text.split())), value(result, "word_perplexity"), rel_tol=1e-9)
        assert math.isclose(math.exp(nll / len(text)), value(result, "byte_perplexity"), rel_tol=1e-9)
        plain = home / "t.txt"
        plain.write_text(text)
        assert task("perplexity", plain)["metrics"] == result["metrics"]
        short = task("perplexity", plain, "-c", 8)
        assert short["items"] == 1 and value(short, "loss") > value(result, "loss")  # less context


def test_table_list_and_refusals():
    """the table names metric and standard error, list shows all tasks, mistakes are told with their ids"""
    with folder() as name:
        home = pathlib.Path(name)
        choices, pairs = village_choices(home, 5)
        text = good("eval", *MODEL, "--task", "choice", "--data", choices)
        assert "standard error" in text and "acc_norm" in text and "5 items" in text, text
        assert "harness, tasks/arc" in good("eval", "--task", "list")
        for words, error in [(["--task", "arc", "--data", choices], "train.474"), (["--task", "arc_easy", "--data", pairs], "train.475"),
                             (["--task", "choice", "--data", choices, "--choices", "a,b"], "train.430"),
                             (["--task", "choice", "--data", choices, "-c", 4], "train.427")]:
            done = graft("eval", *MODEL, *words)
            assert done.returncode == 2 and error in done.stderr, done.stderr
        done = graft("eval", *MODEL, "--task", "choice", "--data", choices, "--apply-chat-template")
        assert done.returncode == 2 and "text.340" in done.stderr, done.stderr
        (home / "folder").mkdir()
        choices.rename(home / "folder/test.jsonl")
        assert task("choice", home / "folder")["items"] == 5


def test_shared_files():
    """the published files of ../shared/data are read whole"""
    if not SHARED.is_dir():
        print("skipped: ../shared is absent")
        return
    model = ["--model", GOLDEN.parent.parent / "examples/models/village"]
    for kind, file in [("arc_easy", "commonsense/arc_easy_test.json"), ("arc_challenge", "commonsense/arc_challenge_test.json"),
                       ("openbookqa", "commonsense/openbookqa_test.json"), ("boolq", "commonsense/boolq_test.json"),
                       ("commonsense", "commonsense/boolq_test.json"), ("sst2", "sst2/dev.tsv"), ("gsm8k", "gsm8k/test.jsonl")]:
        result = json.loads(good("eval", *model, "--task", kind, "--data", SHARED / "data" / file, "--limit", 4, "--max-tokens", 2, "--json"))
        assert result["items"] + result["left_out"] == 4, (kind, result)


run_tests(globals())
