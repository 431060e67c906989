"""Questions whose options are scored by a model: ids with the place where scoring begins. Knows nothing of torch."""

from __future__ import annotations

from attrs import evolve, frozen


@frozen
class Option:
    """One way that a text may go on: its ids from `start` to the end are scored, each after all before it."""

    ids: tuple[int, ...]
    start: int  # at least 1: something comes before what is scored

    def without(self, count: int) -> Option:
        """The same without so many ids after the first one, which opens the document."""
        return Option(self.ids[:1] + self.ids[1 + count :], max(1, self.start - count)) if count else self


@frozen
class Question:
    """Options that are held against each other, or one alone."""

    options: tuple[Option, ...]

    @property
    def longest(self) -> int:
        return max(len(option.ids) for option in self.options)

    @property
    def shared(self) -> int:
        """How many ids all options begin with, before the id that gives the first scored one."""
        most = min(option.start for option in self.options) - 1
        first = self.options[0].ids
        for option in self.options[1:]:
            most = next((n for n in range(most) if option.ids[n] != first[n]), most)
        return most

    def within(self, context: int) -> Question:
        """The same, with no option that reads more than `context` ids: others lose what comes after their first id.

        All lose the same, so that they still follow one text; only where what is scored alone is too long, each
        loses what it must.
        """
        excess = self.longest - 1 - context  # the last id is scored, and not read
        if excess <= 0:
            return self
        alike = min(excess, min(option.start for option in self.options) - 1)
        cut = (option.without(alike) for option in self.options)
        return evolve(self, options=tuple(o.without(max(0, len(o.ids) - 1 - context)) for o in cut))


@frozen
class Score:
    """What a model makes of an option's scored ids."""

    nats: float  # their summed loss
    tokens: int
    greedy: bool  # whether each is the likeliest id

    @property
    def mean(self) -> float:
        return self.nats / self.tokens
