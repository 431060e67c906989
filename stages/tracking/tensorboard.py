"""A log as TensorBoard reads it: one event file a stage, written here, so that no package is needed to make it.

The file is a row of records, each an `Event` of TensorBoard's protocol buffers between its length and its checksums. It
holds what `tracking.json` says and no byte more: what a kill left beyond that is cut off before it is written again.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from attrs import define, field

from stages.tracking.ledger import Mark
from stages.tracking.sink import Line, Stage

FOLDER = "tensorboard"
FILE = "events.out.tfevents.0000000000.nanogen"
VERSION = b"brain.Event:2"
POLYNOMIAL = 0x82F63B78  # of CRC-32C, its bits reversed
MASK = 0xA282EAD8  # what record files add to a checksum


@define
class TensorBoard:
    """Folders of event files, one a stage."""

    run: Path
    offline: bool  # is all the same to a file
    opened: bool = field(default=False, init=False)

    def new_id(self) -> str:
        return FILE

    def about(self) -> str:
        return f"`tensorboard --logdir {self.run / '.tracking' / FOLDER}` shows it" if self.opened else ""

    def open(self, stage: Stage, mark: Mark) -> EventFile:
        folder = self.run / ".tracking" / FOLDER / mark.name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / mark.id
        size = path.stat().st_size if path.exists() else 0
        if size < mark.bytes:  # someone removed it, or wrote it anew: all is sent again
            mark.lines = mark.bytes = 0
        with path.open("ab") as file:
            file.truncate(mark.bytes)
        self.opened = True
        return EventFile(path, mark)


@define
class EventFile:
    """The event file of a stage, appended to."""

    path: Path
    mark: Mark

    def send(self, lines: Sequence[Line]) -> None:
        records = [record(event(line)) for line in lines]
        if self.mark.bytes == 0 and lines:
            records.insert(0, record(_double(1, lines[0].at) + _text(3, VERSION)))
        content = b"".join(records)
        with self.path.open("ab") as file:
            file.write(content)
        self.mark.bytes += len(content)

    def close(self) -> None:
        pass


def event(line: Line) -> bytes:
    """`Event`: when it was (1), the step (2), and a summary (5) of values (1), each a tag (1) and a float (2)."""
    values = [
        _text(1, _text(1, tag.encode()) + _tag(2, 5) + struct.pack("<f", value))
        for tag, value in line.figures.items()
    ]
    return _double(1, line.at) + _tag(2, 0) + _varint(line.step) + _text(5, b"".join(values))


def record(data: bytes) -> bytes:
    """A record: its length, the length's checksum, its bytes, and theirs."""
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def crc32c(data: bytes) -> int:
    table, value = _table(), 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    found = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (POLYNOMIAL if byte & 1 else 0)
        found.append(byte)
    return tuple(found)


def _masked(data: bytes) -> bytes:
    value = crc32c(data)
    return struct.pack("<I", ((value >> 15 | value << 17) + MASK) & 0xFFFFFFFF)


def _tag(number: int, kind: int) -> bytes:
    return bytes([number << 3 | kind])


def _double(number: int, value: float) -> bytes:
    return _tag(number, 1) + struct.pack("<d", value)


def _text(number: int, value: bytes) -> bytes:
    return _tag(number, 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
