"""Accuracies of published models that a CORE bundle ships beside its tasks, a file for each.

A file, named after its model:
    Task              , Accuracy , Centered
    hellaswag_zeroshot, 0.308803 , 0.078404
    ...
    CORE              ,          , 0.121646
Only accuracies are read: where they stand between guessing and all right is for whoever compares to say.
"""

from __future__ import annotations

import csv
from pathlib import Path

from runtime.faults import Fault

HEAD = ["Task", "Accuracy", "Centered"]
MEAN = "CORE"


def read_published(folder: Path) -> dict[str, dict[str, float]]:
    """Shares of right answers by task, by model; raises Fault for a file of that form that cannot be read."""
    found = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            head, *rows = [[cell.strip() for cell in row] for row in csv.reader(file)] or [[]]
        if head == HEAD:
            found[path.stem] = _accuracies(rows, path.name)
    return found


def _accuracies(rows: list[list[str]], name: str) -> dict[str, float]:
    try:
        found = {row[0]: float(row[1]) for row in rows if row and row[0] != MEAN}
    except (ValueError, IndexError):
        raise Fault(f"`{name}` of the bundle is no table of tasks and their accuracies") from None
    if not all(0 <= share <= 1 for share in found.values()):
        raise Fault(f"`{name}` of the bundle holds an accuracy that is no share from 0 to 1")
    return found
