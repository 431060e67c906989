"""Published encodings by tiktoken's names: out of its cache, with the hashes that it knows; over the network if allowed.

Knows nothing of runs, nor of what encodings are used for.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from runtime.faults import Fault

if TYPE_CHECKING:
    import tiktoken

FOLDERS = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")  # where tiktoken looks, the first that is set
CACHE = "data-gym-cache"  # and in the system's temporary folder, where neither is
LONGEST = 120  # characters of another's message


def known() -> list[str]:
    """The names of the encodings."""
    return list(_makers())


def load(name: str, *, download: bool) -> tiktoken.Encoding:
    """The encoding of a known name; raises Fault where its files are not here, altered, or cannot be fetched."""
    import tiktoken

    if not download:
        return tiktoken.Encoding(**_out_of_cache(name))
    try:
        return tiktoken.Encoding(**_makers()[name]())
    except (
        OSError,
        ValueError,
    ) as error:  # `requests` raises the one, and tiktoken the other for a wrong hash
        raise Fault(f"its files could not be fetched: {shorten(str(error), LONGEST)}") from None


def out_of_reach(names: Iterable[str]) -> list[str]:
    """Those of the encodings whose files are not here."""
    return [name for name in names if not _is_here(name)]


def _is_here(name: str) -> bool:
    try:
        _out_of_cache(name)
    except Fault:
        return False
    return True


def _makers() -> dict[str, Callable[[], dict[str, Any]]]:
    """tiktoken's own alone: what a plugin of it fetches, and how, nobody here can know."""
    from tiktoken_ext import openai_public

    return openai_public.ENCODING_CONSTRUCTORS


def _out_of_cache(name: str) -> dict[str, Any]:
    with _nothing_fetched():
        return _makers()[name]()


@contextmanager
def _nothing_fetched() -> Iterator[None]:
    """tiktoken has no way to be told so: its two readers of files are replaced for a while.

    Its own deletes what does not match its hash, too, and then fetches.
    """
    import tiktoken.load

    module: Any = tiktoken.load
    readers = {name: getattr(module, name) for name in ("read_file", "read_file_cached")}
    for name in readers:
        setattr(module, name, _cached)
    try:
        yield
    finally:
        for name, reader in readers.items():
            setattr(module, name, reader)


def _cached(url: str, expected_hash: str | None = None) -> bytes:
    """A file of tiktoken's cache; raises Fault where it is not there, or not what tiktoken knows."""
    name, folder = url.rsplit("/", 1)[-1], _folder()
    try:
        content = (folder / hashlib.sha1(url.encode()).hexdigest()).read_bytes() if folder else None
    except OSError:
        content = None
    if content is None:
        raise Fault(f"`{name}` is not in tiktoken's cache; `download = true` fetches it")
    found = hashlib.sha256(content).hexdigest()
    if expected_hash is not None and found != expected_hash:
        raise Fault(f"`{name}` in tiktoken's cache is {found[:12]}, and tiktoken knows {expected_hash[:12]}")
    return content


def _folder() -> Path | None:
    """The cache's folder; None where an empty variable turns it off."""
    said = next((os.environ[name] for name in FOLDERS if name in os.environ), None)
    if said is None:
        return Path(tempfile.gettempdir()) / CACHE
    return Path(said) if said else None
