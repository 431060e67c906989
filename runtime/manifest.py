"""A folder's manifest: every file with its size and hash, written last. What does not match is refused.

It guards itself: the hash of all else that it says is in it, and its bytes are those that it would be written with.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from attrs import define

from runtime.atomic import write_bytes
from runtime.clock import PREFIX
from runtime.faults import Fault
from runtime.pickles import SUFFIXES, pickle_kind, refuse_pickle
from runtime.plain_json import parse_json

NAME = "manifest.json"
DIGEST = "digest"
FORMATS = {  # of stages' folders, trained models and saves; each is read for as long as it stands here
    1: "files with sizes and hashes, beside what the stage says of itself",
    2: "a hash of the manifest in it; a model has `origin.json`, its data and its ancestors",
}
FORMAT = max(FORMATS)
UNLISTED = ("work.json", "saves")  # what a stage at work keeps beside its result
AGAIN = "restore the file, or run the stage again"

_SETTLED = 2 * 10**9  # ns: a file that changed later than this may change again under the same time
_known: dict[tuple[str, int, int, int, int], str] = {}  # hashes of files that have not changed since


def write_manifest(folder: Path, facts: dict[str, Any], *, without: Collection[str] = ()) -> dict[str, Any]:
    """Describe all files of `folder` beside `facts`, save those of the names `without` at its top.

    Whoever finds the manifest finds the folder whole.
    """
    left_out = {NAME, *without}
    files = sorted(
        p for p in folder.rglob("*") if p.is_file() and p.relative_to(folder).parts[0] not in left_out
    )
    manifest = {
        "format": FORMAT,
        **{name: fact for name, fact in facts.items() if name not in ("format", "files", DIGEST)},
        "files": {
            p.relative_to(folder).as_posix(): {"bytes": p.stat().st_size, "sha256": known_digest(p)}
            for p in files
        },
    }
    manifest[DIGEST] = _own_digest(manifest)
    write_bytes(folder / NAME, to_json(manifest))
    return manifest


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a folder, or None where there is none that can be read, or a damaged one.

    Raises Fault where a newer nanogen wrote it: what it says is not damage, and not to be done again.
    """
    try:
        return whole_manifest(folder)
    except Newer:
        raise
    except Fault:
        return None


