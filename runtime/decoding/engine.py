"""Decode many requests at once: rows join and leave a running batch, each as if it were alone.

A prompt is read in chunks, once for all samples of its request; then every step gives each running row a token.
Speaks token ids only, and is not thread-safe: one thread owns it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import torch
from attrs import define
from torch import nn

from runtime.decoding.batch import Batch, Sample
from runtime.decoding.past import Past, check_shareable
from runtime.decoding.request import End, Request, Token
from runtime.decoding.step import Step, compile_steps
from runtime.dials import Dials, check_dials
from runtime.faults import Fault
from runtime.model import Blueprint

ROWS = 32
CHUNK = 512  # positions of prompts that are read between two steps

Event = Token | End
Place = tuple[tuple[str, int], ...]  # where the dials stand


@define(eq=False)
class _Waiting:
    """A request that has samples which do not run yet."""

    number: int
    request: Request
    place: Place
    samples: deque[Sample]
    read: int = 0  # positions of the prompt, in the stage of its batch


class Engine:
    """Rows of a model at work. `context` bounds prompt and new tokens together, `rows` the samples at once."""

    def __init__(
        self,
        model: nn.Module,
        blueprint: Blueprint,
        *,
        rows: int = ROWS,
        context: int | None = None,
        dtype: torch.dtype = torch.float32,
        compiled: bool = False,
        chunk: int = CHUNK,
        turns_kept: int | None = None,
    ):
        """`turns_kept`: how many turns of a loop keep a state of their own. All of them is what was trained;
        fewer is cheaper and not exact. Raises Fault where turns cannot share their state.
        """
        self.model, self.rows, self.chunk = model, rows, chunk
        self.context: int = context or blueprint["context"]
        self.dials: Mapping[str, Mapping[str, Any]] = blueprint["dials"]
        self._vocab: int = blueprint["vocab"]
        if turns_kept is not None:
            check_shareable(blueprint)
        self._blueprint, self._dtype, self._turns_kept = blueprint, dtype, turns_kept
        self._compiled = compile_steps(model, blueprint) if compiled else None
        self._device = next(model.parameters()).device
        self._batches: dict[Place, Batch] = {}
        self._waiting: deque[_Waiting] = deque()
        self._home = self._place({})
        self._numbers = 0  # of requests

    # -- what is asked

    def submit(self, request: Request) -> int:
        """Queue a request and return its number; raises Fault for what cannot be answered."""
        self._check(request)
        place = self._place(check_dials(self.dials, request.dials))
        self._numbers += 1
        samples = deque(Sample(self._numbers, n, request, self.context) for n in range(request.samples))
        self._waiting.append(_Waiting(self._numbers, request, place, samples))
        return self._numbers

    @torch.inference_mode()
    def cancel(self, number: int, sample: int | None = None) -> None:
        """Drop a request, or one sample of it. What has ended already is no mistake."""
        for waiting in self._waiting:
            if waiting.number == number:
                waiting.samples = deque(s for s in waiting.samples if sample not in (None, s.number))
        self._waiting = deque(w for w in self._waiting if w.samples)
        for batch in self._batches.values():
            batch.drop(lambda s: s.request_number == number and sample in (None, s.number))

    # -- what is done

    @property
    def busy(self) -> bool:
        return self.running + self.waiting > 0

    @property
    def running(self) -> int:
        """Samples that get a token at every step."""
        return sum(len(batch.samples) for batch in self._batches.values())

    @property
    def waiting(self) -> int:
        """Samples that wait for a row, or for their prompt to be read."""
        return sum(len(waiting.samples) for waiting in self._waiting)

    @torch.inference_mode()
    def step(self) -> list[Event]:
        """Read some of the prompts that wait, and give each running row its next token."""
        events = self._admit()
        for batch in list(self._batches.values()):
            events += batch.step()
        self._batches = {place: b for place, b in self._batches.items() if b.samples or self._wanted(place)}
        return events

    # -- prompts

    def _admit(self) -> list[Event]:
        """Read prompts in their order, up to a chunk of positions, and start samples where rows are free."""
        events: list[Event] = []
        left = self.chunk
        while self._waiting and self.running < self.rows and left > 0:
            head = self._waiting[0]
            if head.request.tokens == 0:
                events += [End(s.request_number, s.number, "length") for s in head.samples]
                self._waiting.popleft()
                continue
            batch = self._batch(head)
            read = head.read
            head.read = batch.read(head.request, read, left)
            left -= head.read - read
            if head.read < len(head.request.prompt) - 1:
                break
            while head.samples and self.running < self.rows:
                batch.join(head.samples.popleft())
            if not head.samples:
                self._waiting.popleft()
        return events

    def _batch(self, head: _Waiting) -> Batch:
        """The batch of where a request's dials stand, which may be empty."""
        if head.place not in self._batches:
            dials = dict(head.place)
            past, stage = (
                Past(self._blueprint, 1, self.context, self._dtype, self._device, dials, self._turns_kept)
                for _ in range(2)
            )
            compute = Step(self.model, self._dtype, dials, self._compiled, self._device)
            self._batches[head.place] = Batch(past, stage, compute, self._vocab)
        return self._batches[head.place]

    def _wanted(self, place: Place) -> bool:
        """Whether an empty batch stays: that of the dials' defaults, and the one that reads a prompt now."""
        return place == self._home or any(w.place == place for w in self._waiting)

    # -- checks

    def _place(self, asked: Dials) -> Place:
        defaults: Dials = {name: dial["default"] for name, dial in self.dials.items()}
        return tuple((defaults | asked).items())

    def _check(self, request: Request) -> None:
        assert request.samples > 0, "a request has at least one sample"
        if not request.prompt:
            raise Fault("the prompt is empty", "begin with the id that opens a document")
        if strange := [i for i in request.prompt if not 0 <= i < self._vocab]:
            raise Fault(f"the prompt has the id {strange[0]:,}, and the model knows {self._vocab:,}")
        if len(request.prompt) >= self.context:
            message = f"the prompt has {len(request.prompt):,} tokens, and the context holds {self.context:,} with the answer"
            raise Fault(message, "shorten the prompt, or begin a new conversation")
