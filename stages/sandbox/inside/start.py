"""Become a sandbox: three processes, of which the first waits, the second judges and the third is the program's.

The first takes its orders (how to wall off, and the limits) from its command line, the second reads code and tests from
standard input once the third is on its way, so that the third has never held the tests. The verdict is one line of
JSON on the first one's standard output, which the third cannot reach.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import typing  # noqa: F401  (nearly every program wants it: loaded once for the judge and the candidate)
from typing import Any, NoReturn

from stages.sandbox.inside import candidate, frames, judge, kernel, little_root
from stages.sandbox.inside.other_side import OtherSide
from stages.sandbox.inside.surrender import surrender

SPARE_SECONDS = 5
QUESTIONS, ANSWERS = 3, 4  # the candidate's descriptors, after the three that every process has
ABOVE = 32  # all descriptors that are open when they are moved


def main(orders: dict[str, Any]) -> None:
    """`namespaces` (or else Landlock), `seconds`, `memory` in bytes, `output` in bytes."""
    signal.setitimer(
        signal.ITIMER_REAL, orders["seconds"] + SPARE_SECONDS
    )  # should nobody wait for the verdict
    os.environ.clear()
    result = os.dup(1)
    try:
        if orders["namespaces"]:
            little_root.enter()
        else:
            os.chdir("/")
        second = os.fork()
    except OSError as fault:
        tell(result, {"fault": str(fault)})
        return
    if second == 0:
        be_judge(orders, result)
    os.waitpid(second, 0)


def tell(result: int, verdict: dict[str, Any]) -> None:
    os.write(result, json.dumps(verdict).encode("ascii"))


def be_judge(orders: dict[str, Any], result: int) -> NoReturn:
    try:
        tell(result, judged(orders, result))
    except BaseException as fault:
        tell(result, {"fault": f"{type(fault).__name__}: {fault}"})
    os._exit(0)


def judged(orders: dict[str, Any], result: int) -> dict[str, Any]:
    """Start the candidate, give up all rights, and only then read what is to be judged."""
    limits = {name: orders[name] for name in ("namespaces", "seconds", "memory")}
    questions, answers, printed = os.pipe(), os.pipe(), os.pipe()
    if orders["namespaces"]:
        kernel.unshare(
            kernel.NEW_PIDS
        )  # the candidate is alone in its own: there is nobody to send signals to
    third = os.fork()
    if third == 0:
        be_candidate(questions[0], answers[1], printed[1], limits)
    for end in (questions[0], answers[1], printed[1]):
        os.close(end)
    if failed := frames.take(answers[0]):
        return {"fault": failed.decode()}
    surrender(**limits)
    job = json.loads(whole(0))
    other = OtherSide(
        third, questions[1], answers[0], printed[0], seconds=limits["seconds"], output=orders["output"]
    )
    return judge.judge(job, other)


def whole(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read()


def be_candidate(questions: int, answers: int, printed: int, limits: dict[str, Any]) -> NoReturn:
    """Keep two pipes, a standard output that is a pipe, and a standard input that has ended; then run the program.

    The first message says that all walls stand; or why they do not, if it is not empty.
    """
    nothing, ended = os.pipe()
    os.close(ended)
    kept = (nothing, printed, printed, questions, answers)
    copies = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, ABOVE) for descriptor in kept]
    for place, descriptor in enumerate(copies):
        os.dup2(descriptor, place)
    os.closerange(len(kept), 1024)
    sys.stdin = os.fdopen(0)
    sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, errors="backslashreplace", closefd=False)
    try:
        surrender(**limits)
        frames.send(ANSWERS, b"")
        candidate.serve(QUESTIONS, ANSWERS)
    except OSError as fault:
        frames.send(ANSWERS, str(fault).encode())
    finally:
        os._exit(1)
