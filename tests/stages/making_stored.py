"""Make the small trained model that is kept for each version of the format, with what it answered.

`python -m tests.stages.making_stored`, on a machine of the version, writes `stored/format_N`. Once committed,
a folder never changes: it stands for all models of its time.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import torch

from runtime.decoding.engine import Engine
from runtime.decoding.request import Request, Sampling
from runtime.manifest import FORMAT
from runtime.primitives import Now
from runtime.rollouts import roll_out
from stages.models.artefact import read_artefact
from stages.progress import Reporter
from stages.runfile.load import load_run
from stages.running.runner import execute

STORED = Path(__file__).parent / "stored"
WRITTEN = "answers.json"  # beside the folders, and in none of them
PROMPT = "The cat"
TEXTS = [f"The cat of page {n} sat on mat {n * 7 % 13}, and {n} and {n} make {2 * n}." for n in range(200)]
RUN = """
kind  = "run"
model = "saint_iberis_tiny"
[set]
depth = 2
width = 16
heads = 2
vocab = 270
context = 16
[stage.corpus]
uses = "dataset"
with = { source = "jsonl", path = "text.jsonl", validation = 0.2 }
[stage.tokenizer]
uses = "tokenizer"
needs = ["corpus"]
[stage.base]
uses = "pretrain"
needs = ["corpus", "tokenizer"]
with = { steps = 40, batch_tokens = 128, rate_scale = 0.05, rows = 4, evaluate_every = 0, evaluate_tokens = 64, dtype = "float32", compile = "no" }
"""


def answers(folder: Path) -> dict:
    """What the model of a folder says: the last logits of a prompt, and the tokens that it goes on with."""
    found = read_artefact(folder)
    ids = [found.tokenizer.bos, *found.tokenizer.encode(PROMPT)]
    tokens = torch.tensor([ids])
    with torch.no_grad():
        logits = found.model(tokens, Now.start(tokens))[0, -1]
    engine = Engine(found.model, found.compiled.blueprint, rows=1, dtype=torch.float32)
    ((rollout,),) = roll_out(engine, [Request(tuple(ids), 8, Sampling(0.0))])
    return {"logits": [round(x, 5) for x in logits.tolist()], "greedy": rollout.ids}


def make(top: Path) -> Path:
    """Train the model, and keep it in a folder of its format below `top`."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "text.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
        (work / "stored.toml").write_text(RUN)
        folder = execute(load_run(work / "stored.toml"), work / "runs", Reporter())
        place = top / f"format_{FORMAT}"
        shutil.copytree(folder / "base", place)
    written = top / WRITTEN
    known = json.loads(written.read_text()) if written.is_file() else {}
    written.write_text(json.dumps({**known, place.name: answers(place)}) + "\n")
    return place


if __name__ == "__main__":
    print(make(STORED))
