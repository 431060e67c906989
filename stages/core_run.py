"""CORE of a model: every task of a bundle that can be run, one after the other, and the mean of what they gave.

A task that cannot be run is told as such with its reason, and never counts as 0. Knows nothing of runs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from runtime.faults import Fault
from stages.accuracy import Accuracy, centred
from stages.kept import Kept
from stages.progress import Reporter
from stages.tasks.core import Bundle, Encoder, Task, is_right, question, read_bundle

if TYPE_CHECKING:
    from runtime.scoring import Scorer
    from runtime.tokenizer import Tokenizer

Result = dict[str, Any]  # plain JSON


@frozen
class Core:
    """A bundle, and a model that answers it."""

    bundle: Bundle
    scorer: Scorer
    tokenizer: Tokenizer
    rows: int  # of a task, at most

    def run(self, kept: Kept, tell: Reporter) -> Result:
        """Run every task; what `kept` has of an earlier attempt is not run again."""
        done = []
        for task in self.bundle.tasks:
            result = self._one(task, kept, tell)
            done.append(result)
            tell.line(told(result))
        return summary(done)

    def _one(self, task: Task, kept: Kept, tell: Reporter) -> Result:
        try:
            return kept.once(f"core {task.label}", lambda: self._task(task, tell))
        except Fault as fault:
            return {"task": task.label, "not_run": fault.message}
        except (RuntimeError, MemoryError) as error:
            from runtime.scoring import is_out_of_memory

            if not is_out_of_memory(error):
                raise
            return {"task": task.label, "not_run": "out of memory, even a few prompts at a time"}

    def _task(self, task: Task, tell: Reporter) -> Result:
        started = time.monotonic()
        rows = self.bundle.rows(task, self.rows)
        encoder = Encoder(self.tokenizer.encode, self.tokenizer.bos)
        whole = [question(task, rows, index, encoder) for index in range(len(rows))]
        context: int = self.scorer.blueprint["context"]
        asked = [one.within(context) for one in whole]
        with tell.bar(task.label, len(rows)) as bar:
            scores = self.scorer.score(asked, bar.advance)
        right = sum(is_right(task, row, one) for row, one in zip(rows, scores, strict=True))
        cut = sum(one is not other for one, other in zip(whole, asked, strict=True))
        return _result(task, Accuracy(right, len(rows)), cut=cut, seconds=time.monotonic() - started)


def _result(task: Task, accuracy: Accuracy, *, cut: int, seconds: float) -> Result:
    low, high = accuracy.interval
    return {
        "task": task.label,
        "kind": task.kind,
        "shots": task.shots,
        "rows": accuracy.rows,
        "right": accuracy.right,
        "cut": cut,  # rows whose prompts are longer than the context, and were cut from the left
        "accuracy": accuracy.share,
        "low": low,
        "high": high,
        "baseline": task.baseline,
        "centred": centred(accuracy.share, task.baseline),
        "seconds": round(seconds, 2),
    }


def evaluate_core(
    folder: Path, scorer: Scorer, tokenizer: Tokenizer, *, rows: int, kept: Kept, tell: Reporter
) -> Result:
    """CORE over the bundle in `folder`; where that is none, it is not run, and the result says why."""
    try:
        bundle = read_bundle(folder)
    except Fault as fault:
        return not_run(fault.message)
    return Core(bundle, scorer, tokenizer, rows).run(kept, tell)


def not_run(reason: str) -> Result:
    return {"core": None, "over": 0, "of": 0, "tasks": [], "not_run": reason}


def summary(results: Sequence[Result]) -> Result:
    """The mean of the centred accuracies of what was run, with how many tasks that is and how many there are."""
    ran = [result["centred"] for result in results if "not_run" not in result]
    core = sum(ran) / len(ran) if ran else None
    found: Result = {"core": core, "over": len(ran), "of": len(results), "tasks": list(results)}
    return found if ran else found | {"not_run": "none of its tasks could be run"}


def headline(core: Result) -> str:
    """`CORE 0.2219`, or `CORE over 21 of 22 tasks 0.2219`, or why there is none."""
    if core["core"] is None:
        return f"CORE not run: {core['not_run']}"
    over = "" if core["over"] == core["of"] else f" over {core['over']} of {core['of']} tasks"
    return f"CORE{over} {core['core']:.4f}"


def told(result: Result) -> str:
    """A task in one line."""
    if "not_run" in result:
        return f"{result['task']}: not run: {result['not_run']}"
    cut = f", {result['cut']} cut to the context" if result["cut"] else ""
    accuracy = Accuracy(result["right"], result["rows"]).percent()
    return (
        f"{result['task']}: {accuracy}, centred {result['centred']:.4f}, {result['rows']} rows{cut}, "
        f"{result['seconds']:.1f} s"
    )


def table(core: Result) -> list[tuple[str, ...]]:
    """The tasks as rows of a table, for a report."""
    cells: list[tuple[str, ...]] = [("task", "accuracy", "95% interval", "centred", "rows", "cut", "seconds")]
    for result in core["tasks"]:
        if "not_run" in result:
            cells.append((result["task"], "not run", result["not_run"]))
            continue
        share, low, high = (f"{100 * result[name]:.1f}" for name in ("accuracy", "low", "high"))
        counts = (f"{result['rows']:,}", f"{result['cut']:,}", f"{result['seconds']:.1f}")
        cells.append((result["task"], f"{share}%", f"{low} to {high}", f"{result['centred']:.4f}", *counts))
    return cells
