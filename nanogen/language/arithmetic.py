"""Numbers of a spec: operators and functions, bounded so that no text can make them run away."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from nanogen.text.diagnostics import Reject

LARGEST = 2**63  # a size or a count beyond this is a slip
_LIMIT = "numbers of a spec stay below 2 ** 63"
_NUMBERS = "a number is a dim, an argument, a per-layer fact, or arithmetic on these"
_DOMAIN = {"log": "its argument is above 0", "sqrt": "its argument is at least 0"}

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ceil": math.ceil,
    "floor": math.floor,
    "round": round,
    "max": max,
    "min": min,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
}


class Unknown:
    """Stands for what a fault left without a value; passes through every rule in silence."""

    described = "an unknown"


UNKNOWN = Unknown()


def is_number(value: Any) -> bool:
    """True for whole numbers, fractions and truth values."""
    return isinstance(value, int | float)


def shown(value: Any) -> str:
    """Print a number as a spec writes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
    return f"[{', '.join(map(shown, value))}]" if isinstance(value, list) else str(value)


def binary(op: str, left: Any, right: Any) -> int | float:
    """Compute `left op right`; whole stays whole, and so does a `/` that leaves no rest. Raises Reject."""
    if not (is_number(left) and is_number(right)):
        raise Reject("NG111", f"`{op}` takes numbers, found {kind_of(left)} and {kind_of(right)}", _NUMBERS)
    if op == "**":
        _check_power(left, right)
    first = f"({shown(left)})" if op == "**" and left < 0 else shown(left)
    what = f"{first} {op} {shown(right)}"
    try:
        if op == "/" and isinstance(left, int) and isinstance(right, int) and left % right == 0:
            return _bounded(left // right, what)  # exact, where a float of 17 digits is not
        return _bounded(_BINARY[op](left, right), what)
    except ZeroDivisionError:
        raise Reject(
            "NG302", f"{what} divides by zero", "what it is divided by is at least 1 in a model"
        ) from None
    except OverflowError:
        raise Reject("NG302", f"{what} is too large", _LIMIT) from None


def _check_power(base: int | float, exponent: int | float) -> None:
    if base and math.log2(abs(base) + 1e-300) * exponent > 1000:
        raise Reject("NG302", f"{shown(base)} ** {shown(exponent)} is too large", _LIMIT)


def _bounded(result: Any, what: str) -> int | float:
    if isinstance(result, complex):
        raise Reject("NG302", f"{what} is not a real number", "a root needs a number of at least 0")
    if abs(result) >= (LARGEST if isinstance(result, int) else 1e300):
        raise Reject("NG302", f"{what} is too large", _LIMIT)
    return result


def compare(op: str, left: Any, right: Any) -> bool:
    """Compute a comparison of numbers, or whether a number is in a list. Raises Reject."""
    if op in ("in", "not in"):
        if not isinstance(right, list):
            raise Reject(
                "NG111", f"`{op}` looks into a list, found {kind_of(right)}", "write `i in [1, 4, 7]`"
            )
        if not is_number(left):
            raise Reject("NG111", f"`{op}` looks for a number, found {kind_of(left)}", _NUMBERS)
        return (left in right) == (op == "in")
    comparable = (is_number(v) or (v is None and op in ("==", "!=")) for v in (left, right))
    if not all(comparable):
        raise Reject(
            "NG111", f"`{op}` compares numbers, found {kind_of(left)} and {kind_of(right)}", _NUMBERS
        )
    return _COMPARE[op](left, right)


def negate(value: Any) -> int | float:
    if not is_number(value):
        raise Reject("NG111", f"`-` takes a number, found {kind_of(value)}", _NUMBERS)
    return -value


def function(name: str, args: list[Any]) -> int | float:
    """Compute `name(args)` for a name in FUNCTIONS. Raises Reject."""
    flat = args[0] if len(args) == 1 and isinstance(args[0], list) and name in ("max", "min") else args
    if not flat or not all(is_number(a) for a in flat):
        found = ", ".join(map(kind_of, flat)) or "nothing"
        raise Reject("NG111", f"`{name}` takes numbers, found {found}", _NUMBERS)
    if name not in ("max", "min") and len(flat) != 1:
        raise Reject("NG112", f"`{name}` takes one number, found {len(flat)}", f"write `{name}(width / 2)`")
    what = f"{name}({', '.join(map(shown, flat))})"
    try:
        return _bounded(
            FUNCTIONS[name](*flat) if len(flat) > 1 or name not in ("max", "min") else flat[0], what
        )
    except (ValueError, OverflowError):
        raise Reject("NG302", f"{what} has no value", _DOMAIN.get(name, _LIMIT)) from None


def whole(value: Any, what: str) -> int:
    """Return `value` as a size: a whole number of at least 1. Raises Reject."""
    if isinstance(value, bool) or not is_number(value):
        raise Reject("NG111", f"{what} is a whole number, found {kind_of(value)}", _NUMBERS)
    if value != int(value):
        raise Reject(
            "NG303",
            f"{what} is {shown(value)}, not a whole number",
            "use `ceil` or `floor`, or another divisor",
        )
    if value < 1:
        raise Reject("NG303", f"{what} is {shown(value)}, and a size is at least 1", "use 1 or more")
    if value >= LARGEST:
        raise Reject("NG302", f"{what} is {shown(value)}, which is too large", _LIMIT)
    return int(value)


def kind_of(value: Any) -> str:
    """Say in the reader's words what a value is."""
    if isinstance(value, bool):
        return f"`{shown(value)}`"
    if is_number(value):
        return f"the number {shown(value)}"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f"`{value}`"
    if value is None:
        return "`none`"
    return getattr(value, "described", "a value")
