"""What tasks gave: accuracies with intervals, on a scale where guessing is 0, and the mean of those that were run.

A task that cannot be run is told as such with its reason, and never counts as 0. Knows nothing of how tasks are run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from runtime.faults import Fault, is_out_of_memory
from stages.evaluating.accuracy import Accuracy, centred
from stages.evaluating.kept import Kept

Result = dict[str, Any]  # plain JSON


def attempt(name: str, label: str, kept: Kept, find: Callable[[], Result]) -> Result:
    """The result of a task, as `kept` has it or as it is found now; or why there is none."""
    try:
        return kept.once(name, find)
    except Fault as fault:
        return {"task": label, "not_run": fault.message}
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return {"task": label, "not_run": "out of memory, even a few prompts at a time"}


def figures(label: str, accuracy: Accuracy, *, baseline: float, too_long: int, seconds: float) -> Result:
    """The figures of a task; guessing reaches `baseline` percent, `too_long` rows do not fit the context."""
    low, high = accuracy.interval
    return {
        "task": label,
        "rows": accuracy.rows,
        "right": accuracy.right,
        "too_long": too_long,
        "accuracy": accuracy.share,
        "low": low,
        "high": high,
        "baseline": baseline,
        "centred": centred(accuracy.share, baseline),
        "seconds": round(seconds, 2),
    }


def mean(key: str, results: Sequence[Result]) -> Result:
    """The mean of the centred accuracies of what was run, with how many tasks that is and how many there are."""
    ran = [result["centred"] for result in results if "not_run" not in result]
    found: Result = {"over": len(ran), "of": len(results), "tasks": list(results)}
    if not ran:
        return {key: None, **found, "not_run": "none of its tasks could be run"}
    return {key: sum(ran) / len(ran), **found}


def headline(name: str, key: str, found: Result) -> str:
    """`CORE 0.2219`, or `CORE over 21 of 22 tasks 0.2219`, or why there is none."""
    if found[key] is None:
        return f"{name} not run: {found['not_run']}"
    over = "" if found["over"] == found["of"] else f" over {found['over']} of {found['of']} tasks"
    return f"{name}{over} {found[key]:.4f}"


def told(result: Result) -> str:
    """A task in one line."""
    if "not_run" in result:
        return f"{result['task']}: not run: {result['not_run']}"
    accuracy = Accuracy(result["right"], result["rows"]).percent()
    too_long = f", {result['too_long']} too long for the context" if result["too_long"] else ""
    return (
        f"{result['task']}: {accuracy}, centred {result['centred']:.4f}, {result['rows']} rows{too_long}, "
        f"{result['seconds']:.1f} s"
    )


def table(found: Result) -> list[tuple[str, ...]]:
    """The tasks as rows of a table, for a report."""
    cells: list[tuple[str, ...]] = [
        ("task", "accuracy", "95% interval", "centred", "rows", "too long", "seconds")
    ]
    for result in found["tasks"]:
        if "not_run" in result:
            cells.append((result["task"], "not run", result["not_run"]))
            continue
        share, low, high = (f"{100 * result[name]:.1f}" for name in ("accuracy", "low", "high"))
        counts = (f"{result['rows']:,}", f"{result['too_long']:,}", f"{result['seconds']:.1f}")
        cells.append((result["task"], f"{share}%", f"{low} to {high}", f"{result['centred']:.4f}", *counts))
    return cells
