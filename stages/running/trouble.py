"""Errors of the machine that a user can put right, as one message: a full disk, a folder that is read only, no memory."""

from __future__ import annotations

import errno
import re
import shutil
from pathlib import Path

from nanogen.views.figures import bytes_text
from runtime.faults import Fault, is_out_of_memory

_SYSTEM = re.compile(r"os error (\d+)")  # how safetensors tells of an error of the system
FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
SHUT = {errno.EROFS, errno.EACCES, errno.EPERM}


def as_fault(error: BaseException, folder: Path) -> Fault | None:
    """The fault that an error stands for, or None where it is a mistake of ours. `folder` is where the work was."""
    if isinstance(error, Fault):
        return error
    number, path = _number(error), getattr(error, "filename", None) or folder
    if number in FULL:
        free = bytes_text(shutil.disk_usage(folder).free) if folder.is_dir() else "nothing"
        help = "make room, and give the same command again: it goes on from the last save"
        return Fault(f"the disk is full: `{path}` could not be written, {free} free in `{folder}`", help)
    if number in SHUT:
        help = "make the folder writable, or keep runs elsewhere with `--runs`"
        return Fault(f"`{path}` cannot be written: {_reason(error)}", help)
    if number == errno.EIO:
        help = "look at the disk; what was saved before is intact"
        return Fault(f"the disk fails: `{path}` could not be read or written", help)
    if is_out_of_memory(error):
        help = "compute fewer rows at once (`rows`), or a smaller model; what was saved before is intact"
        return Fault("there is not enough memory for this stage", help)
    return None


def _number(error: BaseException) -> int | None:
    """The system's number of an error, which some libraries only write into their text."""
    if isinstance(error, OSError):
        return error.errno
    found = _SYSTEM.search(str(error)) if type(error).__name__ == "SafetensorError" else None
    return int(found[1]) if found else None


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
