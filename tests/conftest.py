"""What all tests share: one thread each, and a run so small that a test can afford it."""

import os

# many tests run side by side, and none shall wait for another's cores
os.environ.setdefault("OMP_NUM_THREADS", "1")

import io
from pathlib import Path

import pytest
from rich.console import Console

from stages.progress import Reporter
from stages.runfile.load import Run, load_run
from stages.running.runner import execute

TEXT = "\n\n".join(
    f"Paragraph {n} says that {n} and {n} make {2 * n}, and that the cat number {n} sat on mat {n * 7 % 13}."
    for n in range(400)
)
RUN = """
kind  = "run"
model = "saint_iberis_tiny"
[set]
depth = 2
width = 64
vocab = 300
context = 16
[stage.corpus]
uses = "dataset"
with = {{ source = "text", path = "{path}", validation = 0.2 }}
[stage.tokenizer]
uses = "tokenizer"
needs = ["corpus"]
[stage.base]
uses = "pretrain"
needs = ["corpus", "tokenizer"]
with = {{ steps = 6, batch_tokens = 64, rows = 2, evaluate_every = 3, evaluate_tokens = 64, dtype = "float32", compile = "no", long_documents = "split" }}
[stage.evaluation]
uses = "evaluate_base"
needs = ["corpus", "base"]
with = {{ prompts = ["", "The"], tokens = 4 }}
[stage.report]
uses = "report"
needs = ["corpus", "tokenizer", "base", "evaluation"]
"""

LOOPED = """
kind = "model"
language = 1
[dims]
depth = 1
width = 8
vocab = 64
context = 16
[dial.r]
default = 2
max = 9
train = { draw = "lognormal_poisson", mean = 2, sigma = 0.5, max = 4 }
[stack.deep]
layers = "depth"
q = "linear(x, width)"
mix = "attend(rope(split(q, 2), 100), rope(split(x, 2), 100), split(x, 2))"
x = "rms_norm(x + flatten(mix))"
[loop.think]
inputs = ["s", "e"]
times = "r"
backprop = 2
both = "linear(concat(e, s), width)"
s = "deep(both)"
[model]
e = "embedding(tokens, vocab, width)"
think = "think(e, e)"
logits = "linear(think, vocab, role=head)"
"""


@pytest.fixture(autouse=True)
def no_data_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory):
    """What somebody has fetched on this machine is not what tests find."""
    monkeypatch.setattr("stages.data.place.DEFAULT", str(tmp_path_factory.getbasetemp() / "no-data-here"))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for n, page in enumerate(TEXT.split("\n\n")[i : i + 20] for i in range(0, 400, 20)):
        (folder / f"{n:02d}.txt").write_text("\n\n".join(page))
    return folder


@pytest.fixture
def write_run(tmp_path: Path, texts: Path):
    """Write the run file, changed by (old, new) pairs, and load it."""

    def write(*changes: tuple[str, str]) -> Run:
        text = RUN.format(path=texts)
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path = tmp_path / "small.toml"
        path.write_text(text)
        return load_run(path)

    return write


@pytest.fixture
def looped(tmp_path: Path) -> tuple[str, str]:
    """The change that makes the run train a model with a loop."""
    (tmp_path / "looped.toml").write_text(LOOPED)
    return '"saint_iberis_tiny"', '"looped.toml"'


@pytest.fixture
def told():
    """A reporter, and what it said."""
    out = io.StringIO()
    return Reporter(Console(file=out, width=200, highlight=False)), out


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `small.toml` and what it trained in `runs`; for reading alone."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "texts.txt").write_text(TEXT)
    text = (
        RUN.format(path=folder / "texts.txt")
        .replace("context = 16", "context = 64")
        .replace("batch_tokens = 64", "batch_tokens = 128")
    )
    (folder / "small.toml").write_text(text)
    execute(load_run(folder / "small.toml"), folder / "runs", Reporter(Console(file=io.StringIO())))
    return folder
