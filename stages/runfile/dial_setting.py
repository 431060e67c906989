"""The setting `dials` of a stage that evaluates: held to the dials of its model before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from runtime.dials import check_dials
from runtime.faults import Fault

if TYPE_CHECKING:
    from nanogen.compiler import Compiled


def check_dial_setting(dials: Mapping[str, int] | None, compiled: Compiled | None) -> None:
    """Raise Fault where the model has no such dial, or it does not go there."""
    if not dials or compiled is None:
        return
    try:
        check_dials(compiled.blueprint["dials"], dials)
    except Fault as fault:
        raise Fault(f"`dials`: {fault.message}", fault.help) from None
