"""The rows that decode together: those whose dials stand alike, over one past."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from attrs import define, field
from torch import Tensor

from runtime.decoding.past import Past
from runtime.decoding.request import End, Request, Token
from runtime.decoding.sampling import Draws, Row, log_probabilities
from runtime.decoding.step import Step


@define(eq=False)
class Sample:
    """One continuation of a prompt: where it stands, and what comes next."""

    request_number: int
    number: int
    request: Request
    context: int
    written: list[int] = field(factory=list)
    forced: deque[int] = field(factory=deque)  # what the tool wants next
    tool: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tool = self.request.tool() if self.request.tool else None

    @property
    def last(self) -> int:
        """The token that is read next."""
        return self.written[-1] if self.written else self.request.prompt[-1]

    @property
    def position(self) -> int:
        """Where it stands."""
        return len(self.request.prompt) + len(self.written) - 1

    def take(self, drawn: int) -> tuple[int, bool]:
        """Return the next token, and whether the tool put it there."""
        return (self.forced.popleft(), True) if self.forced else (drawn, False)

    def end(self, token: int) -> str:
        """Why the sample ends with this token, which it does not keep where it stops it; else nothing."""
        if token in self.request.stop:
            return "stop"
        self.written.append(token)
        if self.tool is not None:
            self.forced.extend(self.tool.see(token))
        full = len(self.written) >= self.request.tokens or self.position + 1 >= self.context
        return "length" if full else ""

    def row(self) -> Row:
        seen = (*self.request.prompt, *self.written)
        return Row(self.request.sampling, self.number, self.request.never, seen)


@define(eq=False)
class Batch:
    """Running samples, one a row of the past from the first one on; and a stage, where prompts are read."""

    past: Past
    stage: Past
    compute: Step
    vocab: int
    samples: list[Sample] = field(factory=list)
    _staged: int = 0  # positions on the stage
    _draws: Draws | None = None  # how the rows are drawn; none where they have changed

    # -- prompts

    def read(self, request: Request, read: int, most: int) -> int:
        """Read a prompt on from `read`, by `most` positions at most; return how far it is.

        Its last token is left: that is the first which a row reads itself, so the stage needs no logits.
        """
        if read == 0:
            self.stage.clear_row(0, self._staged)
        end = min(len(request.prompt) - 1, read + most)
        if end > read:
            ids, seed = list(request.prompt[read:end]), request.sampling.seed
            self.compute.read(self.stage, ids, read, seed)
        self._staged = end
        return end

    def join(self, sample: Sample) -> None:
        """Start a sample whose prompt is on the stage."""
        row = len(self.samples)
        if row == self.past.rows:
            self.past = self.past.resized(2 * row)
        self.past.copy_row(row, self.stage, 0, self._staged)
        self.samples.append(sample)
        self._draws = None

    # -- steps

    def step(self) -> list[Token | End]:
        """Give every row its next token."""
        if not self.samples:
            return []
        positions = [s.position for s in self.samples]
        seeds = [s.request.sampling.seed for s in self.samples]
        logits = self.compute(self.past, [s.last for s in self.samples], positions, seeds)
        if self._draws is None:
            self._draws = Draws([s.row() for s in self.samples], self.vocab, self.past.device)
        draws = self._draws
        drawn = draws(logits, torch.tensor(positions, device=self.past.device)[:, None])
        said = self._log_probabilities(logits, drawn)
        events: list[Token | End] = []
        ended: set[Sample] = set()
        for row, (sample, id) in enumerate(zip(self.samples, drawn.tolist(), strict=True)):
            token, forced = sample.take(id)
            reason = sample.end(token)
            if reason != "stop":
                more = said(row) if said and not forced else {}
                events.append(Token(sample.request_number, sample.number, token, forced, **more))
            if reason:
                stop = token if reason == "stop" else None
                events.append(End(sample.request_number, sample.number, reason, stop))
                ended.add(sample)
        if draws.penalized:
            draws.note([s.last for s in self.samples])
        self.drop(ended.__contains__)
        return events

    def _log_probabilities(self, logits: Tensor, drawn: Tensor) -> Callable[[int], dict[str, Any]] | None:
        """What to say of the token of a row, if any row wants to know."""
        wanted = [s.request.sampling.logprobs for s in self.samples]
        most = max((n for n in wanted if n is not None), default=None)
        if most is None:
            return None
        own, ids, logs = (t.tolist() for t in log_probabilities(logits, drawn, most))

        def said(row: int) -> dict[str, Any]:
            count = wanted[row]
            if count is None:
                return {}
            return {"logprob": own[row], "top": tuple(zip(ids[row][:count], logs[row][:count], strict=True))}

        return said

    def drop(self, unwanted: Callable[[Sample], bool]) -> None:
        """Take samples out; the last rows move into the places that they leave."""
        for row in range(len(self.samples) - 1, -1, -1):
            if unwanted(self.samples[row]):
                last = self.samples.pop()
                left = last
                if row < len(self.samples):
                    left, self.samples[row] = self.samples[row], last
                    self.past.copy_row(row, self.past, len(self.samples), last.position)
                self.past.clear_row(len(self.samples), max(last.position, left.position))
                self._draws = None
