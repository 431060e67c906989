"""A chat model's answers to tasks: choices by the likeliest letter, all else written out and marked. Knows nothing of runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
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
from runtime.scoring import Scorer
from runtime.streams import seed_of
from runtime.tokenizer import Tokenizer
from stages.evaluating.accuracy import Accuracy
from stages.evaluating.kept import Kept
from stages.evaluating.task_results import Result, attempt, figures, mean, told
from stages.progress import Reporter
from stages.tasks.catalogue import task_entry
from stages.tasks.mixture import TaskSetting, make_part
from stages.tasks.task import Example, Task

AT_ONCE = 256  # questions that are in the engine's queue at once

NAME, KEY = "ChatCORE", "chatcore"  # of the mean: to people, and in results


@define(eq=False, slots=False)  # slots would leave no room for the cached property
class ChatRun:
    """A model that is asked, and how."""

    scorer: Scorer
    make_engine: Callable[
        [], Engine
    ]  # called after the last choice: it may change the model for writing alone
    tokenizer: Tokenizer
    tokens: int  # of an answer, at most
    temperature: float
    samples: int  # answers to a question; any right one counts
    dials: Dials
    seed: int

    @cached_property
    def engine(self) -> Engine:
        return self.make_engine()

    @property
    def context(self) -> int:
        return self.scorer.blueprint["context"]

    def run(self, tasks: Sequence[TaskSetting], kept: Kept, tell: Reporter) -> Result:
        """Run every task, choices first; what `kept` has of an earlier attempt is not run again."""
        done: dict[int, Result] = {}
        kinds = [task_entry(setting.task).kind for setting in tasks]
        for number in sorted(range(len(tasks)), key=lambda number: kinds[number] != "choice"):
            setting = tasks[number]
            find = partial(self._task, setting, tell)
            done[number] = attempt(f"task {setting!r}", setting.label, kept, find)
            tell.line(told(done[number]))
        return mean(KEY, [done[number] for number in range(len(tasks))])

    def _task(self, setting: TaskSetting, tell: Reporter) -> Result:
        started = time.monotonic()
        task = make_part(setting)
        if task.kind == "conversation":
            raise Fault(f"`{setting.task}` has no answers that can be marked")
        with tell.bar(setting.label, len(task)) as bar:
            marks = self._choices(task) if task.kind == "choice" else self._answers(task)
            right = too_long = 0
            for number, (passed, fits) in enumerate(marks, 1):
                right, too_long = right + passed, too_long + (not fits)
                bar.advance(number)
        return figures(
            setting.label,
            Accuracy(right, len(task)),
            baseline=100 * task.baseline,
            too_long=too_long,  # choices are cut from the left; what leaves no room to answer is wrong
            seconds=time.monotonic() - started,
        )

    def _choices(self, task: Task) -> Iterator[tuple[bool, bool]]:
        """Whether each answer is right and its question fits: the letter that is likeliest among the question's own."""
        for first in range(0, len(task), AT_ONCE):
            examples = [task[n] for n in range(first, min(first + AT_ONCE, len(task)))]
            whole = [self._question(example) for example in examples]
            asked = [question.within(self.context) for question in whole]
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
            fits = [len(prompt) < self.context for prompt in prompts]
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
