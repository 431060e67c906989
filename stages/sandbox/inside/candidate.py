"""The process of the code under test: it runs the code, then answers calls of one function until it is killed.

Nothing here is to be trusted once the code has begun, and nothing is: this process has never seen the tests, has no
secret, and what it says is taken for values that the function returned and for no more.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any

from stages.sandbox.inside import frames, values

FILE = "<program>"
LONGEST_MESSAGE = 300


def serve(questions: int, answers: int) -> None:
    """Run the code that comes first, then make every call that is asked for."""
    space: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    first = values.from_bytes(frames.take(questions))
    reply(answers, lambda: exec(compile(first["code"], FILE, "exec"), space))
    while True:
        try:
            asked = values.from_bytes(frames.take(questions))
        except EOFError:
            os._exit(0)
        reply(answers, lambda asked=asked: called(space, first["entry_point"], asked))


def called(space: dict[str, Any], name: str, asked: dict[str, Any]) -> Any:
    if name not in space:
        raise NameError(f"name '{name}' is not defined")
    named = values.decode(asked["named"])
    return space[name](*values.decode(asked["given"]), **named)


def reply(answers: int, work: Any) -> None:
    """Do something and say what came of it."""
    try:
        raw = values.to_bytes({"value": values.encode(work())})
    except values.NotPlain as fault:
        raw = values.to_bytes({"odd": str(fault)})
    except BaseException as fault:  # a program may raise anything, also to leave
        raw = values.to_bytes(described(fault))
    with suppress(Exception):  # the program may have closed or replaced it
        sys.stdout.flush()
    frames.send(answers, raw)


def described(fault: BaseException) -> dict[str, Any]:
    """An exception as plain values."""
    try:
        message = str(fault)[:LONGEST_MESSAGE]
    except BaseException:  # a `__str__` of the program's own
        message = ""
    error = fault.errno if isinstance(fault, OSError) else None
    return {
        "raised": kind_of(fault),
        "message": message,
        "line": fault.lineno if isinstance(fault, SyntaxError) else line_of(fault.__traceback__),
        "errno": error if isinstance(error, int) else None,
    }


def kind_of(fault: BaseException) -> str:
    """The name of the nearest built-in exception: the judge raises the like."""
    return next(kind.__name__ for kind in type(fault).__mro__ if kind.__module__ == "builtins")


def line_of(trace: TracebackType | None) -> int:
    """The last line of the program that an exception came through, or 0."""
    found = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found
