# SPDX-License-Identifier: Apache-2.0
"""graft chat: who answers, what the commands do, and that every answer is what generate gives alone."""
import pathlib

from program import ROOT, folder, good, graft, run_tests

MODEL = ROOT / "examples/models/village"
DATA = ROOT / "examples/data/village"
QUESTIONS = ["Ida got a kite. The kite was not broken. Did Ida like it?", "There was a tea for Ada. The tea was watery. Did Ada like it?"]


def train(out, *words):
    good("finetune", "--model", MODEL, "--data", DATA / "train.jsonl", "--no-eos", "--steps", 60, "--lr", 5e-3, "--dtype", "fp32",
         "--samples", 0, "--probe", 0, "--out", out, *words)
    return out


def chat(lines, *words, **options):
    done = graft("chat", "--model", MODEL, "--dtype", "fp32", "--max-tokens", 6, *words, input="".join(line + "\n" for line in lines), **options)
    return done


def alone(question, *words):
    return good("generate", "--model", MODEL, "--dtype", "fp32", "--max-tokens", 6, *words, "--prompt", question).rstrip("\n")


def test_switching():
    """base and two adapters, one of them a folder of pyreft, stay loaded: every answer is that of generate with this adapter, in whatever order they are asked"""
    with folder() as name:
        home = pathlib.Path(name)
        one, two = train(home / "one", "--adapter", "lora"), train(home / "two", "--adapter", "loreft", "--seed", 5)
        good("export", "--model", MODEL, "--adapter", two, "--to", "pyreft", "--out", home / "pyreft")
        kite, tea = QUESTIONS
        done = chat([kite, "/adapter second", kite, "/base", tea, "/adapter one", tea, "", "/both", tea, "/quit", kite],
                    "--adapter", one, "--adapter", f"second={home / 'pyreft'}")
        assert done.returncode == 0, done.stderr
        said = {(who, question): alone(question, *words) for question in QUESTIONS
                for who, words in (("base", []), ("one", ["--adapter", one]), ("second", ["--adapter", two]))}
        assert len({said["base", kite], said["one", kite], said["second", kite]}) > 1, said
        order = [("base", kite), ("one", kite), ("second", kite), ("base", tea), ("one", tea), ("base", tea), ("one", tea)]
        assert done.stdout == "".join(f"{who}: {said[who, question]}\n" for who, question in order), (done.stdout, said)
        assert "no chat template" in done.stderr


def test_conversations():
    """through a chat template the turns before are read, /reset forgets them, and /system opens with another turn"""
    with folder() as name:
        run = train(pathlib.Path(name) / "run", "--adapter", "lora")
        kite, tea = QUESTIONS
        words = ["--chat-template", "plain", "--adapter", run]
        done = chat([kite, tea, "/reset", tea, "/system Be brief.", tea, "/base", tea], *words)
        assert done.returncode == 0, done.stderr
        base = [line[6:] for line in done.stdout.splitlines() if line.startswith("base: ")]
        tuned = [line[5:] for line in done.stdout.splitlines() if line.startswith("run: ")]
        assert (len(base), len(tuned)) == (5, 4), done.stdout

        def once(*extra):
            return good("generate", "--model", MODEL, "--dtype", "fp32", "--max-tokens", 6, "--chat-template", "plain", "--chat", tea,
                        *extra).rstrip("\n")

        assert base[2] == once() and tuned[2] == once("--adapter", run), done.stdout
        assert base[3] == once("--system", "Be brief.") and tuned[3] == once("--system", "Be brief.", "--adapter", run), done.stdout


def test_mistakes():
    """an unknown command or name, two adapters of one name, and full finetuning end with one sentence that says what to do"""
    with folder() as name:
        home = pathlib.Path(name)
        run = train(home / "run", "--adapter", "lora")
        full = train(home / "full", "--adapter", "full")
        for lines, words, expected in [(["/bse"], [], ["train.501", '"/base"']), (["/adapter x"], ["--adapter", run], ["train.501", "run"]),
                                       (["/both"], [], ["train.501", "--adapter DIR"]),
                                       ([], ["--adapter", run, "--adapter", run], ["train.502", "NAME=DIR"]),
                                       ([], ["--adapter", f"base={run}"], ["train.502"]),
                                       ([], ["--adapter", full], ["train.503", "merge"])]:
            done = chat(lines, *words)
            assert done.returncode == 2 and all(word in done.stderr for word in expected), (lines, words, done.stderr)


run_tests(globals())
