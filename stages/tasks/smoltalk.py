"""SmolTalk: synthetic conversations, in English and, as a set of its own, in Japanese.

A row: {"messages": [{"role": "user", "content": "Name a colour."}, {"role": "assistant", "content": "Blue."}],
"source": "smol-magpie"}
"""

from __future__ import annotations

from stages.data.place import DataPlace, find_rows
from stages.tasks.conversations import Conversations

MIXED = {"smoltalk": True, "smoltalk_jp": False}  # the Japanese rows are taken as they stand


def make(name: str, split: str, place: DataPlace, *, path: str | None = None) -> Conversations:
    rows = find_rows(name, subset="default", split=split, place=place, path=path)
    return Conversations(rows, name, mixed=MIXED[name])
