"""Stand-ins: the made-up examples of every data file that ships, as files like those of the real data.

A rehearsal reads them where the real data is not at hand, through the same code. Knows nothing of runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import attrs

from nanogen.data import DataSet, data_set
from nanogen.shelf import shipped

VERSION = 1  # of what is made of the same examples
ROWS = 64  # of a split: its examples, again and again
DOCUMENTS, SENTENCES = 400, (3, 12)  # of a shard, and of a document


def folder_of(stand_ins: Path, name: str) -> Path:
    """Where the stand-ins of a data set lie."""
    return stand_ins / f"made_up_{name}"


@cache
def _data_sets() -> dict[str, DataSet]:
    found = {name: data_set(name) for name in shipped("data")}
    return {name: data for name, data in found.items() if data.example}


def write_stand_ins(top: Path) -> Path:
    """Write the stand-ins below `top`, where they are not there yet; returns their folder."""
    facts = json.dumps([VERSION, *map(attrs.asdict, _data_sets().values())], sort_keys=True)
    folder = top / hashlib.sha256(facts.encode()).hexdigest()[:12]
    if folder.is_dir():
        return folder
    part = folder.with_suffix(f".{os.getpid()}")
    for name, data in _data_sets().items():
        _write(data, folder_of(part, name))
    try:
        os.replace(part, folder)
    except OSError:  # somebody else was first
        shutil.rmtree(part)
    return folder


def _write(data: DataSet, folder: Path) -> None:
    if data.format == "folder":
        for row in data.example:
            _place(folder / row["file"]).write_text(row["text"], encoding="utf-8")
    elif data.split:
        for split in data.split:
            if split.file is None:
                _parquet(folder / split.subset / split.name / "00000.parquet", _rows(data, ROWS))
            else:
                lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in _rows(data, ROWS))
                _place(folder / split.file).write_text("".join(lines), encoding="utf-8")
    else:
        for name in (data.all_files[0], data.validation):
            assert name is not None, "a corpus names the shard that it validates on"
            _parquet(folder / name, _documents(data, name))


def _rows(data: DataSet, count: int) -> Iterator[dict[str, Any]]:
    return islice(cycle(data.example), count)


def _documents(data: DataSet, shard: str) -> Iterator[dict[str, str]]:
    """Texts of sentences that are drawn from all the examples."""
    sentences = [s for row in data.example for s in re.findall(r".+?(?:\. |。|$)", row["text"])]
    rng = random.Random(shard)
    for _ in range(DOCUMENTS):
        yield {"text": "".join(rng.choices(sentences, k=rng.randint(*SENTENCES))).strip()}


def _parquet(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(list(rows)), _place(path), row_group_size=ROWS)


def _place(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
