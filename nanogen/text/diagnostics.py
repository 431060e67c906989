"""Faults as data: what is wrong, where, and what to do. Knows nothing of who finds them.

A check returns diagnostics; nothing prints and nothing raises for a user's fault. `Reject` is how a rule
says no without knowing of files: whoever called the rule adds the place.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from attrs import frozen

from nanogen.text.codes import CODES
from nanogen.text.locate import KeyPath, Span


@frozen
class Place:
    """Where in a document: a key path, and optionally a part of the string that stands there."""

    path: KeyPath = ()
    span: Span | None = None  # characters of the string value
    on_key: bool = False  # the key is to blame, not its value
    offset: int | None = None  # character of the document, for text that did not parse


@frozen
class Note:
    """Another place that matters."""

    place: Place
    label: str


@frozen
class Diagnostic:
    """One fault. `message` states the fact and stands alone; only `help` says what to do."""

    code: str
    message: str
    place: Place
    label: str = ""
    help: str = ""
    notes: tuple[Note, ...] = ()

    def __attrs_post_init__(self) -> None:
        assert self.code in CODES, self.code

    @property
    def severity(self) -> str:
        return CODES[self.code].severity


class Reject(Exception):
    """A rule's refusal: the code, the fact and the help, without a place.

    `blame` names the argument at fault: an input's position, a setting's name, or None for the whole call.
    """

    def __init__(self, code: str, message: str, help: str = "", blame: int | str | None = None):
        super().__init__(message)
        assert code in CODES, code
        self.code, self.message, self.help, self.blame = code, message, help, blame

    def at(self, place: Place, notes: tuple[Note, ...] = ()) -> Diagnostic:
        return Diagnostic(self.code, self.message, place, help=self.help, notes=notes)


class Stop(Exception):
    """A fault inside an expression; carries the diagnostic, or None for what was told. Caught at the equation."""

    def __init__(self, diagnostic: Diagnostic | None):
        super().__init__()
        self.diagnostic = diagnostic


class Refusal(Exception):
    """A document that cannot be used: carries every diagnostic found and the documents they speak of."""

    def __init__(self, diagnostics: Iterable[Diagnostic], document):
        self.diagnostics, self.document = list(diagnostics), document
        super().__init__("; ".join(d.message for d in self.diagnostics))


class Findings:
    """Collects diagnostics; the same fault at the same place is kept once.

    With `once_a_place`, so is the same code: a module that is called twice has its fault with other numbers.
    """

    def __init__(self, once_a_place: bool = False) -> None:
        self._found: dict[tuple, Diagnostic] = {}
        self._once = once_a_place

    def add(self, diagnostic: Diagnostic) -> None:
        said = "" if self._once else diagnostic.message
        self._found.setdefault((diagnostic.code, said, diagnostic.place), diagnostic)

    def note(self, code: str, message: str, place: Place, *, help: str = "", label: str = "") -> None:
        self.add(Diagnostic(code, message, place, label=label, help=help))

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        for diagnostic in diagnostics:
            self.add(diagnostic)

    @property
    def all(self) -> list[Diagnostic]:
        return list(self._found.values())

    @property
    def errors(self) -> list[Diagnostic]:
        return [d for d in self._found.values() if d.severity == "error"]


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the one known name that `name` is surely a slip of, or None."""
    return _like(name, known, 0.75)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return help for an unknown name: the nearest known one, or all of them where they are few."""
    known = sorted(set(known))
    near = _like(name, known, 0.65)
    if near is not None:
        return f"did you mean `{near}`?"
    if not known:
        return ""
    shown = ", ".join(f"`{k}`" for k in known[:12])
    return f"known here: {shown}" + (f" and {len(known) - 12} more" if len(known) > 12 else "")


def _like(name: str, known: Iterable[str], cutoff: float) -> str | None:
    """The known name most like `name`; a slip leaves most of its length, and nobody reads a long list of names."""
    near = [k for k in sorted(set(known)) if abs(len(k) - len(name)) <= max(2, len(name) // 2)]
    found = difflib.get_close_matches(name[:40], near[:200], n=1, cutoff=cutoff)
    return found[0] if found else None
