"""CORE of a model: every task of a bundle that can be run, one after the other. Knows nothing of runs."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from runtime.faults import Fault
from stages.evaluating.accuracy import Accuracy, centred
from stages.evaluating.kept import Kept
from stages.evaluating.task_results import Result, attempt, figures, mean, told
from stages.progress import Reporter
from stages.tasks.core import Bundle, Encoder, Task, is_right, prompts, question, read_bundle
from stages.tasks.core_published import read_published

if TYPE_CHECKING:
    from runtime.scoring import Scorer
    from runtime.tokenizer import Tokenizer

NAME, KEY = "CORE", "core"  # of the mean: to people, and in results
LOOKED_AT = 4  # rows of a task that say how many ids its rows have


@frozen
class Core:
    """A bundle, and a model that answers it."""

    bundle: Bundle
    scorer: Scorer
    tokenizer: Tokenizer
    rows: int  # of a task, at most

    def run(self, kept: Kept, tell: Reporter) -> Result:
        """Run every task; what `kept` has of an earlier attempt is not run again."""
        self.scorer.expect(sum(self._ids(task) for task in self.bundle.tasks if _name(task) not in kept))
        done = []
        for task in self.bundle.tasks:
            find = partial(self._task, task, tell)
            done.append(attempt(_name(task), task.label, kept, find))
            tell.line(told(done[-1]))
        return {**mean(KEY, done), "published": self._published(done, tell)}

    def _published(self, done: list[Result], tell: Reporter) -> list[Result]:
        """CORE of the models whose accuracies the bundle ships, over the tasks that were run."""
        ran = {result["task"]: result["baseline"] for result in done if "not_run" not in result}
        try:
            models = read_published(self.bundle.folder)
        except Fault as fault:
            tell.line(fault.message)
            return []
        return [
            {"model": model, KEY: mean(KEY, [{"centred": centred(shares[t], ran[t])} for t in ran])[KEY]}
            for model, shares in models.items()
            if ran and shares.keys() >= ran.keys()
        ]

    def _ids(self, task: Task) -> int:
        """About how many ids of a task's rows are read, an option each."""
        try:
            rows = self.bundle.rows(task, self.rows)
        except Fault:
            return 0
        looked_at = range(min(LOOKED_AT, len(rows)))
        found = [len(self.tokenizer.encode(prompts(task, rows, index)[-1])) for index in looked_at]
        context: int = self.scorer.blueprint["context"]
        return len(rows) * sum(min(context, ids) for ids in found) // len(found)

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
        too_long = sum(one is not other for one, other in zip(whole, asked, strict=True))
        found = figures(
            task.label,
            Accuracy(right, len(rows)),
            baseline=task.baseline,
            too_long=too_long,  # these were cut from the left
            seconds=time.monotonic() - started,
        )
        return {**found, "kind": task.kind, "shots": task.shots}


def _name(task: Task) -> str:
    """Of its result, where that is kept."""
    return f"core {task.label}"


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
    return {**mean(KEY, []), "published": [], "not_run": reason}


def beside(found: Result) -> str:
    """`openai-community-gpt2 0.1139, ...`: what published models reach on the same tasks; empty where none is known."""
    return ", ".join(f"{one['model']} {one[KEY]:.4f}" for one in found["published"])
