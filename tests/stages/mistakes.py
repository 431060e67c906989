"""Mistakes that people make in run files: a run without fault, and for each mistake what is changed in it.

A mistake is one message. It stands at the line that has `at` in it, or names `says`; its help has `help`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attrs import frozen

TEXT = "\n\n".join(f"Paragraph {n} says that {n} and {n} make {2 * n}, and nothing more." for n in range(400))
FACTS = 'name = "Iberis"\nmaker = "the Iberis project"\n'
OPTIMIZER = """kind = "optimizer"
about = "a test's"
[group.all]
roles = ["embedding", "head", "matrix", "gain", "conv", "scalar", "vector"]
method = "adamw"
rate = 1e-3
[schedule]
warmdown = 1.0
rate = "1 - warmdown * progress"
"""
RUN = """kind  = "run"
model = "saint_iberis_tiny"
seed  = 1

[set]
depth   = 2
width   = 64
vocab   = 300
context = 64

[rehearse]
depth = 1

[stage.corpus]
uses = "dataset"
with = { source = "text", path = "texts.txt", validation = 0.2 }

[stage.tokenizer]
uses  = "tokenizer"
needs = ["corpus"]
with  = { characters = "4M" }

[stage.base]
uses  = "pretrain"
needs = ["corpus", "tokenizer"]

[stage.base.with]
steps        = 6
batch_tokens = 256
rows         = 2
compile      = "no"

[stage.base_eval]
uses  = "evaluate_base"
needs = ["corpus", "base"]

[stage.base_eval.with]
prompts = ["The"]
tokens  = 8

[stage.sft]
uses  = "sft"
needs = ["base"]

[stage.sft.with]
steps        = 2
batch_tokens = 256
compile      = "no"
tasks = [
  { task = "arithmetic", rows = 50 },
  { task = "identity", path = "facts.toml", rows = 60 },
  { task = "simple_spelling", rows = 70 },
]

[stage.rl]
uses  = "rl"
needs = ["sft"]

[stage.rl.with]
steps       = 2
tokens      = 8
temperature = 1.0
tasks = [{ task = "arithmetic", start = 50, rows = 80 }]

[stage.rl_eval]
uses  = "evaluate_chat"
needs = ["rl"]

[stage.rl_eval.with]
tokens = 8
tasks  = [{ task = "arithmetic", split = "test", rows = 90 }]

