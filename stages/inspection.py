"""What a mixture teaches, to look at: its first conversations as tokens with what is learnt in colour, and counts.

Knows nothing of the command line, nor of training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from runtime.chat.conversation import render
from runtime.chat.text_stream import TextStream
from runtime.faults import Fault
from runtime.manifest import NAME
from runtime.tokenizer import BYTES, Tokenizer, text_form
from stages.evaluating.writing import printable
from stages.models.checked import check_input
from stages.runfile.load import Run
from stages.tasks.mixture import Mixture, TaskSetting, make_mixture

MEASURED = 1_000  # rows of a task that are rendered to count tokens; of more, the rest is estimated from them
LEARNT, GIVEN = ("black on green", "black on cyan"), ("dim", "")  # in turn, so that tokens are told apart
LEARNT_SPECIAL, GIVEN_SPECIAL = "bold black on yellow", "bold blue"


LEGEND = Text.assemble(
    ("learnt", LEARNT[0]), ("tokens", LEARNT[1]), (" take turns in colour, special ones are ", "dim"),
    ("learnt", LEARNT_SPECIAL), (" or ", "dim"), ("given", GIVEN_SPECIAL), ("; all else is given", "dim"),
)  # fmt: skip


@frozen
class Counted:
    """What a task of a mixture holds; token counts are estimates where `exact` is false."""

    label: str
    rows: int
    tokens: int
    learnt: int
    exact: bool


@frozen
class Found:
    """A mixture of a run: the stage and the setting it stands in."""

    stage: str
    setting: str
    tasks: tuple[TaskSetting, ...]


def find_mixtures(run: Run, stage: str | None = None) -> list[Found]:
    """The mixtures that the stages of a run declare; raises Fault where there are none."""
    names = [s.name for s in run.stages]
    if stage is not None and stage not in names:
        raise Fault(f"the run has no stage `{stage}`", f"it has {', '.join(f'`{name}`' for name in names)}")
    found = [
        Found(s.name, field.name, tasks)
        for s in run.stages
        if stage in (None, s.name)
        for field in attrs.fields(type(s.settings))
        if _are_tasks(tasks := getattr(s.settings, field.name))
    ]
    if not found:
        raise Fault(
            f"`{stage or run.name}` declares no tasks",
            'a stage that has them: `tasks = [{ task = "gsm8k" }]`',
        )
    return found


def _are_tasks(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and all(isinstance(item, TaskSetting) for item in value)


def find_tokenizer(run: Run, runs: Path) -> tuple[Tokenizer, str]:
    """The run's tokenizer, and what to say of it; before there is one, every byte is a token."""
    for stage in run.stages:
        path = runs / run.name / stage.name / "tokenizer.json"
        if stage.uses == "tokenizer" and path.is_file():
            if (path.parent / NAME).is_file():  # else the stage is still at work
                check_input(path.parent)
            return Tokenizer.load(path), f"tokens of {path}"
    bytes_alone = Tokenizer(tuple(bytes([number]) for number in range(BYTES)))
    return bytes_alone, "the run has no tokenizer yet: each byte is a token here"


def inspect(
    found: Found, tokenizer: Tokenizer, *, seed: int, conversations: int, mixture: Mixture | None = None
) -> Group:
    """The first conversations of a mixture, and its counts by task."""
    mixture = mixture or make_mixture(found.tasks, seed=seed)
    shown: list[RenderableType] = []
    for index in range(min(conversations, len(mixture))):
        which, row = mixture.place(index)
        shown += [_heading(mixture, index, which, row), render_tokens(mixture, index, tokenizer), Text()]
    return Group(*shown, counts_table(count(mixture, tokenizer), f"{found.stage}.{found.setting}"))


def _heading(mixture: Mixture, index: int, which: int, row: int) -> Text:
    label = mixture.settings[which].label
    return Text(f"{index + 1:,} of {len(mixture):,}: {label}, row {row:,}", style="bold")


def render_tokens(mixture: Mixture, index: int, tokenizer: Tokenizer) -> Text:
    """A conversation as its tokens: on a coloured ground what is learnt, special tokens by name."""
    rendered = render(mixture[index].messages, tokenizer)
    text = Text()
    for piece, style in _pieces(rendered.ids, rendered.mask, tokenizer):
        text.append(piece, style)
    return text


def _pieces(ids: Sequence[int], mask: Sequence[int], tokenizer: Tokenizer) -> Iterator[tuple[str, str]]:
    """Text and style of each token; one that ends within a character shows nothing until it is whole."""
    names = {tokenizer.special[name]: name for name in tokenizer.special if not name.startswith("<")}
    stream = TextStream(tokenizer)
    for place, (id, learnt) in enumerate(zip(ids, mask, strict=True)):
        if id in names:
            yield printable(stream.end()), ""
            yield text_form(names[id]), LEARNT_SPECIAL if learnt else GIVEN_SPECIAL
        else:
            yield printable(stream.feed(id)), (LEARNT if learnt else GIVEN)[place % 2]


def count(mixture: Mixture, tokenizer: Tokenizer, *, measured: int = MEASURED) -> list[Counted]:
    """Rows, tokens and learnt tokens of each task of a mixture, repeats counted."""
    found = []
    for (label, rows), task in zip(mixture.counts, mixture.tasks, strict=True):
        step = max(len(task) // measured, 1)
        sample = range(0, len(task), step)[:measured] if step > 1 else range(len(task))
        rendered = [render(task[row].messages, tokenizer) for row in sample]
        share = rows / len(sample)
        tokens, learnt = (sum(len(r.ids) for r in rendered), sum(sum(r.mask) for r in rendered))
        exact = len(sample) == len(task)
        found.append(Counted(label, rows, round(tokens * share), round(learnt * share), exact))
    return found


def counts_table(counts: Sequence[Counted], title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("task")
    for column in ("rows", "share", "tokens", "learnt", "learnt of tokens"):
        table.add_column(column, justify="right")
    exact = all(c.exact for c in counts)
    rows, tokens, learnt = (sum(getattr(c, name) for c in counts) for name in ("rows", "tokens", "learnt"))
    total = Counted("total", rows, tokens, learnt, exact)
    for counted in (*counts, total):
        about = "" if counted.exact else "~"
        table.add_row(
            counted.label,
            f"{counted.rows:,}",
            f"{counted.rows / total.rows:.1%}",
            f"{about}{counted.tokens:,}",
            f"{about}{counted.learnt:,}",
            f"{counted.learnt / counted.tokens:.1%}",
            style="bold" if counted is total else "",
        )
    return table
