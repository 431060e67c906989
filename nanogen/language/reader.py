"""What every reader of a spec does: note faults, refuse names that equations could not read, parse equations."""

from __future__ import annotations

import keyword
from typing import Any

from nanogen.language.expression import SyntaxFault, parse
from nanogen.language.literal import literal, no_equation
from nanogen.language.reserved import MODULE_NAMES
from nanogen.language.tables import Equation
from nanogen.text.diagnostics import Diagnostic, Findings, Place
from nanogen.text.locate import KeyPath

WORDS = frozenset({"tokens", "positions", "i", "turn", "true", "false", "none"})  # taken in every table


class Reader:
    """One document being read; every path in it begins with `base`."""

    def __init__(self, base: KeyPath = ()):
        self.base = base
        self.findings = Findings()

    def fault(self, code: str, message: str, path: KeyPath, help: str = "", on_key: bool = False) -> None:
        self.findings.add(Diagnostic(code, message, Place(path, on_key=on_key), help=help))

    def usable(self, name: str, path: KeyPath, taken: tuple[str, ...] = (), attribute: bool = True) -> bool:
        """Refuse names that equations could not read; those of an `attribute` live among PyTorch's."""
        if not name.isidentifier() or not name.isascii():
            self.fault("NG106", f"`{name}` is not a name", path, "use letters, digits and `_`", on_key=True)
            return False
        if keyword.iskeyword(name) or name in WORDS or name in taken:
            self.fault(
                "NG106", f"`{name}` is taken by the language", path, "choose another name", on_key=True
            )
            return False
        if attribute and (name in MODULE_NAMES or name.startswith("_")):
            self.fault(
                "NG106", f"`{name}` is taken by PyTorch's modules", path, "choose another name", on_key=True
            )
            return False
        return True

    def equation(self, name: str, value: Any, path: KeyPath, written: bool = True) -> Equation | None:
        if not isinstance(value, str):
            expression = literal(value)
            if expression is None:
                message, help = no_equation(value)
                self.fault("NG101", message, path, help)
                return None
            return Equation(name, expression, path, written=False)
        try:
            return Equation(name, parse(value), path, written)
        except SyntaxFault as fault:
            self.findings.add(fault.at(Place(path, fault.span if written else None)))
            return None
