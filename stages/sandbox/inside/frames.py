"""Send and take whole messages through pipes: four bytes of length, then as many bytes. Knows nothing of what they say."""

from __future__ import annotations

import os
import struct

HEAD = struct.Struct("<I")


def send(descriptor: int, raw: bytes) -> None:
    left = memoryview(HEAD.pack(len(raw)) + raw)
    while left:
        left = left[os.write(descriptor, left) :]


def take(descriptor: int) -> bytes:
    """The next message; `EOFError` where the other side is gone."""
    (length,) = HEAD.unpack(exactly(descriptor, HEAD.size))
    return exactly(descriptor, length)


def exactly(descriptor: int, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = os.read(descriptor, min(count - len(parts), 1 << 16))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def split(raw: bytearray) -> tuple[int, bytes | None]:
    """How long the first message of some bytes is said to be (0 while nobody can tell), and the message if it is whole."""
    if len(raw) < HEAD.size:
        return 0, None
    (length,) = HEAD.unpack_from(raw)
    end = HEAD.size + length
    if len(raw) < end:
        return length, None
    whole = bytes(raw[HEAD.size : end])
    del raw[:end]
    return length, whole
