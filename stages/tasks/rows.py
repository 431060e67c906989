"""Tasks whose examples are rows of a table. Knows nothing of what the rows say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import field, frozen

from stages.data.table import Table
from stages.tasks.task import shuffled


@frozen
class RowTask:
    """Rows by number: in the order in which those of public data are taken, or as they stand."""

    rows: Table
    mixed: bool = field(default=True, kw_only=True)
    _order: Any = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        count = len(self.rows)
        object.__setattr__(self, "_order", shuffled(count) if self.mixed else range(count))

    @property
    def files(self) -> tuple[Path, ...]:
        return self.rows.files

    def __len__(self) -> int:
        return len(self.rows)

    def number(self, index: int) -> int:
        """Which row of the table an example is, from 0."""
        return int(self._order[index])

    def row(self, index: int) -> dict[str, Any]:
        return self.rows[self.number(index)]
