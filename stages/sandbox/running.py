"""Run a program that a language model wrote, and say whether it passes its tests. Without isolation none is run."""

from __future__ import annotations

from runtime.faults import Fault
from stages.sandbox.box import run_in_box
from stages.sandbox.isolation import isolation
from stages.sandbox.program import Limits, Program, Verdict

LIMITS = Limits()


def run_program(program: Program, limits: Limits = LIMITS) -> Verdict:
    """The verdict on a program; raises Fault where this machine cannot isolate it, or the tests are broken.

    Three of HumanEval's 164 tests call functions that the prompt defines: with the prompt handed in, they get these,
    rather than what the code may have made of them.
    """
    found = isolation()
    if not found.enough:
        raise Fault(
            f"nothing here isolates a program that a model wrote, so none is run ({found.why_not})",
            "run on Linux, in a place that allows user namespaces or Landlock",
        )
    return run_in_box(program, limits, namespaces=found.way == "namespaces")
