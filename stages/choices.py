"""Settings of stages: their fields, and the bounds that these have."""

from __future__ import annotations

from typing import Any

import attrs

from nanogen.bounds import at_least, one_of, positive, share

__all__ = ["at_least", "later", "one_of", "place", "positive", "quiet", "setting", "share"]


def setting(help: str, **kw: Any) -> Any:
    """A setting, and what it says in one line."""
    return attrs.field(metadata={"help": help}, **kw)


def quiet(help: str, **kw: Any) -> Any:
    """A setting that changes how a stage works, not what comes out."""
    return attrs.field(metadata={"help": help, "result": False}, **kw)


def later(help: str, **kw: Any) -> Any:
    """A setting that came after results were made: at its default it says what they were made by, and is no part of them."""
    return attrs.field(metadata={"help": help, "later": True}, **kw)


def place(help: str, **kw: Any) -> Any:
    """A file or folder, counting from the run file, or from NANOGEN_DATA. Where it lies changes no result."""
    return attrs.field(metadata={"help": help, "result": False, "place": True}, **kw)
