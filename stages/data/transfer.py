"""One file from an address to its name: resumed, asked for again, verified, and under its name only when it is whole.

Knows nothing of data sets, nor of who asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

from attrs import evolve, frozen

from runtime.atomic import publish, temporary
from runtime.faults import Fault
from stages.data.web import Hiccup, Patience, Refused, ask, md5_of, reason

CHUNK = 1 << 18  # bytes read at once
LOT = 1 << 20  # bytes: an attempt that brought as much was no failure, however it ended


@frozen
class Wanted:
    """A file at an address, and what is known of its content."""

    url: str
    size: int | None = None
    sha256: str | None = None
    blob: str | None = None  # git's SHA-1 of it
    md5: str | None = None

    @property
    def hashed(self) -> bool:
        return any((self.sha256, self.blob, self.md5))


@frozen
class Fact:
    """A file that came whole."""

    size: int
    sha256: str


class Altered(Hiccup):
    """What came is not the content that is known."""


class Stopped(Exception):
    """Whoever asked has gone."""


def transfer(
    wanted: Wanted,
    path: Path,
    *,
    patience: Patience,
    advance: Callable[[int], None],
    stop: Event,
    record: Callable[[Fact], None] = lambda fact: None,
    check: Callable[[Path], None] = lambda part: None,
) -> Fact:
    """Get the file; raises Fault with the reason once patience has run out.

    `check` may refuse what came; `record` hears of it before it has its name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part, failures = temporary(path), 0
    while True:
        before = size_of(part)
        try:
            md5 = _pull(wanted, part, advance, stop)
            fact = _verified(wanted if wanted.hashed else evolve(wanted, md5=md5), part, advance, check)
            record(fact)
            publish(path)
            _etag(part).unlink(missing_ok=True)
            return fact
        except Refused as refused:
            if refused.status != 416 or not before:
                raise Fault(str(refused)) from None
            _discard(part, advance)  # it is no part of what the server has
            hiccup: Hiccup = Altered(str(refused))
        except Hiccup as error:
            hiccup = error
        failures = 1 if size_of(part) - before >= LOT else failures + 1
        if failures >= patience.tries:
            raise hiccup if isinstance(hiccup, Altered) else Fault(f"{hiccup}, {failures} times")
        patience.pause(failures, hiccup.after)
        if stop.is_set():
            raise Stopped


def size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _pull(wanted: Wanted, part: Path, advance: Callable[[int], None], stop: Event) -> str | None:
    """Get what is missing of the part; returns its MD5, where the server tells it."""
    from http.client import HTTPException

    start = size_of(part)
    if start and not _resumable(wanted, part, start):
        start = _discard(part, advance)
    if start and start == wanted.size:
        return None
    with ask(wanted.url, _headers(wanted, part, start)) as answer:
        if start and answer.status != 206:  # the whole of it, though a part was asked for
            start = _discard(part, advance)
        elif start and not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise Hiccup("the server sends another part than was asked for")
        if not wanted.hashed:
            _etag(part).write_text(answer.headers.get("ETag", ""))
        md5 = md5_of(answer.headers)
        expected, came = answer.headers.get("Content-Length"), 0
        with part.open("ab") as file:
            try:
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    came += len(chunk)
                    advance(len(chunk))
                    if stop.is_set():
                        raise Stopped
            except (HTTPException, TimeoutError, ConnectionError) as error:
                raise Hiccup(reason(error)) from None
    if expected is not None and came != int(expected):
        raise Hiccup(f"the connection ended after {came:,} of {int(expected):,} bytes")
    return md5


def _resumable(wanted: Wanted, part: Path, start: int) -> bool:
    """Whether what is here can be the start of the file: a hash will tell, or the server's own word for its version."""
    if wanted.size is not None and start > wanted.size:
        return False
    return wanted.hashed or _strong(_tag(part))


def _headers(wanted: Wanted, part: Path, start: int) -> dict[str, str]:
    if not start:
        return {}
    asked = {"Range": f"bytes={start}-"}
    return asked if wanted.hashed else {**asked, "If-Range": _tag(part)}


def _tag(part: Path) -> str:
    return _etag(part).read_text() if _etag(part).is_file() else ""


def _strong(tag: str) -> bool:
    return tag.startswith('"')


def _etag(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _discard(part: Path, advance: Callable[[int], None]) -> int:
    advance(-size_of(part))
    part.unlink(missing_ok=True)
    return 0


def _verified(
    wanted: Wanted, part: Path, advance: Callable[[int], None], check: Callable[[Path], None]
) -> Fact:
    """The file's size and hash; raises Altered where it is short, or another: that is thrown away."""
    size = size_of(part)
    if wanted.size is not None and size < wanted.size:
        raise Altered(f"{size:,} of {wanted.size:,} bytes came")
    found = hashes(part)
    known = {"size": wanted.size, "sha256": wanted.sha256, "blob": wanted.blob, "md5": wanted.md5}
    for name, value in known.items():
        if value is not None and value != found[name]:
            _discard(part, advance)
            raise Altered(
                f"its content is wrong: {name} {_short(found[name])} came, {_short(value)} is known"
            )
    try:
        check(part)
    except Altered:
        _discard(part, advance)
        raise
    return Fact(size, found["sha256"])


def _short(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else value[:12]


def hashes(path: Path) -> dict[str, Any]:
    """Size, SHA-256, git's hash and MD5 of a file."""
    size = path.stat().st_size
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            for one in (sha256, md5, blob):
                one.update(chunk)
    return {"size": size, "sha256": sha256.hexdigest(), "blob": blob.hexdigest(), "md5": md5.hexdigest()}
