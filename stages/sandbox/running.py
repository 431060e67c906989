"""Run programs that a language model wrote, and say which pass their tests. Without isolation none is run."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from runtime.faults import Fault
from stages.sandbox.box import run_in_box
from stages.sandbox.isolation import isolation
from stages.sandbox.program import Limits, Program, Verdict

LIMITS = Limits()


def run_program(program: Program, limits: Limits = LIMITS) -> Verdict:
    """Run one program against its tests; a `Fault` where this machine cannot isolate it, or the tests are broken."""
    found = isolation()
    if not found.enough:
        raise Fault(
            f"nothing here isolates a program that a model wrote, so none is run ({found.why_not})",
            "run on Linux, in a place that allows user namespaces or Landlock",
        )
    return run_in_box(program, limits, namespaces=found.way == "namespaces")


def run_programs(programs: Iterable[Program], limits: Limits = LIMITS, *, at_once: int = 2) -> list[Verdict]:
    """The verdicts on several programs, in their order; `at_once` of them run side by side."""
    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(lambda program: run_program(program, limits), programs))


def run_humaneval(
    code: str,
    test: str,
    entry_point: str,
    *,
    prompt: str = "",
    seconds: float = LIMITS.seconds,
    memory: int = LIMITS.memory,
    output: int = LIMITS.output,
) -> Verdict:
    """Whether `code` passes `check(candidate)` of a HumanEval row.

    Three of the 164 tests call functions that the prompt defines: hand in the prompt, and they get these, rather than
    what the code may have made of them.
    """
    return run_program(Program(code, test, entry_point, prompt), Limits(seconds, memory, output))
