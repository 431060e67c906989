"""Times of operations to times of places: forward where an operation ran, backward where what it undoes ran.

A backward operation has the sequence number of the forward one that asked for it; by that its place is found. Knows
nothing of torch: whoever has a trace makes `Event`s of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define, field, frozen

BACKWARD = "autograd::engine::evaluate_function"
STEP, FORWARD, LAYERS = (
    "nanogen.step",
    "nanogen.forward",
    "nanogen.layers",
)  # scopes that are no module of the spec
LOADER, OPTIMIZER = "nanogen.loader", "nanogen.optimizer"
PLACE = "nanogen.at "  # before the path of a module
ELSEWHERE = ""  # in the step, and in none of them


@define(eq=False)
class Event:
    """One operation of a trace, or one scope that was marked."""

    name: str
    start: float  # seconds
    own: float  # seconds, without what it calls: of the processor, or of the device where there is one
    sequence: int = -1  # of autograd; -1: none
    parent: Event | None = field(default=None, repr=False)

    @property
    def chain(self) -> Iterable[Event]:
        """Itself and all that it is inside of."""
        here: Event | None = self
        while here is not None:
            yield here
            here = here.parent


@frozen
class Spent:
    """Seconds by place and direction."""

    forward: dict[str, float]
    backward: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.forward.values()) + sum(self.backward.values())


def spent(events: Sequence[Event]) -> Spent:
    """All time within steps. The places are the names of scopes, or ELSEWHERE; gradients that are only added up are
    backward, ELSEWHERE.
    """
    asked = _forward_places(events)
    forward, backward = dict[str, float](), dict[str, float]()
    for event in events:
        undone = _undone(event)
        if undone is not None:
            place = asked.get(undone.sequence, ELSEWHERE)
            backward[place] = backward.get(place, 0.0) + event.own
        elif (place := _place(event)) is not None:
            forward[place] = forward.get(place, 0.0) + event.own
    return Spent(forward, backward)


def _forward_places(events: Sequence[Event]) -> dict[int, str]:
    """The place of each sequence number. The last operation that has a number is the one that took it: those before
    it, which need no gradient, only saw what the next would be.
    """
    found = dict[int, str]()
    for event in sorted(events, key=lambda e: e.start):
        if event.sequence >= 0 and _undone(event) is None:
            place = _place(event)
            if place is not None:
                found[event.sequence] = place
    return found


def _undone(event: Event) -> Event | None:
    """The step of the backward pass that an operation is part of."""
    return next((one for one in event.chain if one.name.startswith(BACKWARD)), None)


def _place(event: Event) -> str | None:
    """The innermost scope; None outside of all steps."""
    for one in event.chain:
        if one.name.startswith(PLACE) or one.name in (FORWARD, LAYERS, LOADER, OPTIMIZER):
            return one.name
        if one.name == STEP:
            return ELSEWHERE
    return None
