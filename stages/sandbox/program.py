"""What the sandbox is asked and what it says: a program with its tests, limits, a verdict. Knows nothing of how."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import ge, gt, in_

OUTCOMES = ("passed", "failed", "timeout", "memory", "killed", "refused")


@frozen
class Program:
    """Code under test and its tests, which come apart: the tests run where the code cannot reach them."""

    code: str  # defines the function; nobody trusts it
    test: str  # defines `check(candidate)`, which raises unless all is right
    entry_point: str  # the function's name
    prompt: str = ""  # definitions that the tests may use: those that the code was asked to go on from


@frozen
class Limits:
    """What one program may use."""

    seconds: float = field(default=5.0, validator=gt(0))  # on the clock, from start to verdict
    memory: int = field(
        default=256 << 20, validator=ge(64 << 20)
    )  # bytes of addresses; an interpreter takes 30 MiB
    output: int = field(default=64 << 10, validator=ge(0))  # bytes printed


@frozen
class Verdict:
    """How a program did.

    `passed`: every test held. `failed`: one did not, or the code raised, left early or returned what is no plain value.
    `timeout`, `memory`: over that limit. `killed`: it crashed, killed itself or printed too much. `refused`: it tried
    what the sandbox forbids.
    """

    outcome: str = field(validator=in_(OUTCOMES))
    reason: str = ""  # for people; empty where it passed
    output: str = ""  # the end of what it printed

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"
