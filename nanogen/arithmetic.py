"""Numbers of a spec: operators and functions, bounded so that no text can make them run away."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from nanogen.diagnostics import Reject

LARGEST = 2**63  # a size or a count beyond this is a slip

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
        return f"{value:.6g}"
    return str(value)


def binary(op: str, left: Any, right: Any) -> int | float:
    """Compute `left op right`; whole stays whole, save for `/`. Raises Reject."""
    if not (is_number(left) and is_number(right)):
        raise Reject("NG111", f"`{op}` takes numbers, found {kind_of(left)} and {kind_of(right)}")
    if op == "**":
        _check_power(left, right)
    try:
        result = _BINARY[op](left, right)
    except ZeroDivisionError:
        raise Reject("NG302", f"{shown(left)} {op} {shown(right)} divides by zero") from None
    except OverflowError:
        raise Reject("NG302", f"{shown(left)} {op} {shown(right)} is too large") from None
    return _bounded(result, f"{shown(left)} {op} {shown(right)}")


def _check_power(base: int | float, exponent: int | float) -> None:
    if base and math.log2(abs(base) + 1e-300) * exponent > 1000:
        raise Reject("NG302", f"{shown(base)} ** {shown(exponent)} is too large")


def _bounded(result: Any, what: str) -> int | float:
    if isinstance(result, complex):
        raise Reject("NG302", f"{what} is not a real number")
    if isinstance(result, float) and not math.isfinite(result):
        raise Reject("NG302", f"{what} is not finite")
    if isinstance(result, int) and abs(result) >= LARGEST:
        raise Reject("NG302", f"{what} is too large")
    return result


def compare(op: str, left: Any, right: Any) -> bool:
    """Compute a comparison of numbers, or whether a number is in a list. Raises Reject."""
    if op in ("in", "not in"):
        if not isinstance(right, list):
            raise Reject("NG111", f"`{op}` looks into a list, found {kind_of(right)}")
        return (left in right) == (op == "in")
    both_plain = op in ("==", "!=") and (left is None or right is None)
    if not both_plain and not (is_number(left) and is_number(right)):
        raise Reject("NG111", f"`{op}` compares numbers, found {kind_of(left)} and {kind_of(right)}")
    return _COMPARE[op](left, right)


def negate(value: Any) -> int | float:
    if not is_number(value):
        raise Reject("NG111", f"`-` takes a number, found {kind_of(value)}")
    return -value


def function(name: str, args: list[Any]) -> int | float:
    """Compute `name(args)` for a name in FUNCTIONS. Raises Reject."""
    flat = args[0] if len(args) == 1 and isinstance(args[0], list) and name in ("max", "min") else args
    if not flat or not all(is_number(a) for a in flat):
        raise Reject("NG111", f"`{name}` takes numbers")
    if name not in ("max", "min") and len(flat) != 1:
        raise Reject("NG112", f"`{name}` takes one number, found {len(flat)}")
    try:
        return _bounded(FUNCTIONS[name](*flat), f"{name}({', '.join(map(shown, flat))})")
    except (ValueError, OverflowError):
        raise Reject("NG302", f"{name}({', '.join(map(shown, flat))}) has no value") from None


def whole(value: Any, what: str) -> int:
    """Return `value` as a size: a whole number of at least 1. Raises Reject."""
    if isinstance(value, bool) or not is_number(value):
        raise Reject("NG111", f"{what} is a whole number, found {kind_of(value)}")
    if value != int(value):
        raise Reject("NG303", f"{what} is {shown(value)}, not a whole number", "use `//`, `ceil` or `floor`")
    if value < 1:
        raise Reject("NG303", f"{what} is {shown(value)}, and a size is at least 1")
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
