"""The kinds of stages by name; each is a file here, imported when a run uses it.

A kind is a module with `Settings` (an attrs class), `READS` (kinds of stages it must be given, each one or a choice
of several), `VERSION`
(raised when its result changes for equal settings), `MODEL` and `SEED` (whether it reads them) and `run(work)`.
It may have `of_model(compiled)` (what of the model it reads), `outside(settings)` (what it reads from outside
the run), `needs(settings)` (what of that has a name and can be fetched), `check(settings, compiled)` (raises Fault for what cannot work), `idle(settings)` (which of its settings
nothing reads, as the others stand, and why), `disk(settings, compiled)` (what it writes) and `PUBLISHED` (files that
a run shows at its top). One that trains says `horizon(settings, compiled)` and `micro_batch(settings, compiled, on)`: of a machine.
No stage imports torch before `run` is called, so that a run is checked without it.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol

MODELS = ("pretrain", "midtrain", "sft", "rl")  # kinds that leave a trained model

KINDS = {
    "dataset": "stages.dataset",
    "tokenizer": "stages.tokenizer",
    "tokenizer_eval": "stages.tokenizer_eval",
    "pretrain": "stages.pretrain",
    "midtrain": "stages.midtrain",
    "sft": "stages.sft",
    "rl": "stages.rl",
    "evaluate_base": "stages.evaluate_base",
    "evaluate_chat": "stages.evaluate_chat",
    "report": "stages.report",
}


class Kind(Protocol):
    """What a stage's module offers."""

    Settings: type[Any]
    READS: tuple[str | tuple[str, ...], ...]
    VERSION: int
    MODEL: bool
    SEED: bool

    def run(self, work: Any) -> None: ...


def load_kind(name: str) -> Kind:
    """Import a kind of stage."""
    return importlib.import_module(KINDS[name])  # type: ignore[return-value]
