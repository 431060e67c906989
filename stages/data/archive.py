"""Unpack an archive into a folder, whole or not at all; no path of it leads out. Knows nothing of what is in it."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from runtime.atomic import flush
from stages.data.transfer import Altered, Fact, hashes

Members = list[tuple[zipfile.ZipInfo, PurePosixPath]]


def check_archive(path: Path) -> None:
    """Read every byte of an archive; raises Altered where it is not whole, or would write elsewhere."""
    try:
        with zipfile.ZipFile(path) as archive:
            _members(archive)
            broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise Altered(f"it is no whole archive: {error}") from None
    if broken is not None:
        raise Altered(f"`{broken}` in it is broken")


def unpacked_bytes(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(member.file_size for member, _ in _members(archive))


def unpack(path: Path, folder: Path) -> dict[str, Fact]:
    """Put what a checked archive holds in place of the folder; returns each file's facts, by its name in there.

    An archive that holds one folder is unpacked from inside it.
    """
    part, old = (folder.with_name(f"{folder.name}.{word}") for word in ("partial", "replaced"))
    for left in (part, old):  # of a start that was cut off
        shutil.rmtree(left, ignore_errors=True)
    facts = {}
    with zipfile.ZipFile(path) as archive:
        for member, name in _members(archive):
            target = part / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            flush(target)
            found = hashes(target)
            facts[name.as_posix()] = Fact(found["size"], found["sha256"])
    if folder.exists():
        os.replace(folder, old)
    os.replace(part, folder)
    flush(folder.parent)
    shutil.rmtree(old, ignore_errors=True)
    return facts


def _members(archive: zipfile.ZipFile) -> Members:
    """The files of an archive and their places in its folder; raises Altered for one that is no plain file within."""
    found: Members = []
    for member in archive.infolist():
        name = PurePosixPath(member.filename.replace("\\", "/"))
        kind = stat.S_IFMT(member.external_attr >> 16)
        if name.is_absolute() or ".." in name.parts or ":" in member.filename or kind == stat.S_IFLNK:
            raise Altered(f"it would write outside its folder: `{member.filename}`")
        if not member.is_dir() and name.parts[0] != "__MACOSX":
            found.append((member, name))
    if not found:
        raise Altered("it holds no files")
    tops = {name.parts[0] for _, name in found}
    nested = len(tops) == 1 and all(len(name.parts) > 1 for _, name in found)
    return [(member, PurePosixPath(*name.parts[1:]) if nested else name) for member, name in found]
