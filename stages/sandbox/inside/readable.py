"""What a program in the sandbox may read: the standard library of this interpreter, and shared libraries."""

from __future__ import annotations

import os
import sys

LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
PACKAGES = ("/usr/lib/python3/dist-packages",)


def readable() -> list[str]:
    """Paths that exist, those that others lie in first."""
    places = [*LIBRARIES, f"{sys.base_prefix}/lib", f"{sys.base_prefix}/lib64", *library()]
    kept: list[str] = []
    for path in places:
        inside = any(path == seen or path.startswith(f"{seen}/") for seen in kept)
        if os.path.lexists(path) and not inside:
            kept.append(path)
    return kept


def library() -> list[str]:
    """Folders that this interpreter imports from."""
    return [path for path in sys.path if os.path.isdir(path)]


def linked(path: str) -> bool:
    """Whether a path is one of the links that lead from `/` into `/usr`, which is shown as such."""
    return path in LIBRARIES and os.path.islink(path)


def hidden() -> list[str]:
    """Folders in these that hold what people installed."""
    places = [*(f"{path}/site-packages" for path in library()), *PACKAGES]
    return [path for path in places if os.path.isdir(path)]