def whole_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder; raises Fault that says what is wrong with it."""
    path = folder / NAME
    try:
        content = path.read_bytes()
    except OSError:
        raise Fault(f"`{folder}` has no manifest that can be read", "run the stage that fills it") from None
    refuse_pickle(path, "a JSON file")
    found = parse_json(content, f"`{path}`", AGAIN)
    if not isinstance(found, dict) or type(found.get("format")) is not int:
        raise Fault(f"`{path}` is not a manifest: it has no `format`", AGAIN)
    if found["format"] > FORMAT:
        message = f"`{folder}` was written by a newer nanogen: format {found['format']}; this one reads up to {FORMAT}"
        raise Newer(message, "read it with the nanogen that wrote it, or a newer one")
    if found["format"] not in FORMATS or not _listed(found):
        raise Fault(f"`{path}` is not a manifest of any format up to {FORMAT}", AGAIN)
    if found["format"] > 1 or DIGEST in found:
        _check_own(path, found, content)
    return found


class Newer(Fault):
    """What a later version wrote."""


def _check_own(path: Path, manifest: dict[str, Any], content: bytes) -> None:
    wanted, found = manifest.get(DIGEST), _own_digest(manifest)
    if wanted != found:
        recorded = wanted[:12] if isinstance(wanted, str) else "nothing"
        message = f"`{path}` is not as it was written: it is {found[:12]}, and says {recorded}"
        raise Fault(message, AGAIN)
    if content != to_json(manifest):
        raise Fault(
            f"`{path}` is not as it was written: {_digest_of(content)[:12]} found, "
            f"{_digest_of(to_json(manifest))[:12]} written",
            AGAIN,
        )


def _own_digest(manifest: dict[str, Any]) -> str:
    return _digest_of(to_json({name: fact for name, fact in manifest.items() if name != DIGEST}))


def _digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _listed(manifest: dict[str, Any]) -> bool:
    """Whether its files stand there as they are written: below the folder, each with a size and a hash."""
    files = manifest.get("files")
    return isinstance(files, dict) and all(
        isinstance(fact, dict) and isinstance(fact.get("sha256"), str) and type(fact.get("bytes")) is int
        for fact in files.values()
    ) and all(_below(name) for name in files)  # fmt: skip


def _below(name: str) -> bool:
    return bool(name) and "\\" not in name and not set(name.split("/")) & {"", ".", ".."}


# -- files against it


@define
class Checking:
    """Who is told while files are checked: of bytes done, and of files that nobody listed."""

    progress: Callable[[int], None] = lambda _: None  # bytes, over all files
    tell: Callable[[str], None] = lambda _: None


def check_files(folder: Path, manifest: dict[str, Any], who: Checking | None = None) -> None:
    """Hold every file against the manifest; raises Fault that names the first that differs, with both hashes.

    A pickle is refused wherever it stands, listed or not; of other files that are not listed, `who` is told.
    """
    who = who or Checking()
    done = 0
    for name, fact in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise Fault(f"`{path}` is missing, and its manifest lists it", "run the stage again")
        refuse_pickle(path, f"`{Path(name).name}` as it was written")
        found = known_digest(path, lambda count, before=done: who.progress(before + count))
        done += fact["bytes"]
        who.progress(done)
        if found != fact["sha256"]:
            message = f"`{path}` is not the file of its manifest: {found[:12]} found, {fact['sha256'][:12]} recorded"
            raise Fault(message, AGAIN)
    for path in unlisted(folder, manifest):
        if path.suffix in SUFFIXES or pickle_kind(path) is not None:
            message = (
                f"`{path}` is not listed in the manifest, and is a pickle: it is none of this folder's files"
            )
            raise Fault(message, "move it elsewhere; only .safetensors and .json belong there")
        who.tell(f"`{path}` is not listed in the manifest, and is not read")


def unlisted(folder: Path, manifest: dict[str, Any]) -> list[Path]:
    """Files of a folder that its manifest does not list."""
    known = manifest["files"].keys() | {NAME}
    inside = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return [
        p
        for p in inside
        if p.relative_to(folder).as_posix() not in known and p.relative_to(folder).parts[0] not in UNLISTED
    ]


def known_digest(path: Path, progress: Callable[[int], None] = lambda _: None) -> str:
    """The hash of a file; of one that has not changed since it was last asked for, without reading it."""
    key = _state(path)
    if (known := _known.get(key)) is not None:
        return known
    settled = (
        time.time_ns() - max(key[2], key[3]) > _SETTLED
    )  # else it may change within one tick of the clock
    found = digest(path, progress)
    if settled and _state(path) == key:
        _known[key] = found
    return found


def _state(path: Path) -> tuple[str, int, int, int, int]:
    facts = path.stat()
    return str(path.resolve()), facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino


def digest(path: Path, progress: Callable[[int], None] = lambda _: None) -> str:
    found, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(1 << 24):
            found.update(piece)
            done += len(piece)
            progress(done)
    return found.hexdigest()


def to_json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def content(folder: Path) -> str | None:
    """One hash of all that a folder's manifest lists, save what clocks measured; None where it has none."""
    manifest = read_manifest(folder)
    return None if manifest is None else content_of(manifest)


def content_of(manifest: dict[str, Any]) -> str:
    """One hash of all that a manifest lists, save what clocks measured."""
    files = manifest["files"].items()
    listed = sorted((name, fact["sha256"]) for name, fact in files if not name.startswith(PREFIX))
    return _digest_of(json.dumps(listed).encode())
