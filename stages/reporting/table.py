"""The table of results: a column for each state of the model, a row for each thing that was measured, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nanogen.views.figures import columns
from stages.evaluating.accuracy import Accuracy
from stages.reporting.page import Section
from stages.work import Input

COLUMNS = {"pretrain": "BASE", "midtrain": "MID", "sft": "SFT", "rl": "RL"}
FIRST, LAST = ("bits per byte", "CORE"), ("ChatCORE",)


def results(inputs: Sequence[Input]) -> Section | None:
    """The section, or nothing where nothing was evaluated."""
    cells: dict[str, dict[str, str]] = {}
    models: dict[str, str] = {}  # kinds, by stage
    for found in inputs:
        if found.done and found.kind in ("evaluate_base", "evaluate_chat"):
            model = found.result["model"]
            models[model["stage"]] = model["kind"]
            for row, text in _rows(found.kind, found.result):
                cells.setdefault(row, {})[model["stage"]] = text
    if not cells:
        return None
    kinds = list(COLUMNS)
    present = sorted(models, key=lambda stage: kinds.index(models[stage]))
    names = [_column(stage, models) for stage in present]
    lines: list[Any] = [("", *names)]
    lines += [(row, *(cells[row].get(name, "-") for name in present)) for row in sorted(cells, key=_place)]
    note = "Shares of right answers, with the interval in which that share lies at 95%."
    return Section("Results", facts=(("", note),), text=columns(lines))


def _column(stage: str, models: dict[str, str]) -> str:
    """The state that a model is in; of several models in one state, the name of its stage."""
    kind = models[stage]
    return COLUMNS[kind] if list(models.values()).count(kind) == 1 else stage


def _place(row: str) -> tuple[int, str]:
    return (FIRST.index(row), "") if row in FIRST else (len(FIRST) + (row in LAST), row)


def _rows(kind: str, result: dict[str, Any]) -> list[tuple[str, str]]:
    if kind == "evaluate_base":
        rows = [("bits per byte", f"{result['bits_per_byte']:.4f}")]
        return rows + _mean("CORE", "core", result["core"])
    rows = [(task["task"], _share(task)) for task in result["tasks"]]
    return rows + _mean("ChatCORE", "chatcore", result)


def _mean(name: str, key: str, found: dict[str, Any]) -> list[tuple[str, str]]:
    if found[key] is None:
        return []
    over = "" if found["over"] == found["of"] else f" ({found['over']} of {found['of']} tasks)"
    return [(name, f"{found[key]:.4f}{over}")]


def _share(task: dict[str, Any]) -> str:
    return "not run" if "not_run" in task else Accuracy(task["right"], task["rows"]).percent()
