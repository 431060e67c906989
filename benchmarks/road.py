"""The road of very small models on several seeds: what falls and what rises, from pretraining to reinforcement learning.

    python -m benchmarks.road [FOLDER]    # keeps the runs there, and goes on where it was

Each run is `benchmarks/road.toml` with another model and seed. Of reinforcement learning it tells the mean reward of the first
and of the last five steps, and the share of held-out questions that is answered right before and after.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from nanogen.views.figures import columns
from runtime.metrics import read_metrics
from stages.progress import Reporter
from stages.runfile.load import load_run
from stages.running.runner import execute

RUN = Path(__file__).with_name("road.toml")
SEEDS = (1, 2, 3)
MODELS = {
    "saint_iberis_tiny": "depth = 4\nwidth = 128",
    "looped": "size = 2\nhead_dim = 32\nprelude_layers = 1\nrecur_layers = 2\ncoda_layers = 1",
}
EDGE = 5  # steps at each end of reinforcement learning


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[Any] = [
        ("model", "seed", "base, bits a byte", "mid, loss", "SFT, loss", "RL, reward", "RL, held out")
    ]
    for model in MODELS:
        for seed in SEEDS:
            rows.append((model, str(seed), *figures(train(folder, model, seed))))
            print(columns([rows[0], rows[-1]]), flush=True)
    print(columns(rows))


def train(folder: Path, model: str, seed: int) -> Path:
    """Run the road once; returns its folder."""
    text = RUN.read_text().replace('"saint_iberis_tiny"', f'"{model}"').replace("seed  = 1", f"seed = {seed}")
    path = folder / f"{model}_{seed}.toml"
    path.write_text(text.replace("[set]\n", f"[set]\n{MODELS[model]}\n"))
    return execute(load_run(path), folder / "runs", Reporter(Console(file=io.StringIO())))


def figures(run: Path) -> list[str]:
    base, mid, sft, rl = (
        json.loads((run / name / "result.json").read_text()) for name in ("base", "mid", "sft", "rl")
    )
    rewards = [e["reward"] for e in read_metrics(run / "rl/metrics.jsonl") if e["kind"] == "step"]
    first, last = (sum(part) / len(part) for part in (rewards[:EDGE], rewards[-EDGE:]))
    return [
        change(base["bits_per_byte"]),
        change(mid["loss"]),
        change(sft["loss"]),
        f"{first:.3f} to {last:.3f}",
        f"{rl['pass_1']['start']:.1%} to {rl['pass_1']['end']:.1%}",
    ]


def change(found: dict[str, float]) -> str:
    return f"{found['start']:.4f} to {found['end']:.4f}"


if __name__ == "__main__":
    main()
