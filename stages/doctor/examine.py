"""Look at everything once, in the order in which it is told; what cannot be looked at says so, and ends nothing."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from stages.doctor.finding import Finding, missing, ok, untried, warning
from stages.doctor.machine import machine
from stages.doctor.packages import packages


def examine(runs: Path) -> Iterator[Finding]:
    """All findings; `runs` is where runs would be kept."""
    yield from packages()
    yield from tensors()
    yield from machine(runs)
    yield sandbox()


def tensors() -> Iterator[Finding]:
    """What torch says of itself and of the device."""
    if find_spec("torch") is None:
        yield untried("device", "torch is not here to ask")
        return
    try:
        import torch  # noqa: F401
    except (ImportError, OSError) as error:  # a library of the system that it lacks
        help = "install it anew: `pip install --force-reinstall torch`"
        yield missing("torch", f"does not load: {str(error).splitlines()[0]}", help, needed=True)
        return
    from stages.doctor.accelerators import accelerators
    from stages.doctor.computing import computing

    yield from accelerators()
    yield from computing()


def sandbox() -> Finding:
    """Whether code that a model wrote can be run; a trial that tries to get out."""
    from stages.sandbox.isolation import isolation

    found = isolation()
    if found.enough:
        return ok("sandbox", f"HumanEval can be run, by {found.way}")
    help = "nothing else needs it: HumanEval is then `not run`; on Linux, a kernel from 5.13 on has Landlock"
    return warning("sandbox", f"HumanEval is not run: {found.why_not}", help)
