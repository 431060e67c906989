"""Tell a pickle by its bytes, and refuse it. A pickle runs what it likes as it is read, so none is ever opened here.

The one way in is `nanogen import`, whose child process reads tensors and nothing else (`runtime/unpickling.py`).
"""

from __future__ import annotations

import re
from pathlib import Path

from runtime.faults import Fault

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")
_HEAD = 512  # bytes that are looked at: a tar says what it is at 257
_TAR = slice(257, 262)
# how a pickle of protocol 0 or 1 begins: a name to call, or a mark before what it is called with
_TEXT = re.compile(rb"\(?c[\w.]+\r?\n[\w.]+\r?\n|\(i[\w.]+\r?\n|\([dl]?p\d+\r?\n|\([dl]q\x00")


def pickle_kind(path: Path) -> str | None:
    """What kind of pickle a file is, in words; None where it is none, or cannot be read."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEAD)
            file.seek(max(size - 1, 0))
            return kind_of_bytes(head, size, file.read(1))
    except OSError:
        return None


def kind_of_bytes(head: bytes, size: int, last: bytes) -> str | None:
    """The same, of the first bytes and the last one of a file of this size."""
    if is_safetensors(head, size):
        return None
    if head[:4] == b"PK\x03\x04":
        return "a zip archive, as `torch.save` writes one around a pickle"
    if head[_TAR] == b"ustar":
        return "a tar archive, as `torch.save` wrote one around pickles before 2017"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return f"a pickle of protocol {head[1]}"
    # a list of words may begin as one does, but ends otherwise
    return "a pickle of protocol 0" if _TEXT.match(head) and last == b"." else None


def is_safetensors(head: bytes, size: int) -> bool:
    """Whether a file begins as safetensors does; a length of 640 reads as a pickle's mark otherwise."""
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and head[8:9] == b"{" and 2 <= length <= size - 8


def refuse_pickle(path: Path, wanted: str) -> None:
    """Raise Fault where a file is a pickle; `wanted` is what it should be, as `a .safetensors file`."""
    if (kind := pickle_kind(path)) is not None:
        raise a_pickle(path, kind, wanted)


def a_pickle(path: Path, kind: str, wanted: str) -> Fault:
    message = (
        f"`{path}` is {kind}, where {wanted} belongs: a pickle can run code as it is read, and is not opened"
    )
    help = "restore the file; a published checkpoint comes in by `nanogen import SPEC FILE`, which reads tensors alone"
    return Fault(message, help)
