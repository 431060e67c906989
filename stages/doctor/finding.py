"""What was found of one thing: its state, the fact, and what to do about it. Knows nothing of how it was found."""

from __future__ import annotations

from typing import Any

from attrs import asdict, field, frozen, validators

OK, WARNING, MISSING, UNTRIED = "ok", "warning", "missing", "not tried"
STATES = (OK, WARNING, MISSING, UNTRIED)


@frozen
class Finding:
    """One line. What is `missing` and `needed` keeps the runs that ship from going through on a CPU."""

    about: str
    state: str = field(validator=validators.in_(STATES))
    said: str
    help: str = ""
    needed: bool = field(default=False, kw_only=True)

    @property
    def stops(self) -> bool:
        return self.needed and self.state == MISSING

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def ok(about: str, said: str) -> Finding:
    return Finding(about, OK, said)


def warning(about: str, said: str, help: str) -> Finding:
    return Finding(about, WARNING, said, help)


def missing(about: str, said: str, help: str, *, needed: bool = False) -> Finding:
    return Finding(about, MISSING, said, help, needed=needed)


def untried(about: str, said: str, help: str = "") -> Finding:
    return Finding(about, UNTRIED, said, help)
