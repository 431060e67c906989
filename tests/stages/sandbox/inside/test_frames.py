"""Messages come whole, however a pipe cuts them."""

import os

import pytest

from stages.sandbox.inside import frames


def test_messages_come_in_order_and_whole():
    reading, writing = os.pipe()
    for raw in (b"", b"one", b"x" * 3000):
        frames.send(writing, raw)
    os.close(writing)
    assert [frames.take(reading) for _ in range(3)] == [b"", b"one", b"x" * 3000]
    with pytest.raises(EOFError):
        frames.take(reading)
    os.close(reading)


def test_a_message_is_split_off_once_it_is_whole():
    raw = bytearray()
    found = []
    for byte in frames.HEAD.pack(3) + b"one" + frames.HEAD.pack(0) + frames.HEAD.pack(9):
        raw.append(byte)
        length, whole = frames.split(raw)
        found += [whole] if whole is not None else []
    assert found == [b"one", b""]
    assert length == 9