[stage.report]
uses  = "report"
needs = ["corpus", "tokenizer", "base", "base_eval", "sft", "rl", "rl_eval"]
"""


@frozen
class Mistake:
    """What is changed in the run, and what is told of it."""

    old: str = ""
    new: str = ""
    at: str = ""  # stands in the line that is told; else the message names what is to blame
    says: str = ""
    help: str = ""
    make: Callable[[Path], object] | None = None  # what else is made beside the run
    file: str = "mine.toml"  # what is asked for, beside the run
    bytes: Callable[[bytes], bytes] = lambda text: text
    runs: str = "runs"  # where the run would stand
    machine: bool = False  # the file holds, and this machine does not hold the run

    def write(self, folder: Path) -> Path:
        """Make the run with its mistake in a folder; returns what is asked for."""
        assert self.old in RUN, self.old
        text = RUN.replace(self.old, self.new, 1) if self.old else RUN
        (folder / "texts.txt").write_text(TEXT)
        (folder / "facts.toml").write_text(FACTS)
        (folder / "optimizer.toml").write_text(OPTIMIZER)
        (folder / "mine.toml").write_bytes(self.bytes(text.encode()))
        if self.make is not None:
            self.make(folder)
        return folder / self.file


def wrote(name: str, text: str) -> Callable[[Path], object]:
    """Write a file beside the run."""
    return lambda folder: (folder / name).write_text(text)


def looped(folder: Path) -> None:
    """Have the run train a model that has a dial, which an evaluation puts out of its range."""
    (folder / "looped.toml").write_text(LOOPED)
    run = folder / "mine.toml"
    text = run.read_text().replace("saint_iberis_tiny", "looped.toml")
    run.write_text(text.replace("[stage.base_eval.with]", "[stage.base_eval.with]\ndials = { r = 400 }"))


def made(name: str) -> Callable[[Path], object]:
    """Make a folder beside the run."""
    return lambda folder: (folder / name).mkdir()


LOOPED = """kind = "model"
language = 1
[dims]
depth = 2
width = 64
vocab = 300
context = 64
[dial.r]
default = 2
max = 9
[loop.think]
inputs = ["s", "e"]
times = "r"
s = "rms_norm(linear(s + e, width))"
[model]
e = "embedding(tokens, vocab, width)"
think = "think(e, e)"
logits = "linear(think, vocab, role=head)"
"""
SPEC = """kind = "model"
language = 1
[dims]
vocab = 300
context = 64
width = 64
[model]
embed = "embedding(tokens, vocab, width)"
logits = "linear(rms_nrm(embed), vocab)"
"""

BASE, RL, SFT = "steps        = 6", "temperature = 1.0", "steps        = 2"
CORPUS = 'source = "text", path = "texts.txt", validation = 0.2'
MODEL = 'model = "saint_iberis_tiny"'
ARITHMETIC = '{ task = "arithmetic", rows = 50 }'
ASKED = '{ task = "arithmetic", split = "test", rows = 90 }'

MISTAKES = {
    # -- the file
    "not TOML": Mistake("[set]", "[set", "[set", help="a value is"),
    "a name without quotes": Mistake(MODEL, "model = saint_iberis_tiny", "model =", help="in quotes"),
    "a text that is not closed": Mistake(MODEL, 'model = "saint_iberis_tiny', "model =", help="close it"),
    "a key given twice": Mistake("depth   = 2", "depth   = 2\ndepth = 3", "depth = 3", help="keep one"),
    "a stage given twice": Mistake(
        "[stage.sft]\n", "[stage.base]\n", "[stage.base]", help="keep one of the two"
    ),
    "not UTF-8": Mistake(
        MODEL,
        MODEL + " # mod\xe8le",
        says="mine.toml",
        help="UTF-8",
        bytes=lambda b: b.decode().encode("latin-1"),
    ),
    "no file": Mistake(file="mien.toml", says="mien.toml", help="did you mean"),
    "a folder for a file": Mistake(make=made("folder"), file="folder", says="folder", help="name a file"),
    "a number of many digits": Mistake(BASE, f"steps = {'9' * 5000}", "steps =", help="digits"),
    # -- tables and names
    "no kind": Mistake('kind  = "run"\n', "", says='kind = "run"', help="write"),
    "another kind of file": Mistake('kind  = "run"', 'kind = "hardware"', "kind", help="write"),
    "a section misspelt": Mistake("[set]", "[sett]", "[sett]", help="did you mean `set`?"),
    "a key of a stage misspelt": Mistake(
        'needs = ["base"]', 'need = ["base"]', "need =", help="did you mean `needs`?"
    ),
    "a setting misspelt": Mistake(BASE, "stepz = 6", "stepz", help="did you mean `steps`?"),
    "a setting of another stage": Mistake(BASE, BASE + "\nsamples = 4", "samples", help="known here"),
    "a key of a task misspelt": Mistake(
        ARITHMETIC, '{ task = "arithmetic", row = 50 }', "row = 50", help="did you mean `rows`?"
    ),
    "an unknown key of meta": Mistake("[set]", '[meta]\nautor = "me"\n[set]', "autor", help="name"),
    "a hardware that is none": Mistake(
        MODEL, MODEL + '\nhardware = "h100x9"', "hardware", help="did you mean `h100x8`?"
    ),
    "a kind of stage misspelt": Mistake(
        'uses  = "pretrain"', 'uses  = "pretrian"', "pretrian", help="did you mean `pretrain`?"
    ),
    "a stage without use": Mistake('uses  = "tokenizer"\n', "", "[stage.tokenizer]", help="write `uses"),
    "a stage that is no table": Mistake(
        "[stage.corpus]\n", '[stage]\nmore = "sft"\n[stage.corpus]\n', "more =", help="write"
    ),
    "a stage's name with a slash": Mistake(
        "[stage.report]", '[stage."the/report"]', "the/report", help="letters, digits"
    ),
    "a need misspelt": Mistake(
        'needs = ["corpus", "base"]', 'needs = ["corpus", "bse"]', "bse", help="did you mean `base`?"
    ),
    "a need that is left out": Mistake(
        'needs = ["corpus", "tokenizer"]\n',
        'needs = ["corpus"]\n',
        'needs = ["corpus"]',
        help="add `tokenizer`",
    ),
    "a circle of stages": Mistake(
        'uses = "dataset"', 'uses = "dataset"\nneeds = ["report"]', "needs", help="take one of the needs"
    ),
    "an evaluation without a model": Mistake(
        'needs = ["rl"]', "needs = []", "needs = []", says="rl_eval", help="add `rl`"
    ),
    "a report without needs": Mistake(
        'needs = ["corpus", "tokenizer", "base", "base_eval", "sft", "rl", "rl_eval"]\n',
        "",
        "[stage.report]",
        help="needs",
    ),
    "a need named twice": Mistake('needs = ["sft"]', 'needs = ["sft", "sft"]', "needs", help="once"),
    # -- values
    "text for a number": Mistake(BASE, 'steps = "six"', "steps", help="left out"),
    "a number below its bound": Mistake(BASE, "steps = -6", "steps", says="above 0", help="left out"),
    "a number that is none": Mistake(BASE, BASE + "\nrate_scale = nan", "rate_scale", help="left out"),
    "a number without end": Mistake(RL, "temperature = inf", "temperature", help="left out"),
    "a huge number": Mistake(BASE, "steps = 1_000_000_000_000_000_000_000", "steps", help="left out"),
    "a count that is none": Mistake('characters = "4M"', 'characters = "4Q"', "4Q", help="left out"),
    "a negative temperature": Mistake(
        RL, "temperature = -1.0", "temperature", says="above 0", help="left out"
    ),
    "a share above one": Mistake("validation = 0.2", "validation = 20", "validation", help="left out"),
    "two ways to say how long": Mistake(
        BASE, BASE + '\ntokens = "10M"', "steps", says="`steps` and `tokens`", help="leave one"
    ),
    "steps and epochs": Mistake(SFT, SFT + "\nepochs = 3.0", "epochs", help="steps"),
    "no tasks": Mistake(
        'tasks = [{ task = "arithmetic", start = 50, rows = 80 }]',
        "tasks = []",
        "tasks = []",
        help="name some",
    ),
    # -- sizes
    "a batch of no whole rows": Mistake(
        "batch_tokens = 256", "batch_tokens = 250", "batch_tokens", help="256"
    ),
    "rows that do not divide a batch": Mistake("rows         = 2", "rows = 3", "rows = 3", help="divide"),
    "rows longer than the context": Mistake(BASE, BASE + "\nlength = 128", "length", help="lower it"),
    "another vocabulary": Mistake('characters = "4M"', "vocab = 301", "vocab", help="[set]"),
    "another vocabulary of one stage": Mistake(
        'needs = ["corpus", "tokenizer"]\n',
        'needs = ["corpus", "tokenizer"]\nset = { vocab = 301 }\n',
        "needs",
        help="alike",
    ),
    "a vocabulary without room for bytes": Mistake(
        "vocab   = 300", "vocab   = 200", "characters", help="265"
    ),
    "a dim misspelt": Mistake("depth   = 2", "depht   = 2", "depht", help="did you mean `depth`?"),
    "a dim of the rehearsal misspelt": Mistake(
        "depth = 1", "depht = 1", "depht", help="did you mean `depth`?"
    ),
    "a dim of a stage without a model": Mistake(
        'uses  = "report"', 'uses  = "report"\nset = { depth = 2 }', "set =", help="pretrained"
    ),
    "a dim that fits no other": Mistake("width   = 64", "width   = 65", "width", help="divisor"),
    "a dial that the model lacks": Mistake(
        "tokens  = 8", "tokens  = 8\ndials = { r = 4 }", "dials", help="dial"
    ),
    "a dial out of range": Mistake(
        "context = 64\n\n[rehearse]\ndepth = 1\n",
        "context = 64\n",
        "dials",
        make=looped,
        help="stands at 2",
    ),
    # -- models and optimizers
    "an unknown model": Mistake(MODEL, 'model = "saint_iberis_tny"', "model", help="did you mean"),
    "no model": Mistake(MODEL, "", says="names no model", help="write `model"),
    "a model with a fault in its equations": Mistake(
        MODEL, 'model = "own.toml"', "rms_nrm", make=wrote("own.toml", SPEC), help="did you mean `rms_norm`?"
    ),
    "a run for a model": Mistake(
        MODEL, 'model = "other.toml"', "model", make=wrote("other.toml", RUN), help="spec"
    ),
    "a spec for a run": Mistake(
        file="own.toml",
        make=wrote("own.toml", SPEC.replace("rms_nrm", "rms_norm")),
        at="kind",
        says="a spec, not a run",
        help="compile",
    ),
    "an unknown optimizer": Mistake(
        BASE, BASE + '\noptimizer = "adamww"', "optimizer", help="did you mean `adamw`?"
    ),
    "an optimizer that is not TOML": Mistake(
        BASE,
        BASE + '\noptimizer = "bad.toml"',
        "kind",
        make=wrote("bad.toml", "kind = optimizer\n"),
        help="quotes",
    ),
    "an optimizer with an unknown role": Mistake(
        BASE,
        BASE + '\noptimizer = "bad.toml"',
        "gian",
        make=wrote("bad.toml", OPTIMIZER.replace('"gain"', '"gain", "gian"')),
        help="did you mean `gain`?",
    ),
    "an optimizer with a law that nothing reads": Mistake(
        BASE,
        BASE + '\noptimizer = "bad.toml"',
        "momentun",
        make=wrote("bad.toml", OPTIMIZER + "momentun = 0.9\n"),
        help="did you mean `momentum`?",
    ),
    "a schedule that the optimizer lacks": Mistake(
        BASE, BASE + "\nschedule = { warmdwn = 0.5 }", "schedule", help="did you mean `warmdown`?"
    ),
    "a rate of a group without parameters": Mistake(
        BASE, BASE + '\noptimizer = "muon_adamw_2026"\nrates = { value = 0.1 }', "rates", help="head"
    ),
    # -- data
    "an unknown source": Mistake('source = "text"', 'source = "txt"', "txt", help="did you mean `text`?"),
    "a text that is not there": Mistake("texts.txt", "txts.txt", "txts.txt", help="path"),
    "a text of another kind": Mistake('source = "text"', 'source = "jsonl"', "texts.txt", help="jsonl"),
    "a text that is empty": Mistake(
        '"texts.txt"', '"none.txt"', "none.txt", make=wrote("none.txt", ""), help="some"
    ),
    "shards that are not here": Mistake(
        CORPUS, 'source = "fineweb_edu_100b"', "fineweb_edu_100b", help="nanogen fetch"
    ),
    "more shards than there are": Mistake(
        CORPUS, 'source = "fineweb_edu_100b", shards = 5000, download = true', "5000", help="at most"
    ),
    "shards of a text": Mistake(CORPUS, CORPUS + ", shards = 4", "shards", help="left out"),
    "a column of a text": Mistake(CORPUS, CORPUS + ', column = "body"', "column", help="leave it out"),
    "an unknown task": Mistake(
        'task = "simple_spelling"',
        'task = "simple_speling"',
        "simple_speling",
        help="did you mean `simple_spelling`?",
    ),
    "an unknown split": Mistake('split = "test"', 'split = "tset"', "tset", help="test"),
    "a task whose answers cannot be marked": Mistake(
        ASKED, '{ task = "conversations", path = "talk.jsonl", rows = 9 }', "conversations", help="learns"
    ),
    "more rows than there are": Mistake(
        'task = "identity", path = "facts.toml", rows = 60',
        'task = "identity", path = "facts.toml", split = "test", rows = 60_000',
        "60_000",
        help="fewer",
    ),
    "an option of another task": Mistake(
        ARITHMETIC, '{ task = "arithmetic", languages = ["en"] }', "arithmetic", help="left out"
    ),
    "no data of a task": Mistake(ARITHMETIC, '{ task = "gsm8k" }', "gsm8k", help="nanogen fetch"),
    "facts that are not there": Mistake("facts.toml", "fact.toml", "fact.toml", help="facts"),
    "facts that are malformed": Mistake(
        "facts.toml", "bad.toml", "bad.toml", make=wrote("bad.toml", 'name = "Iberis"\n'), help="maker"
    ),
    "a list of words that is not here": Mistake(
        'task = "simple_spelling"',
        'task = "simple_spelling", words = "words_alpha"',
        "words_alpha",
        help="nanogen fetch",
    ),
    "a task without answers for reinforcement learning": Mistake(
        '{ task = "arithmetic", start = 50, rows = 80 }',
        '{ task = "arc_easy", download = true }',
        "arc_easy",
        help="sft",
    ),
    "a bundle without its list": Mistake(
        "tokens  = 8", 'tokens  = 8\ncore = "bundle"', "core", make=made("bundle"), help="core.yaml"
    ),
    # -- settings that change nothing
    "a share of greedy samples": Mistake(
        "tokens  = 8", "tokens  = 8\ntemperature = 0.0\ntop_k = 5", "top_k", help="temperature"
    ),
    "several greedy answers": Mistake(
        "tokens = 8\ntasks  =", "tokens = 8\nsamples = 4\ntasks  =", "samples", help="temperature"
    ),
    "rows of no bundle": Mistake("tokens  = 8", "tokens  = 8\ncore_rows = 50", "core_rows", help="core"),
    "a download of tasks that are named": Mistake(
        "tokens = 8\ntasks  =", "tokens = 8\ndownload = true\ntasks  =", "download", help="task"
    ),
    "a download of what is made up": Mistake(
        ARITHMETIC, '{ task = "arithmetic", rows = 50, download = true }', "download", help="leave it out"
    ),
    "evaluations of nothing": Mistake(SFT, SFT + "\nevaluate_every = 5", "evaluate_every", help="validation"),
    "epochs of questions": Mistake(
        ASKED, '{ task = "arithmetic", split = "test", rows = 90, epochs = 2 }', "epochs", help="samples"
    ),
    # -- what this machine does not hold
    "a model that no memory holds": Mistake(
        "width   = 64", "width   = 262144", "[stage.base]", says="TiB", help="smaller dims", machine=True
    ),
    "a corpus that no disk holds": Mistake(
        CORPUS,
        'source = "python_docs", characters = "900T"',
        "[stage.corpus]",
        says="free",
        help="make room",
        machine=True,
    ),
    "a file for the folder of runs": Mistake(runs="texts.txt", says="texts.txt", help="--runs", machine=True),
    "a required setting misspelt": Mistake(
        'source = "text"', 'sorce = "text"', "sorce", help="did you mean `source`?"
    ),
}
