"""The code under test as its judge sees it: a function that is called in another process, which may do anything.

What comes back is bytes until it is decoded into plain values; what the process prints is counted and its end kept.
"""

from __future__ import annotations

import builtins
import errno
import os
import select
import signal
from typing import Any

from stages.sandbox.inside import frames, values

LONGEST_ANSWER = 4 << 20  # bytes of JSON
KEPT_OUTPUT = 2000
FORBIDDEN = (errno.EPERM, errno.EACCES, errno.EROFS)


class Ended(BaseException):
    """The program cannot go on. No test catches it with `except Exception`."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


class OtherSide:
    """A candidate's process: its number, and the pipes to and from it."""

    def __init__(
        self, process: int, questions: int, answers: int, printed: int, *, seconds: float, output: int
    ):
        self.process = process
        self.questions = questions
        self.answers = answers
        self.printed = printed
        self.seconds = seconds
        self.output = output
        self.read = bytearray()
        self.seen = 0  # bytes printed
        self.tail = b""
        self.end: Ended | None = None
        self.raised: dict[int, tuple[BaseException, Ended]] = {}
        self.ears = select.poll()
        self.ears.register(answers, select.POLLIN)
        self.ears.register(printed, select.POLLIN)

    def run(self, code: str, entry_point: str) -> None:
        self.ask({"code": code, "entry_point": entry_point})

    def call(self, *given: Any, **named: Any) -> Any:
        """Call the function over there, as if it were here."""
        return self.ask({"given": values.encode(given), "named": values.encode(named)})

    def ask(self, question: dict[str, Any]) -> Any:
        if self.end is not None:
            raise self.end
        try:
            return self.answer(question)
        except Ended as end:
            self.end = end
            raise

    def answer(self, question: dict[str, Any]) -> Any:
        try:
            frames.send(self.questions, values.to_bytes(question))
        except BrokenPipeError:
            raise self.death() from None
        said = self.listen()
        try:
            value, fault = self.opened(values.from_bytes(said))
        except MemoryError:
            raise Ended("memory", "what it returned does not fit") from None
        except Exception:  # bytes may be made to meet any of them
            raise Ended("failed", "its answer is none that a value has") from None
        if fault is not None:
            raise fault
        return value

    def opened(self, said: dict[str, Any]) -> tuple[Any, BaseException | None]:
        """The value of an answer, or what it raises."""
        if "value" in said:
            return values.decode(said["value"]), None
        if "odd" in said:
            return None, Ended("failed", f"it returned a `{said['odd']}`, which is no plain value")
        return None, self.rebuilt(said)

    def listen(self) -> bytes:
        """The next message from there; what is printed meanwhile is put aside."""
        while True:
            length, whole = frames.split(self.read)
            if whole is not None:
                return whole
            if length > LONGEST_ANSWER:
                raise Ended("failed", f"it returned more than {LONGEST_ANSWER >> 20} MiB")
            for descriptor, _ in self.ears.poll():
                part = os.read(descriptor, 1 << 16)
                if descriptor == self.printed:
                    self.hear(part)
                elif part:
                    self.read += part
                else:
                    raise self.death()

    def hear(self, part: bytes) -> None:
        if not part:
            self.ears.unregister(self.printed)
        self.seen += len(part)
        self.tail = (self.tail + part)[-KEPT_OUTPUT:]
        if self.seen > self.output:
            raise Ended("killed", f"it printed more than {self.output} bytes")

    def death(self) -> Ended:
        """How the process ended."""
        _, status, used = os.wait4(self.process, 0)
        if os.WIFEXITED(status):
            return Ended(
                "failed", f"it left with exit status {os.WEXITSTATUS(status)} before the tests were done"
            )
        number = os.WTERMSIG(status)
        if number == signal.SIGSYS:
            return Ended("refused", "it asked the kernel for what only an attack needs")
        if number == signal.SIGXCPU or used.ru_utime + used.ru_stime >= self.seconds:
            return Ended("timeout", f"it used {self.seconds:g} s of processor time")
        return Ended("killed", f"it was ended by {signal.Signals(number).name}")

    def rebuilt(self, said: dict[str, Any]) -> BaseException:
        """An exception as it was raised over there; whatever is meant to leave, or is no exception, ends the test."""
        name, place = str(said["raised"]), f" (line {int(said['line'])})" if said["line"] else ""
        reason = f"{name}: {said['message']}{place}"
        kind = getattr(builtins, name, None)
        end = Ended(outcome_of(name, said["errno"]), reason)
        if not (isinstance(kind, type) and issubclass(kind, Exception)) or end.outcome != "failed":
            return end
        fault = kind.__new__(kind, said["message"])  # some kinds cannot be made out of one text
        self.raised[id(fault)] = fault, end
        return fault

    def end_of(self, fault: BaseException) -> Ended | None:
        """What an exception that left the test says of the program, where it came from there."""
        kept = self.raised.get(id(fault))
        return kept[1] if kept is not None else None


def outcome_of(name: str, error: int | None) -> str:
    if name == "MemoryError" or error == errno.ENOMEM:
        return "memory"
    return "refused" if error in FORBIDDEN else "failed"
