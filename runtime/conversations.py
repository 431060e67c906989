"""Turn rendered conversations into batches for tuning, and go on from any of them as if nothing had happened.

Conversations are rendered once, into a folder: their ids end to end, and which of them the model learns to write.
Rows are planned for a whole epoch, best fit, and filled up with bos that counts for nothing; so the number of steps
is known before the first. Knows nothing of text, messages or tasks.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from attrs import define, field, frozen

from runtime.atomic import write_bytes
from runtime.batches import IGNORED, Batch
from runtime.faults import Fault
from runtime.packing import fit_whole
from runtime.streams import seed_of

BUFFER = 100  # conversations to choose the best fit from
NUMBERS = "numbers.i64"
FACTS = "conversations.json"  # written last: the other files are whole where it is there


@frozen
class Conversations:
    """Rendered conversations: `ids` and `learnt` end to end, and where each one ends."""

    ids: np.ndarray  # int32, on disk
    learnt: np.ndarray  # uint8: 1 where the model learns to write the id
    ends: np.ndarray  # int64
    numbers: np.ndarray  # int64: which of the rendered ones each is, those that were left out counted
    cropped: int  # how many were longer than a row, and lost their end
    left_out: int  # how many had nothing to learn within a row

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        start = int(self.ends[index - 1]) if index else 0
        return self.ids[start : self.ends[index]], self.learnt[start : self.ends[index]]

    @property
    def lengths(self) -> list[int]:
        return np.diff(self.ends, prepend=0).tolist()

    @property
    def supervised(self) -> int:
        """Ids that the model learns to write."""
        return int(self.learnt.sum(dtype=np.int64))


def write_conversations(
    folder: Path, rendered: Iterable[tuple[Sequence[int], Sequence[int]]], *, row_tokens: int
) -> Conversations:
    """Write ids and masks as they come, each cut to `row_tokens`; what has nothing to learn then is left out.

    Raises Fault where nothing is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ends, numbers, cropped, left_out = [0], [], 0, 0
    with (folder / "ids.i32").open("wb") as ids_file, (folder / "learnt.u8").open("wb") as learnt_file:
        for number, (ids, learnt) in enumerate(rendered):
            if not any(learnt[1:row_tokens]):  # the first id of a row is no target
                left_out += 1
                continue
            cropped += len(ids) > row_tokens
            np.asarray(ids[:row_tokens], np.int32).tofile(ids_file)
            np.asarray(learnt[:row_tokens], np.uint8).tofile(learnt_file)
            ends.append(ends[-1] + min(len(ids), row_tokens))
            numbers.append(number)
    if len(ends) == 1:
        message = (
            f"of {left_out:,} conversations, none has anything to learn within {row_tokens - 1:,} tokens"
        )
        raise Fault(message, "raise `length`, or look at the data")
    np.asarray(ends[1:], np.int64).tofile(folder / "ends.i64")
    np.asarray(numbers, np.int64).tofile(folder / NUMBERS)
    facts = {"row_tokens": row_tokens, "cropped": cropped, "left_out": left_out}
    write_bytes(folder / FACTS, json.dumps(facts).encode())
    return read_conversations(folder)


def read_conversations(folder: Path) -> Conversations:
    """Open what `write_conversations` left; the ids stay on disk."""
    facts = json.loads((folder / FACTS).read_text())
    return Conversations(
        np.memmap(folder / "ids.i32", np.int32, "r"),
        np.memmap(folder / "learnt.u8", np.uint8, "r"),
        np.fromfile(folder / "ends.i64", np.int64),
        np.fromfile(folder / NUMBERS, np.int64),
        facts["cropped"],
        facts["left_out"],
    )


def is_written(folder: Path, *, row_tokens: int) -> bool:
    """Whether the folder holds conversations cut to rows of this size, all of them."""
    path = folder / FACTS
    whole = path.is_file() and (folder / NUMBERS).is_file()
    return whole and json.loads(path.read_text())["row_tokens"] == row_tokens


@define(eq=False)
class ConversationLoader:
    """Batches without end: rows in a new order every epoch, each row whole conversations side by side."""

    conversations: Conversations
    rows: int  # of a batch
    length: int
    bos: int
    seed: int
    place: int = 0  # rows handed out, over all epochs
    name: Callable[[int], str] = "conversation {:,}".format  # of a rendered conversation, by its number
    _plan: list[list[int]] = field(init=False)
    _orders: dict[int, list[int]] = field(factory=dict, init=False)
    _chosen: list[list[int]] = field(factory=list, init=False)  # the conversations of the last batch, by row

    def __attrs_post_init__(self) -> None:
        self._plan = fit_whole(self.conversations.lengths, self.length + 1, buffer=BUFFER)

    @property
    def epoch_rows(self) -> int:
        return len(self._plan)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        self._chosen = [self._row(self.place + n) for n in range(self.rows)]
        self.place += self.rows
        return self._batch(self._chosen)

    def sources(self) -> list[list[int]]:
        """Which conversations stand in each row of the last batch."""
        return self._chosen

    def names(self, sources: Sequence[int]) -> list[str]:
        """The same in words."""
        return [self.name(int(self.conversations.numbers[index])) for index in sources]

    def once(self, rows: int | None = None) -> Iterator[Batch]:
        """All rows of one epoch as they were planned, for measuring, so many at once; the last batch may have fewer."""
        rows = rows or self.rows
        for start in range(0, self.epoch_rows, rows):
            yield self._batch(self._plan[start : start + rows])

    def _row(self, place: int) -> list[int]:
        epoch, number = divmod(place, self.epoch_rows)
        if epoch not in self._orders:
            order = list(range(self.epoch_rows))
            random.Random(seed_of(self.seed, "rows", epoch)).shuffle(order)
            self._orders = {epoch: order} | {e: o for e, o in self._orders.items() if e == epoch - 1}
        return self._plan[self._orders[epoch][number]]

    def _batch(self, rows: Sequence[Sequence[int]]) -> Batch:
        inputs_RT = torch.full((len(rows), self.length), self.bos, dtype=torch.int64)
        targets_RT = torch.full((len(rows), self.length), IGNORED, dtype=torch.int64)
        for row, members in enumerate(rows):
            pairs = [self.conversations[index] for index in members]
            ids = torch.from_numpy(np.concatenate([p[0] for p in pairs]).astype(np.int64))
            learnt = torch.from_numpy(np.concatenate([p[1] for p in pairs]).astype(bool))
            inputs_RT[row, : len(ids[: self.length])] = ids[: self.length]
            targets_RT[row, : len(ids) - 1] = torch.where(learnt[1:], ids[1:], IGNORED)
        return inputs_RT, targets_RT

    def state(self) -> dict[str, np.ndarray]:
        return self.told()()

    def told(self) -> Callable[[], dict[str, np.ndarray]]:
        """The state as it is now, for whoever may ask for it later."""
        place = np.array([self.place], dtype=np.int64)
        return lambda: {"place": place}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.place = int(state["place"][0])
