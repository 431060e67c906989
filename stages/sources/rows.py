"""Documents out of tables, one a row: `.jsonl` and `.parquet` files. Knows nothing of what the text says."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from runtime.faults import Fault
from stages.sources.files import find_files
from stages.sources.unique import unique

ROWS_AT_ONCE = 256


def documents(paths: Iterable[Path], *, column: str = "text") -> Iterator[str]:
    """The column of each row of the files, and of the files of these kinds in the folders."""
    return unique(_texts(find_files(paths, tuple(READERS)), column))


def _texts(files: list[Path], column: str) -> Iterator[str]:
    for path in files:
        for row, value in READERS[path.suffix](path, column):
            if not isinstance(value, str):
                raise Fault(f"row {row} of `{path}` holds {_kind(value)} in `{column}`, expected text")
            yield value


def _read_jsonl(path: Path, column: str) -> Iterator[tuple[int, Any]]:
    """Rows are counted from 1, as editors count lines; blank lines are no rows but count."""
    with path.open("rb") as lines:
        for row, line in enumerate(lines, 1):
            if not line.isspace():
                yield row, _value(line, column, f"row {row} of `{path}`")


def _value(line: bytes, column: str, place: str) -> Any:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):  # among the first, bytes that are no UTF-8
        raise Fault(f"{place} is not JSON", "each line is one JSON object") from None
    if not isinstance(content, dict):
        raise Fault(f"{place} is {_kind(content)}, expected an object", "each line is one JSON object")
    if column not in content:
        raise _no_column(place, column, list(content))
    return content[column]


def _read_parquet(path: Path, column: str) -> Iterator[tuple[int, Any]]:
    """Rows are counted from 1, too."""
    try:
        with pq.ParquetFile(path) as file:
            if column not in file.schema_arrow.names:
                raise _no_column(f"`{path}`", column, file.schema_arrow.names)
            row = 0
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=[column]):
                for value in batch.column(0).to_pylist():
                    row += 1
                    yield row, value
    except (pa.ArrowInvalid, OSError):
        raise Fault(f"`{path}` is not a whole parquet file", "copy it again") from None


READERS = {".jsonl": _read_jsonl, ".parquet": _read_parquet}


def _no_column(place: str, column: str, columns: list[str]) -> Fault:
    there = ", ".join(f"`{name}`" for name in columns) or "none"
    return Fault(f"{place} has no column `{column}`", f"set `column` to one of its columns: {there}")


def _kind(value: Any) -> str:
    names = {type(None): "nothing", bool: "a truth value", dict: "an object", list: "a list", str: "text"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else "other data")
