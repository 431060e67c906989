"""The table of results: a column for each state of the model, a row for each thing that was measured, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nanogen.views.figures import columns
from stages.accuracy import Accuracy
from stages.report_page import Section
from stages.work import Input

COLUMNS = {"pretrain": "BASE", "midtrain": "MID", "sft": "SFT", "rl": "RL"}
FIRST, LAST = ("bits per byte", "CORE"), ("ChatCORE",)


def results(inputs: Sequence[Input]) -> Section | None:
    """The section, or nothing where nothing was evaluated."""
    cells: dict[str, dict[str, str]] = {}
    for found in inputs:
        if found.done and found.kind in ("evaluate_base", "evaluate_chat"):
            column = COLUMNS[found.result["model"]["kind"]]
            for row, text in _rows(found.kind, found.result):
                cells.setdefault(row, {})[column] = text
    if not cells:
        return None
    present = [name for name in COLUMNS.values() if any(name in row for row in cells.values())]
    lines: list[Any] = [("", *present)]
    lines += [(row, *(cells[row].get(name, "-") for name in present)) for row in sorted(cells, key=_place)]
    note = "Shares of right answers, with the interval in which that share lies at 95%."
    return Section("Results", facts=(("", note),), text=columns(lines))


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
