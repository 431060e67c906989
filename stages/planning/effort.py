"""What a stage computes beside training steps: readings, answers, validation; and what of it cannot be counted yet.

FLOPs are those of the graph under a load. Lengths of prompts are known once they are tokens: they are taken as long
as the context lets them be, and such efforts are told as the most that they can be. Knows nothing of what devices are,
only into how many parts an effort falls.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from nanogen.answers.flops import decoding_per_token, forward
from nanogen.answers.state import bytes_per_row
from nanogen.data import data_set
from nanogen.graph import Graph
from nanogen.load import Load
from runtime.faults import Fault
from stages.data.needs import Rows
from stages.runfile.load import Stage
from stages.tasks.catalogue import task_entry
from stages.tasks.mixture import TaskSetting, needs_of_tasks


@frozen
class Writing:
    """Answers that are written token by token: what a device reads of its memory meanwhile."""

    rounds: float  # how often so many questions are asked: a step each, or once
    questions: int
    samples: int  # answers to each
    tokens: int  # of an answer
    rows: int  # written at once on a device
    weights: float  # numbers that each token needs, however many rows are written
    kept: float  # numbers that each row needs

    def moved(self, devices: int) -> float:
        """Numbers that the device with most of the questions reads."""
        answers = -(-self.questions // devices) * self.samples
        times = -(-answers // self.rows)
        return self.rounds * times * self.tokens * (self.weights + min(self.rows, answers) * self.kept)


@frozen
class Effort:
    """Something that is computed: how much at most, or exactly."""

    what: str
    flops: float
    tokens: float
    dtype: str = "auto"
    at_most: bool = True
    parts: int | None = 1  # that devices can share out; None: as many as there are devices
    writing: Writing | None = None
    sent: float = 0.0  # bytes that a device hands to others meanwhile
    float8: float = 0.0  # the share of the FLOPs that is multiplied in 8 bits

    def share(self, devices: int) -> float:
        """What the device with most of it computes, of all."""
        return 1 / devices if self.parts is None else -(-self.parts // devices) / self.parts


@frozen
class Found:
    """All that a stage computes beside training, and what is left out, each in a sentence."""

    efforts: tuple[Effort, ...] = ()
    left_out: tuple[str, ...] = field(default=())


# -- pieces


def reading(graph: Graph, tokens: int, dials: dict[str, int] | None = None) -> float:
    """FLOPs of one row that is read."""
    return forward(graph, Load(1, tokens, dials=dials or {})).matmul


def writing(graph: Graph, tokens: int, past: int, dials: dict[str, int] | None = None) -> float:
    """FLOPs of an answer of one row, behind a prompt."""
    return forward(graph, Load(1, tokens, past, dials=dials or {})).matmul


def read_at_a_token(graph: Graph) -> float:
    """Numbers of the weights that a token is multiplied with, each as often as it is read; a table's row is nothing."""
    return decoding_per_token(graph, 0) / 2


def rows_of(wanted: TaskSetting) -> int | None:
    """Rows of a task as far as its setting or its data file says."""
    return _rows_of(wanted) if wanted.path is None else wanted.rows


@cache
def _rows_of(wanted: TaskSetting) -> int | None:
    try:
        whole = None if task_entry(wanted.task).made_up else _rows_of_split(wanted)
    except Fault:
        return None
    end = min((n for n in (wanted.stop, whole) if n is not None), default=None)
    left = None if end is None else max(0, end - wanted.start)
    found = [n for n in (left, wanted.rows) if n is not None]
    return min(found) * wanted.epochs if found else None


def _rows_of_split(wanted: TaskSetting) -> int | None:
    found = [wish.need for wish in needs_of_tasks((wanted,)) if isinstance(wish.need, Rows)]
    split = data_set(found[0].name).splits(found[0].subset).get(found[0].split) if len(found) == 1 else None
    return split.rows if split is not None else None


def conversations(tasks: Iterable[TaskSetting]) -> tuple[int | None, list[str]]:
    """Rows of a mixture, None where those of a task are not known; and these tasks."""
    found = [(wanted.label, rows_of(wanted)) for wanted in tasks]
    unknown = [label for label, rows in found if rows is None]
    return (None if unknown else sum(rows or 0 for _, rows in found)), unknown


# -- kinds of stages


