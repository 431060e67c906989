"""A machine that is always the same: what is told of a run on it does not change with who tests."""

from pathlib import Path

from nanogen.text.diagnostics import Diagnostic
from runtime.capacity import Capacity
from stages.preflight.checks import preflight
from stages.runfile.load import Run

LAPTOP = Capacity("cpu", memory=16 * 2**30, bfloat16=False, compiler=True)
FREE = 2**50  # bytes of its disk


def held(run: Run) -> list[Diagnostic]:
    """What stands in the way of a run on this machine, in a folder that is not there yet."""
    return preflight(run, Path("runs") / "none", [stage.name for stage in run.stages], on=LAPTOP, free=FREE)
