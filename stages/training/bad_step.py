"""A step that was stopped: say which save is whole, and what can be done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runtime.faults import Fault

if TYPE_CHECKING:
    from stages.work import Work


@contextmanager
def last_save_told(work: Work) -> Iterator[None]:
    """Add to the fault of a number that is not finite what stands on disk, looked at anew."""
    from runtime.finite import NotFinite

    try:
        yield
    except NotFinite as stopped:
        raise Fault(stopped.message, f"{stopped.help}; {_what_stands(work)}") from None


def _what_stands(work: Work) -> str:
    from runtime.checkpoint import newest_save

    save = newest_save(work.saves, work.tell.line)
    stands = f"the save of step {save.step:,} is intact" if save else "nothing was saved yet"
    start = "that step" if save else "its start"
    return (
        f"{stands}, and the same run goes on from {start} and comes here again: "
        f"take those out, or lower the rates of `{work.name}` (`rate_scale`), which begins it anew"
    )
