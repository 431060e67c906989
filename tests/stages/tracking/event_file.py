"""Read an event file, in another way than it is written: what TensorBoard's reader would find."""

import struct
from pathlib import Path


def read_events(path: Path) -> list[dict]:
    """Every event; fails where a checksum does not hold."""
    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        body = data[at + 12 : at + 12 + size]
        for part, place in ((data[at : at + 8], at + 8), (body, at + 12 + size)):
            assert struct.unpack_from("<I", data, place)[0] == mask(bitwise(part))
        at += 16 + size
        fields = parse(body)
        values = [parse(v) for summary in fields.get(5, []) for v in parse(summary).get(1, [])]
        found.append(
            {
                "at": struct.unpack("<d", fields[1][0])[0],
                "step": fields.get(2, [None])[0],
                "version": fields.get(3, [b""])[0],
                "values": {v[1][0].decode(): struct.unpack("<f", v[2][0])[0] for v in values},
            }
        )
    return found


def points(path: Path) -> list[tuple[int, str, float]]:
    return [
        (e["step"], tag, round(value, 5)) for e in read_events(path) for tag, value in e["values"].items()
    ]


def parse(message: bytes) -> dict[int, list]:
    """The fields of a protocol buffer by their numbers."""
    found: dict[int, list] = {}
    at = 0
    while at < len(message):
        tag, at = number(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = number(message, at)
        elif kind == 2:
            size, at = number(message, at)
            value, at = message[at : at + size], at + size
        else:
            size = {1: 8, 5: 4}[kind]
            value, at = message[at : at + size], at + size
        found.setdefault(tag >> 3, []).append(value)
    return found


def number(message: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = message[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return value, at


def bitwise(data: bytes) -> int:
    """CRC-32C, a bit at a time."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def mask(value: int) -> int:
    return ((value >> 15 | value << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF
