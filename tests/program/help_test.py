# SPDX-License-Identifier: Apache-2.0
"""The help teaches: each subcommand shows an example whose flags exist, and flags that people know from elsewhere work."""
import pathlib
import re
import shlex
import subprocess

from program import GOLDEN, GRAFT, ROOT, folder, good, graft, run_tests, token_records, write_lines

MODEL = GOLDEN / "models" / "llama-gqa"
SUBCOMMANDS = ["finetune", "preview", "eval", "generate", "chat", "merge", "export", "report", "compare", "inspect", "select"]


def test_help_holds_an_example():
    """each --help ends with 0 on stdout and shows an example that works as it stands, in the order in which they are named"""
    with folder() as name:
        for subcommand in SUBCOMMANDS:
            text = good(subcommand, "--help")
            example = re.search(r"Example[^\n]*:\n((?:  [^\n]*\n?)+)", text).group(1).replace("\\\n", " ")
            words = shlex.split(example)
            assert words[:2] == ["graft", subcommand], text
            words = [word.replace("build/", name + "/") for word in words[1:]]
            done = graft(*words, cwd=ROOT)
            assert done.returncode == 0, example + done.stderr
    overview = good("--help")
    assert all(subcommand in overview for subcommand in SUBCOMMANDS)
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", good("--version"))


def test_no_words_show_help():
    """without a subcommand the help goes to stderr, with exit code 2"""
    done = graft()
    assert done.returncode == 2 and done.stdout == "" and "finetune" in done.stderr


def test_aliases():
    """the spellings of other programs mean the same"""
    with folder() as name:
        home = pathlib.Path(name)
        data = write_lines(home / "train.jsonl", token_records(8))
        groups = [["--model", "-m", "--model-dir", "--base"], ["--data", "-f", "--file", "--train-file", "--data-dir", "--jsonl-train"],
                  ["--out", "-o", "--output-dir", "--adapter-path", "--output-adapter"]]
        needed = {"--model": MODEL, "--data": data, "--out": home / "run"}
        for group in groups:
            for alias in group:
                words = [word for flag, value in needed.items() for word in ((alias if flag == group[0] else flag), value)]
                good("finetune", *words, "--dry-run")
        base = [word for flag, value in needed.items() for word in (flag, value)] + ["--dry-run"]
        for words in [["--fine-tune-type", "lora"], ["--tuner-type", "lora"], ["-type", "lora"], ["-r", 2], ["--lora-rank", 2],
                      ["--lora_r", 2], ["--lora-alpha", 2], ["--lora-dropout", 0], ["--target-modules", "all-linear"],
                      ["--lora-modules", "q_proj"], ["-l", "0"], ["--num-layers", 1], ["-e", 1], ["--num-epochs", 1],
                      ["--iters", 1], ["--max-steps", 1], ["--learning-rate", 1e-3], ["--lr-scheduler", "cosine"],
                      ["--warmup-ratio", 0.1], ["--warmup-steps", 1], ["--micro-batch-size", 1],
                      ["--gradient-accumulation-steps", 1], ["-c", 64], ["--seq-len", 64], ["--max-seq-length", 64],
                      ["--sequence-len", 64], ["--grad-clip", 1], ["--max-grad-norm", 1], ["-wd", 0.1], ["--mask-prompt"],
                      ["--assistant-loss-only"], ["--train-on-completions"], ["-t", 1], ["--val_set_size", 2],
                      ["--eval-file", data], ["--group_by_length"], ["--sort-by-length"], ["--save-steps", 1], ["--steps-per-eval", 1], ["--steps-per-report", 1]]:
            good("finetune", *base, *words)
        for words in [["--reft-rank", 2, "-p", "f1+l1", "-sw"], ["--position", "all"], ["--reft-layers", "1", "--tied"]]:
            good("finetune", *base, "--adapter", "loreft", *words)


def test_stderr_is_plain_where_it_is_no_terminal():
    """no escape and no carriage return reaches a file"""
    with folder() as name:
        home = pathlib.Path(name)
        data = write_lines(home / "train.jsonl", token_records(8))
        done = subprocess.run([GRAFT, "finetune", "--model", MODEL, "--data", data, "--out", home / "run", "--steps", "3"],
                              capture_output=True, check=True)
        assert b"\x1b" not in done.stderr and b"\r" not in done.stderr
        assert b"step 1/3" in done.stderr and b"step 3/3" in done.stderr and b"left" in done.stderr
        for word in (b"epoch 3.00", b"loss ", b"rate ", b"gradient ", b"tokens/s", b"MiB"):
            assert word in done.stderr, done.stderr


run_tests(globals())
