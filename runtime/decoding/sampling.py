"""Draw the next token of every row of a batch from its logits, each by its own settings and random numbers.

All on the device of the logits, and nothing is read back. A row's random number follows from its seed, its
sample and the position that is drawn for: who else is in the batch has no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from attrs import frozen
from torch import Tensor

from runtime.counter import place_below, root, words
from runtime.decoding.request import Sampling

PLACE = "sample"  # where the random numbers of draws branch from those of the model

COLDEST = 1e-4  # a temperature below is greedy: float32 could not divide logits by it

# B rows, V ids


@frozen
class Row:
    """What a draw must know of one row."""

    sampling: Sampling
    sample: int
    never: frozenset[int] = frozenset()
    seen: Sequence[int] = ()  # prompt and tokens so far, for the penalty


@frozen(slots=False)  # slots would leave no room for the cached properties
class Draws:
    """How each row of a batch is drawn. Made anew whenever the rows of the batch change."""

    rows: Sequence[Row]
    vocab: int
    device: torch.device

    def __call__(self, logits: Tensor, positions: Tensor) -> Tensor:
        """Return an id (B) for each row of logits (B, V), which stands at `positions` (B, 1)."""
        logits = self._allowed(logits.float())
        best = logits.argmax(-1)
        if not self._any(lambda s: s.temperature >= COLDEST):
            return best
        chances = self._filtered(logits / self._temperature)
        drawn = draw(chances, self._uniform(positions))
        return torch.where(self._greedy, best, drawn)

    def note(self, ids: Sequence[int]) -> None:
        """Remember what was added to each row, for the penalty."""
        self._seen.scatter_(1, self._column(list(ids), torch.int64), True)

    def _allowed(self, logits: Tensor) -> Tensor:
        """Logits after the penalty, and without the ids that are never drawn."""
        if self.penalized:
            lowered = torch.where(logits > 0, logits / self._penalty, logits * self._penalty)
            logits = torch.where(self._seen, lowered, logits)
        return logits.masked_fill(self._never, -torch.inf) if any(r.never for r in self.rows) else logits

    def _filtered(self, logits: Tensor) -> Tensor:
        """Chances (B, V) of the ids that pass each row's filters, not summed to one again."""
        counts = [r.sampling.top_k or self.vocab for r in self.rows]
        most = max((k for k in counts if k < self.vocab), default=None)
        if most is not None:
            best = logits.topk(most).values
            least = best.gather(1, (self._top_k - 1).clamp(max=most - 1))
            logits = logits.masked_fill((logits < least) & (self._top_k < self.vocab), -torch.inf)
        chances = torch.softmax(logits, dim=-1)
        if self._any(lambda s: s.top_p < 1):
            ordered = chances.sort(dim=-1, descending=True).values
            beyond = (ordered.cumsum(-1) - ordered >= self._top_p) & (self._top_p < 1)
            beyond[:, 0] = False  # the likeliest stays
            least = ordered.masked_fill(beyond, torch.inf).amin(-1, keepdim=True)
            chances = chances.masked_fill(chances < least, 0)
        if self._any(lambda s: s.min_p > 0):
            chances = chances.masked_fill(chances < self._min_p * chances.amax(-1, keepdim=True), 0)
        return chances

    def _uniform(self, positions: Tensor) -> Tensor:
        """Numbers (B, 1) in [0, 1), 24 bits each."""
        place = place_below(root(self._seeds, self.device), PLACE)
        return (words(place, self._samples, positions, ()) >> 8).float() * 2**-24

    def _any(self, wanted) -> bool:
        return any(wanted(r.sampling) for r in self.rows)

    @cached_property
    def penalized(self) -> bool:
        return self._any(lambda s: s.repetition_penalty != 1)

    def _column(self, numbers: list, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.tensor(numbers, dtype=dtype, device=self.device)[:, None]

    @cached_property
    def _temperature(self) -> Tensor:
        return self._column([max(r.sampling.temperature, COLDEST) for r in self.rows])

    @cached_property
    def _greedy(self) -> Tensor:
        return torch.tensor([r.sampling.temperature < COLDEST for r in self.rows], device=self.device)

    @cached_property
    def _top_k(self) -> Tensor:
        return self._column([min(r.sampling.top_k or self.vocab, self.vocab) for r in self.rows], torch.int64)

    @cached_property
    def _top_p(self) -> Tensor:
        return self._column([r.sampling.top_p for r in self.rows])

    @cached_property
    def _min_p(self) -> Tensor:
        return self._column([r.sampling.min_p for r in self.rows])

    @cached_property
    def _penalty(self) -> Tensor:
        return self._column([r.sampling.repetition_penalty for r in self.rows])

    @cached_property
    def _seeds(self) -> Tensor:
        return self._column([r.sampling.seed for r in self.rows], torch.int64)

    @cached_property
    def _samples(self) -> Tensor:
        return self._column([r.sample for r in self.rows], torch.int64)

    @cached_property
    def _never(self) -> Tensor:
        return self._marked([r.never for r in self.rows])

    @cached_property
    def _seen(self) -> Tensor:
        return self._marked([r.seen for r in self.rows])

    def _marked(self, ids: list) -> Tensor:
        marks = torch.zeros(len(ids), self.vocab, dtype=torch.bool)
        for row, of_row in enumerate(ids):
            marks[row, list(of_row)] = True
        return marks.to(self.device)


def draw(chances: Tensor, uniform: Tensor) -> Tensor:
    """Return the id (B) at which the running sum of chances (B, V) passes uniform (B, 1) of the whole."""
    wide = torch.float32 if chances.device.type == "mps" else torch.float64
    running = chances.cumsum(-1, dtype=wide)
    whole = running[:, -1:]
    # below the whole, lest rounding lands behind the last id that has a chance
    mark = torch.minimum(uniform.to(wide) * whole, torch.nextafter(whole, torch.zeros_like(whole)))
    ids = torch.searchsorted(running, mark, right=True).squeeze(1)
    return ids.clamp(max=chances.shape[1] - 1)  # logits that are no numbers have no sum


def log_probabilities(logits: Tensor, ids: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """The model's own log-probability of each id (B), and the ids and log-probabilities (B, most) of the likeliest."""
    logs = torch.log_softmax(logits.float(), dim=-1)
    best = logs.topk(most)
    return logs.gather(1, ids[:, None]).squeeze(1), best.indices, best.values
