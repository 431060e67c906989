"""Rows by number, out of parquet and JSON files; nothing is read before a row is asked for.

Memory stays flat: a large table is unpacked once into a file that the system maps and then forgets. Knows nothing
of what rows mean.
"""

from __future__ import annotations

import json
import tempfile
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from attrs import field, frozen

from runtime.faults import Fault

if TYPE_CHECKING:  # a run is looked at without it: it takes a tenth of a second to import
    import pyarrow as pa
    import pyarrow.parquet as pq

IN_MEMORY = 64 << 20  # bytes, unpacked; what is larger is unpacked on disk


class Table(Protocol):
    """Rows by number, and the files that they stand in."""

    @property
    def files(self) -> tuple[Path, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict[str, Any]: ...


def open_table(files: Sequence[Path], columns: Sequence[str]) -> Table:
    """The rows of the files, one after another; raises Fault where a file, a column or every row is missing."""
    assert files, "whoever found no files has said so"
    parquet = files[0].suffix == ".parquet"
    table: Table = (
        ParquetTable(tuple(files), tuple(columns)) if parquet else JsonTable(tuple(files), tuple(columns))
    )
    if len(table) == 0:
        raise Fault(f"`{files[0]}` holds no rows", "copy the file again")
    return table


@frozen(slots=False)
class ParquetTable:
    files: tuple[Path, ...]
    columns: tuple[str, ...]
    _sizes: list[int] = field(init=False, repr=False, eq=False)  # rows of each file

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_sizes", [self._rows_of(path) for path in self.files])

    def _rows_of(self, path: Path) -> int:
        with _parquet(path) as file:
            for column in self.columns:
                _check_column(column, file.schema_arrow.names, f"`{path}`")
            return file.metadata.num_rows

    def __len__(self) -> int:
        return sum(self._sizes)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        batches, ends = self._batches
        place = bisect_right(ends, index)
        row = index - (ends[place - 1] if place else 0)
        return batches[place].slice(row, 1).to_pylist()[0]

    @cached_property
    def _batches(self) -> tuple[list[pa.RecordBatch], list[int]]:
        batches = [batch for batch in self._unpacked() if batch.num_rows]
        return batches, list(accumulate(batch.num_rows for batch in batches))

    def _unpacked(self) -> list[pa.RecordBatch]:
        import pyarrow as pa

        size = sum(_unpacked_bytes(path) for path in self.files)
        if size <= IN_MEMORY:
            return [batch for path in self.files for batch in self._read(path)]
        with tempfile.NamedTemporaryFile(prefix="nanogen-rows-") as file:  # unlinked; the map keeps it alive
            with _parquet(self.files[0]) as first:
                schema = pa.schema([first.schema_arrow.field(column) for column in self.columns])
            with pa.ipc.new_file(file.name, schema) as writer:
                for path in self.files:
                    for batch in self._read(path):
                        writer.write_table(pa.Table.from_batches([batch]).cast(schema))
            reader = pa.ipc.open_file(pa.memory_map(file.name))
            return [reader.get_batch(n) for n in range(reader.num_record_batches)]

    def _read(self, path: Path) -> Any:
        import pyarrow as pa

        try:
            with _parquet(path) as file:
                yield from file.iter_batches(1024, columns=list(self.columns))
        except (pa.ArrowInvalid, OSError):
            raise Fault(f"`{path}` is not a whole parquet file", "copy it again") from None


def _parquet(path: Path) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError):
        raise Fault(f"`{path}` is not a whole parquet file", "copy it again") from None


def _unpacked_bytes(path: Path) -> int:
    with _parquet(path) as file:
        meta = file.metadata
        return sum(meta.row_group(n).total_byte_size for n in range(meta.num_row_groups))


@frozen(slots=False)
class JsonTable:
    """`.jsonl`, and `.json` with one value a line: where each line begins is noted, lines are read when asked for.

    A `.json` file may also be one list of values. A line that is a list of messages is a row with `messages`.
    """

    files: tuple[Path, ...]
    columns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        path, number, found = self._lines[index]
        if isinstance(found, tuple):
            with path.open("rb") as file:
                file.seek(found[0])
                found = _value(file.read(found[1]), f"line {number} of `{path}`")
        if isinstance(found, list):
            found = {"messages": found}
        if not isinstance(found, dict):
            raise Fault(f"line {number} of `{path}` is neither an object nor a list of messages")
        for column in self.columns:
            _check_column(column, list(found), f"line {number} of `{path}`")
        return found

    @cached_property
    def _lines(self) -> list[tuple[Path, int, Any]]:
        """The file, the number of the row in it, and (where it begins, how long it is), or the row itself."""
        found: list[tuple[Path, int, Any]] = []
        for path in self.files:
            whole = _whole(path)
            if whole is not None:
                found += [(path, number, row) for number, row in enumerate(whole, 1)]
                continue
            with path.open("rb") as file:
                start = 0
                for number, line in enumerate(file, 1):
                    if not line.isspace():
                        found.append((path, number, (start, len(line))))
                    start += len(line)
        return found


def _whole(path: Path) -> list[Any] | None:
    """The rows of a file that is one JSON list of them, over many lines or on one; None where lines are rows."""
    if path.suffix != ".json":
        return None
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list) and found and all(isinstance(row, dict) and "role" in row for row in found):
        return [found]  # the messages of one conversation
    return found if isinstance(found, list) else None


def _value(line: bytes, place: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise Fault(f"{place} is not JSON", "each line is one JSON value") from None


def _check_column(column: str, there: Sequence[str], place: str) -> None:
    if column not in there:
        listed = ", ".join(f"`{name}`" for name in there) or "none"
        raise Fault(f"{place} has no column `{column}`", f"it has {listed}")
