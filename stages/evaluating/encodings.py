"""Published encodings by tiktoken's names: out of its cache or the folder of data, with the hashes that it knows.

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
from stages.data.needs import PublishedEncoding
from stages.data.place import HOW, DataPlace, data_folder

if TYPE_CHECKING:
    import tiktoken

FOLDERS = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")  # where tiktoken looks, the first that is set
LONGEST = 120  # characters of a reason
CACHE = "data-gym-cache"  # and in the system's temporary folder, where neither is
FOLDER = "tiktoken"  # of the folder of data, where they lie as in that cache


def known() -> list[str]:
    """The names of the encodings."""
    return list(_makers())


def load(name: str, *, download: bool) -> tiktoken.Encoding:
    """The encoding of a known name; raises Fault where its files are not here, altered, or cannot be fetched."""
    import tiktoken

    if DataPlace.here(download=download).download and not _is_here(name):
        _fetch(name)
    return tiktoken.Encoding(**_out_of_cache(name))


def _fetch(name: str) -> None:
    """What is measured on it can be left out, so a network that fails is not waited for long."""
    from stages.data.fetch import fetch
    from stages.data.web import Patience
    from stages.progress import Reporter

    try:
        fetch([PublishedEncoding(name)], data_folder(), Reporter(), patience=Patience(tries=3))
    except Fault as fault:
        raise Fault(f"its files could not be fetched: {shorten(fault.message, LONGEST)}") from None


def files(name: str) -> list[tuple[str, str | None]]:
    """The addresses of an encoding's files, with their hashes."""
    found: list[tuple[str, str | None]] = []

    def ranks(url: str, expected_hash: str | None = None) -> dict[bytes, int]:
        found.append((url, expected_hash))
        return {}

    def pairs(
        vocab_bpe_file: str,
        encoder_json_file: str,
        vocab_bpe_hash: str | None = None,
        encoder_json_hash: str | None = None,
        **others: Any,
    ) -> dict[bytes, int]:
        found.extend([(vocab_bpe_file, vocab_bpe_hash), (encoder_json_file, encoder_json_hash)])
        return {}

    with _instead({"load_tiktoken_bpe": ranks, "data_gym_to_mergeable_bpe_ranks": pairs}):
        _makers()[name]()
    return found


def find(url: str, known: str | None) -> Path | None:
    """Where a file lies that has the hash that tiktoken knows; None where it does not."""
    try:
        _cached(url, known)
    except Fault:
        return None
    return next(path for path in _places(url) if path.is_file())


def key(url: str) -> str:
    """How tiktoken calls a file in its cache."""
    return hashlib.sha1(url.encode()).hexdigest()


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
    with _instead({"read_file": _cached, "read_file_cached": _cached}):
        yield


@contextmanager
def _instead(others: dict[str, Callable[..., Any]]) -> Iterator[None]:
    """Replace functions of tiktoken for a while, wherever it keeps them."""
    import tiktoken.load
    from tiktoken_ext import openai_public

    kept = [(m, n, getattr(m, n)) for m in (tiktoken.load, openai_public) for n in others if hasattr(m, n)]
    for module, name, _ in kept:
        setattr(module, name, others[name])
    try:
        yield
    finally:
        for module, name, one in kept:
            setattr(module, name, one)


def _cached(url: str, expected_hash: str | None = None) -> bytes:
    """A file of a cache; raises Fault where it is not there, or not what tiktoken knows."""
    name = url.rsplit("/", 1)[-1]
    path = next((path for path in _places(url) if path.is_file()), None)
    if path is None:
        raise Fault(f"`{name}` is not in tiktoken's cache; {HOW}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if expected_hash is not None and found != expected_hash:
        raise Fault(f"`{name}` in tiktoken's cache is {found[:12]}, and tiktoken knows {expected_hash[:12]}")
    return content


def _places(url: str) -> list[Path]:
    """Where a file may lie: what was fetched, and tiktoken's own cache."""
    folders = [data_folder() / FOLDER, _folder()]
    return [folder / key(url) for folder in folders if folder is not None]


def _folder() -> Path | None:
    """The cache's folder; None where an empty variable turns it off."""
    said = next((os.environ[name] for name in FOLDERS if name in os.environ), None)
    if said is None:
        return Path(tempfile.gettempdir()) / CACHE
    return Path(said) if said else None
