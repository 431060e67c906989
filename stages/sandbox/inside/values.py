"""Plain values of Python as JSON, and back: what crosses between a judge and a candidate that it does not trust.

Whatever comes out of `decode` is built here out of exact built-in types, so nothing of the sender's code (an `__eq__`
that says yes to everything, say) comes with it. A container is a list that opens with its tag.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {"l": list, "t": tuple, "s": set, "f": frozenset}
TAGS = ((list, "l"), (tuple, "t"), (set, "s"), (frozenset, "f"))
WIDE = 1 << 63  # integers beyond are hexadecimal: Python limits how long a decimal it reads


class NotPlain(Exception):
    """A value that has no plain form."""


def encode(value: Any) -> Any:
    """The plain form of a value; one of a subclass takes the form of the built-in type below it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        plain = int(value)
        return plain if -WIDE < plain < WIDE else ["i", hex(plain)]
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return "".join(value) if type(value) is not str else value
    if isinstance(value, complex):
        return ["c", value.real, value.imag]
    if isinstance(value, bytes | bytearray):
        return ["b", bytes(value).hex()]
    if isinstance(value, dict):
        return ["d", *(encode(part) for pair in value.items() for part in pair)]
    for kind, tag in TAGS:
        if isinstance(value, kind):
            return [tag, *map(encode, value)]
    raise NotPlain(type(value).__name__)


def decode(plain: Any) -> Any:
    """The value of a plain form; a form that `encode` cannot have made is a `ValueError` or a `TypeError`."""
    if not isinstance(plain, list):
        if isinstance(plain, dict):
            raise ValueError("a JSON object")
        return plain
    tag, *parts = plain
    if tag == "i" or tag == "b":
        (text,) = parts
        return int(text, 16) if tag == "i" else bytes.fromhex(text)
    if tag == "c":
        real, imaginary = parts
        return complex(real, imaginary)
    values = [decode(part) for part in parts]
    if tag == "d":
        return dict(zip(values[::2], values[1::2], strict=True))
    if tag not in CONTAINERS:
        raise ValueError(f"no tag {tag!r}")
    return CONTAINERS[tag](values)


def to_bytes(message: Any) -> bytes:
    return json.dumps(message).encode("ascii")


def from_bytes(raw: bytes) -> Any:
    return json.loads(raw.decode("ascii"))
