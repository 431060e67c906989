"""What a model makes of many questions: the summed loss of each option's scored ids, and whether all are the likeliest.

The ids that a question's options begin with are read once, into a past of its own; then each option is read on from
there, and logits are computed from there on alone. Questions of like length are read side by side. The figures are
those of a plain pass over each option by itself, but for the order of sums. Knows nothing of text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from attrs import define, field
from torch import nn

from runtime.dials import Dials
from runtime.faults import is_out_of_memory
from runtime.group import Group
from runtime.model import Blueprint
from runtime.questions import Question, Score
from runtime.reading import Reader

HELD = {"cpu": 8_192, "cuda": 65_536}  # positions of the questions that are at work at once
PASS = {"cpu": 512, "cuda": 16_384}  # positions of one pass: on a CPU, what its caches hold
BESIDES = 16  # of a pass's positions, one in so many is what a pass costs whatever its size
# Ids that are to be read: of so many, compiled code saves more than it takes to compile. At a width of 256 a layer takes
# 7 s to compile and saves 4 us an id.
WORTH = 2_000_000
LEAST = 256  # positions at work; below these there is nothing left to halve


@define(eq=False)
class Scorer:
    """A model that scores questions; `dials` says where it stands."""

    model: nn.Module
    blueprint: Blueprint
    dtype: torch.dtype = torch.float32
    dials: Dials = field(factory=dict)
    # positions at work: what suits the device unless given, and halved where memory is too small
    held: int = 0
    compile_from: int | None = None  # more ids than these are read by compiled code; unsaid, none are
    passed: int = field(init=False)
    reader: Reader = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reader = Reader(self.model, self.blueprint, self.dtype, self.dials)
        device = self.reader.device.type
        self.held = self.held or HELD.get(device, HELD["cpu"])
        self.passed = PASS.get(device, PASS["cpu"])

    def expect(self, ids: int) -> None:
        """About so many ids are going to be read: compile reading where that pays."""
        if self.compile_from is not None and ids > self.compile_from and not self.reader.compiled:
            self.reader.compile()

    @torch.no_grad()  # and not in inference mode, where tensors do not count their versions
    def score(
        self, questions: Sequence[Question], done: Callable[[int], None] = lambda count: None
    ) -> list[list[Score]]:
        """Return the scores of each question's options; `done` is told how many questions have theirs.

        Raises what torch raises where memory is too small for even a few positions.
        """
        found: dict[int, list[Score]] = {}
        sizes = [(question.shared, question.longest) for question in questions]
        waiting = sorted(range(len(questions)), key=sizes.__getitem__, reverse=True)
        while waiting:
            group = self._next(waiting, questions)
            try:
                asked = [questions[number] for number in group]
                scores = Group(self.reader, asked, self.passed, self.passed // BESIDES).scores()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or self.held <= LEAST:
                    raise
                self.held //= 2
                continue
            found.update(zip(group, scores, strict=True))
            waiting = waiting[len(group) :]
            done(len(found))
        return [found[number] for number in range(len(questions))]

    def _next(self, waiting: list[int], questions: Sequence[Question]) -> list[int]:
        """The questions to be at work next: as many as may be, and one at least."""
        longest, count = 0, 0
        for number in waiting:
            longest = max(longest, questions[number].longest)
            if count and (count + 1) * longest > self.held:
                break
            count += 1
        return waiting[:count]
