"""Take the fields of a JSON object one by one, strictly: `"1"` is no number, `true` no 1, and null is an absence.

Every refusal names the field and what it may hold. Knows nothing of which fields there are.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from web.refusals import Refusal

LONGEST_NAME = 60  # of an unknown field, as it is repeated to the client


def refuse(param: str, message: str, *, code: str | None = None) -> NoReturn:
    raise Refusal(400, message, param=param, code=code)


def read_object(body: bytes) -> dict[str, Any]:
    """The object that a request's body is."""
    try:
        value = json.loads(body, parse_constant=_no_number)
    except RecursionError:
        raise Refusal(400, "the body is nested too deep") from None
    except ValueError as error:  # also of bytes that are no text, and of numbers with thousands of digits
        raise Refusal(400, f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise Refusal(400, "the body is not a JSON object")
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


class Fields:
    """Fields of an object that have not been taken yet."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._left = {name: value for name, value in values.items() if value is not None}
        self._known: list[str] = []

    def take(self, name: str) -> Any:
        """The value, whatever it is, or None."""
        self._known.append(name)
        return self._left.pop(name, None)

    def whole(self, name: str, default: int | None, *, least: int, most: int) -> Any:
        value = self.take(name)
        if value is None:
            return default
        if type(value) is not int:
            refuse(name, f"`{name}` is not a whole number")
        return _within(name, value, least, most)

    def number(self, name: str, default: float, *, least: float, most: float) -> float:
        value = self.take(name)
        if value is None:
            return default
        if type(value) not in (int, float):
            refuse(name, f"`{name}` is not a number")
        return float(_within(name, value, least, most))

    def flag(self, name: str) -> bool:
        value = self.take(name)
        if value is not None and type(value) is not bool:
            refuse(name, f"`{name}` is neither true nor false")
        return bool(value)

    def inside(self, name: str) -> Fields:
        """The fields of the object that a field is."""
        value = self.take(name)
        if value is not None and not isinstance(value, dict):
            refuse(name, f"`{name}` is not an object")
        return Fields(value or {})

    def ignore(self, names: Iterable[str]) -> None:
        for name in names:
            self.take(name)

    def unsupported(self, harmless: Mapping[str, tuple[Any, ...]]) -> None:
        """Refuse fields that would change the answer, unless their value asks for what is done anyway."""
        for name, values in harmless.items():
            value = self.take(name)
            if value is not None and not any(type(value) is type(v) and value == v for v in values):
                refuse(name, f"`{name}` is not supported by this server", code="unsupported_parameter")

    def end(self) -> None:
        """Refuse what nobody took: a misspelt field would otherwise be ignored in silence."""
        for name in self._left:
            name = name[:LONGEST_NAME]
            near = difflib.get_close_matches(name, self._known, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else ""
            refuse(name, f"`{name}` is not a field of this request{hint}", code="unknown_parameter")


def _within(name: str, value: Any, least: float, most: float) -> Any:
    if not least <= value <= most:
        refuse(name, f"`{name}` goes from {least:,} to {most:,}, and {shown(value)} is asked for")
    return value


def shown(value: float) -> str:
    """A number of any size, in few characters."""
    return f"{value:,}" if abs(value) < 10**15 else "a number of another order"
