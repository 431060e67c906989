"""A chat model's answers to tasks: choices by the likeliest letter, all else written out and marked.

A task that cannot be run is told as such with its reason, and never counts as 0. Knows nothing of runs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import define

from runtime.chat.conversation import Chat
from runtime.chat.reader import read_message
from runtime.decoding.engine import Engine
from runtime.decoding.request import Request, Sampling
from runtime.dials import Dials
from runtime.faults import Fault
from runtime.questions import Option, Question
from runtime.rollouts import roll_out
from runtime.scoring import Scorer, is_out_of_memory
from runtime.streams import seed_of
from runtime.tokenizer import Tokenizer
from stages.accuracy import Accuracy, centred
from stages.kept import Kept
from stages.progress import Reporter
from stages.tasks.mixture import TaskSetting, make_part
from stages.tasks.task import Example, Task

AT_ONCE = 256  # questions that are in the engine's queue at once

Result = dict[str, Any]  # plain JSON


@define
class ChatRun:
    """A model that is asked, and how."""

    scorer: Scorer
    engine: Engine
    tokenizer: Tokenizer
    tokens: int  # of an answer, at most
    temperature: float
    samples: int  # answers to a question; any right one counts
    dials: Dials
    seed: int

    def run(self, tasks: Sequence[TaskSetting], kept: Kept, tell: Reporter) -> Result:
        """Run every task; what `kept` has of an earlier attempt is not run again."""
        done = []
        for setting in tasks:
            done.append(self._one(setting, kept, tell))
            tell.line(told(done[-1]))
        return summary(done)

    def _one(self, setting: TaskSetting, kept: Kept, tell: Reporter) -> Result:
        try:
            return kept.once(f"task {setting!r}", lambda: self._task(setting, tell))
        except Fault as fault:
            return {"task": setting.label, "not_run": fault.message}
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return {"task": setting.label, "not_run": "out of memory, even a few questions at a time"}

    def _task(self, setting: TaskSetting, tell: Reporter) -> Result:
        started = time.monotonic()
        task = make_part(setting)
        if task.kind == "conversation":
            raise Fault(f"`{setting.task}` has no answers that can be marked")
        with tell.bar(setting.label, len(task)) as bar:
            marks = self._choices(task) if task.kind == "choice" else self._answers(task)
            right = cut = 0
            for number, (passed, fits) in enumerate(marks, 1):
                right, cut = right + passed, cut + (not fits)
                bar.advance(number)
        accuracy = Accuracy(right, len(task))
        low, high = accuracy.interval
        return {
            "task": setting.label,
            "rows": accuracy.rows,
            "right": accuracy.right,
            "too_long": cut,  # choices are cut from the left, and what leaves no room to answer is wrong
            "accuracy": accuracy.share,
            "low": low,
            "high": high,
            "baseline": 100 * task.baseline,
            "centred": centred(accuracy.share, 100 * task.baseline),
            "seconds": round(time.monotonic() - started, 2),
        }

    def _choices(self, task: Task) -> Iterator[tuple[bool, bool]]:
        """Whether each answer is right and its question fits: the letter that is likeliest among the question's own."""
        for first in range(0, len(task), AT_ONCE):
            examples = [task[n] for n in range(first, min(first + AT_ONCE, len(task)))]
            whole = [self._question(example) for example in examples]
            asked = [question.within(self.engine.context) for question in whole]
            scores = self.scorer.score(asked)
            for example, one, other, found in zip(examples, whole, asked, scores, strict=True):
                best = min(range(len(found)), key=lambda n: found[n].nats)
                yield example.letters[best] == example.gold.text, one is other

    def _question(self, example: Example) -> Question:
        prompt = self._prompt(example)
        letters = [tuple(self.tokenizer.encode(letter)) for letter in example.letters]
        return Question(tuple(Option((*prompt, *letter), len(prompt)) for letter in letters))

    def _answers(self, task: Any) -> Iterator[tuple[bool, bool]]:
        """Whether any answer to each question is right, and whether there was room for one."""
        for first in range(0, len(task), AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, len(task)))
            examples = [task[n] for n in numbers]
            prompts = [self._prompt(example) for example in examples]
            fits = [len(prompt) < self.engine.context for prompt in prompts]
            requests = [self._request(p, n) for p, n, fit in zip(prompts, numbers, fits, strict=True) if fit]
            rows = iter(roll_out(self.engine, requests))
            for example, fit in zip(examples, fits, strict=True):
                answers = [read_message(r.text_ids, self.tokenizer) for r in next(rows)] if fit else []
                yield any(task.score(example, answer) >= 1 for answer in answers), fit

    def _prompt(self, example: Example) -> tuple[int, ...]:
        return Chat(self.tokenizer).prompt(example.asked)

    def _request(self, prompt: tuple[int, ...], number: int) -> Request:
        form = Chat(self.tokenizer)
        sampling = Sampling(self.temperature, seed=seed_of(self.seed, "evaluate_chat", number))
        return Request(
            prompt, self.tokens, sampling, self.samples, form.stop, form.never, self.dials, form.tool
        )


def summary(results: Sequence[Result]) -> Result:
    """ChatCORE, the mean of the centred accuracies of what was run, with how many tasks that is."""
    ran = [result["centred"] for result in results if "not_run" not in result]
    core = sum(ran) / len(ran) if ran else None
    return {"chatcore": core, "over": len(ran), "of": len(results), "tasks": list(results)}


def headline(found: Result) -> str:
    """`ChatCORE 0.0884`, or `ChatCORE over 5 of 6 tasks 0.0884`."""
    if found["chatcore"] is None:
        return "ChatCORE not run: none of its tasks could be run"
    over = "" if found["over"] == found["of"] else f" over {found['over']} of {found['of']} tasks"
    return f"ChatCORE{over} {found['chatcore']:.4f}"


def told(result: Result) -> str:
    """A task in one line."""
    if "not_run" in result:
        return f"{result['task']}: not run: {result['not_run']}"
    accuracy = Accuracy(result["right"], result["rows"]).percent()
    cut = f", {result['too_long']} too long for the context" if result["too_long"] else ""
    return f"{result['task']}: {accuracy}, {result['rows']} rows{cut}, {result['seconds']:.1f} s"


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