def beside_training(stage: Stage, steps: int | None) -> Found:
    """Validation while a stage trains, and the answers that it learns from."""
    settings, graph = stage.settings, _graph(stage)
    if stage.uses == "pretrain":
        assert steps is not None, "a pretraining stage knows its steps"
        times = 2 + (max(0, steps - 1) // settings.evaluate_every if settings.evaluate_every else 0)
        length = settings.length or graph.context
        tokens = times * max(length, settings.evaluate_tokens)
        what = f"validation, {times:,} times {settings.evaluate_tokens:,} tokens"
        flops = tokens / length * reading(graph, length)
        return Found((Effort(what, flops, tokens, settings.dtype, parts=None),))
    if stage.uses != "rl":
        return Found(left_out=("validation on its mixture",) if settings.validation else ())
    left = ("prompts: how long they are is known once they are read", "its evaluations")
    if steps is None:
        return Found(left_out=("how many answers are written", *left))
    return Found((_answers(settings, graph, steps, settings.questions, 0),), left)


def _answers(settings: Any, graph: Graph, rounds: int, questions: int, past: int) -> Effort:
    """The answers to so many questions, asked so often; a step's questions are dealt out to devices."""
    answers = rounds * questions * settings.samples
    tokens = min(settings.tokens, graph.context)
    kept = bytes_per_row(graph, graph.context, run_bytes=1)
    return Effort(
        f"{answers:,} answers of {tokens} tokens",
        answers * writing(graph, tokens, past, getattr(settings, "dials", None)),
        answers * tokens,
        settings.dtype,
        parts=questions,
        writing=Writing(
            rounds, questions, settings.samples, tokens, settings.rows, read_at_a_token(graph), kept
        ),
    )


def of_base_evaluation(stage: Stage) -> Found:
    settings, graph = stage.settings, _graph(stage)
    context, dials, efforts = graph.context, settings.dials, []
    left = ["bits per byte of the validation split: its size is known once the corpus is here"]
    if settings.train_tokens:
        rows = -(-settings.train_tokens // context)
        what = f"bits per byte of {settings.train_tokens:,} training tokens"
        efforts.append(Effort(what, rows * reading(graph, context, dials), rows * context, "float32", False))
    if settings.prompts:
        tokens = len(settings.prompts) * min(settings.tokens, context)
        flops = len(settings.prompts) * reading(graph, context, dials)
        efforts.append(Effort(f"{len(settings.prompts)} samples", flops, tokens, "float32"))
    if settings.core is not None:
        options = _core_options(Path(settings.core))
        if options is None:
            left.append("CORE: how much it reads is known once its bundle is here")
        else:
            read = options * settings.core_rows
            what = f"CORE, {settings.core_rows} rows a task, up to {read:,} readings of {context:,} tokens"
            efforts.append(
                Effort(what, read * reading(graph, context, dials), read * context, settings.core_dtype)
            )
    return Found(tuple(efforts), tuple(left))


def _core_options(folder: Path) -> int | None:
    """Options of one row of each task of a bundle, in all."""
    from stages.tasks.core import CHOICE, SCHEMA, read_bundle

    if not folder.is_dir():
        return None
    key = {CHOICE: "choices", SCHEMA: "context_options"}
    try:
        tasks = read_bundle(folder).tasks
        rows = [_first_row(folder / "eval_data" / task.file) for task in tasks]
    except (Fault, OSError, ValueError):
        return None
    return sum(len(row.get(key.get(task.kind, ""), "1")) for task, row in zip(tasks, rows, strict=True))


def _first_row(path: Path) -> dict[str, Any]:
    import json

    with path.open(encoding="utf-8") as file:
        return json.loads(file.readline())


def of_chat_evaluation(stage: Stage) -> Found:
    settings, graph = stage.settings, _graph(stage)
    context, efforts = graph.context, []
    known, unknown = [], []
    for wanted in settings.asked:
        rows = rows_of(wanted)
        unknown += (
            [f"`{wanted.label}`: how many rows it has is known once it is here"] if rows is None else []
        )
        known += [(wanted, rows)] if rows is not None else []
    chosen = sum(n for wanted, n in known if task_entry(wanted.task).kind == "choice")
    written = sum(n for wanted, n in known if task_entry(wanted.task).kind == "generative")
    if chosen:
        what = f"{chosen:,} questions of choice, of {context:,} tokens"
        flops = chosen * reading(graph, context, settings.dials)
        efforts.append(Effort(what, flops, chosen * context, settings.dtype))
    if written:
        past = max(0, context - settings.tokens)
        flops = written * reading(graph, past, settings.dials) if past else 0
        efforts.append(
            Effort(f"{written:,} prompts of {past:,} tokens", flops, written * past, settings.dtype)
        )
        efforts.append(evolve(_answers(settings, graph, 1, written, past), parts=1))
    return Found(tuple(efforts), tuple(unknown))


def _graph(stage: Stage) -> Graph:
    assert stage.compiled is not None, stage.name
    return stage.compiled.graph
