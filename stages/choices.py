"""Settings of stages: kinds of fields, and validators whose refusals people can read."""

from __future__ import annotations

from typing import Any

import attrs

from nanogen.bounds import at_least, one_of, positive, share

__all__ = ["at_least", "one_of", "positive", "quiet", "share"]


def quiet(**kw: Any) -> Any:
    """A setting that changes how a stage works, not what comes out."""
    return attrs.field(metadata={"result": False}, **kw)
