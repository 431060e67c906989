"""The process of the tests: it runs them on a candidate that lives elsewhere, and says how that went.

No line of the candidate's code runs here, and nothing of this process can be reached from there. So that a pass can
only come from answers that are right.
"""

from __future__ import annotations

import io
import sys
from typing import Any

from stages.sandbox.inside.other_side import Ended, OtherSide
from stages.sandbox.inside.values import NotPlain

FILE = "<test>"
LONGEST_REASON = 500


class Sink(io.TextIOBase):
    """Where the tests print to: nowhere."""

    def write(self, text: str, /) -> int:
        return len(text)


class BadTest(Exception):
    """The tests cannot be run on any program."""


def judge(job: dict[str, str], other: OtherSide) -> dict[str, Any]:
    """The verdict on a program, as plain values."""
    sys.stdout = sys.stderr = Sink()
    try:
        end = verdict(job, other)
    except BadTest as fault:
        return {"fault": str(fault)}
    output = other.tail.decode("utf-8", "replace")
    return {"outcome": end.outcome, "reason": end.reason[:LONGEST_REASON], "output": output}


def verdict(job: dict[str, str], other: OtherSide) -> Ended:
    check = None
    try:
        other.run(job["code"], job["entry_point"])
        check = prepared(job, other)
        check(other.call)
    except Ended as end:
        return end
    except BadTest:
        raise
    except BaseException as fault:
        return other.end or other.end_of(fault) or failure(fault, job["test"])
    return other.end or Ended("passed", "")  # a test may have swallowed what ended the program


def prepared(job: dict[str, str], other: OtherSide) -> Any:
    """The `check` of the tests, which know of the prompt's definitions and of the function under test."""
    space: dict[str, Any] = {"__name__": "tests", "__builtins__": __builtins__}
    try:
        exec(compile(job["prompt"], "<prompt>", "exec"), space)
        space[job["entry_point"]] = other.call
        exec(compile(job["test"], FILE, "exec"), space)
    except Exception as fault:
        raise BadTest(f"the test cannot be run: {type(fault).__name__}: {fault}") from None
    if "check" not in space:
        raise BadTest("the test defines no `check`")
    return space["check"]


def failure(fault: BaseException, test: str) -> Ended:
    """What it means that the tests raised something themselves."""
    if isinstance(fault, MemoryError):
        return Ended("memory", "what it returned does not fit")
    if isinstance(fault, NotPlain):
        return Ended("failed", f"the test hands over a `{fault}`, which is no plain value")
    where = line_of(fault)
    lines = test.splitlines()
    said = lines[where - 1].strip() if 0 < where <= len(lines) else ""
    if isinstance(fault, AssertionError):
        return Ended("failed", f"this did not hold: {said}")
    return Ended("failed", f"the test met {type(fault).__name__}: {fault} in: {said}")


def line_of(fault: BaseException) -> int:
    trace, found = fault.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found
