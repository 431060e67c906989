"""Work out what a model writes into a python block: arithmetic, and how often a text holds another.

Nothing is ever run as Python: the text is parsed, and the few kinds of nodes below are worked out. Every bound
holds before the work is done. What cannot be answered is answered by a text that begins with "error: ".
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from time import thread_time

from attrs import define

LONGEST = 1_000  # characters of an expression
DEEPEST = 100  # operations within operations; a sum of n terms is n deep
MOST_OPERATIONS = 200
MOST_DIGITS = 400  # of a whole number
SECONDS = 1.0

Number = int | float

# All that an expression may consist of; commas stand in texts and before each three digits, nowhere else.
_PIECE = re.compile(
    r"""
    \s+ | [-+*/%()] | \.count
    | "[^"\\\n]*" | '[^'\\\n]*'
    | (?: [0-9]+ (?:,[0-9]{3}(?![0-9]))* (?:\.[0-9]*)? | \.[0-9]+ ) (?:[eE][-+]?[0-9]+)?
    """,
    re.VERBOSE,
)
_UNREADABLE = "not an arithmetic expression"
_TOO_LARGE = "number too large"
_LEAST_TOO_LARGE = 10**MOST_DIGITS


class _Refusal(Exception):
    """Its text is the answer."""


@define
class _Budget:
    operations: int
    deadline: float  # on this thread's own clock, so that a busy machine changes no answer

    def spend(self) -> None:
        self.operations -= 1
        if self.operations < 0:
            raise _Refusal("too many operations")
        if thread_time() > self.deadline:
            raise _Refusal("out of time")


def calculate(expression: str, *, seconds: float = SECONDS) -> str:
    """The value as Python prints it: `24` for 48//2, `0.5` for 1/2; or "error: ..."."""
    budget = _Budget(MOST_OPERATIONS, thread_time() + seconds)
    try:
        return str(_value(_parse(expression), budget, depth=0))
    except _Refusal as refusal:
        return f"error: {refusal}"
    except ZeroDivisionError:
        return "error: division by zero"
    except OverflowError:
        return f"error: {_TOO_LARGE}"


def _parse(expression: str) -> ast.expr:
    if len(expression) > LONGEST:
        raise _Refusal("expression too long")
    pieces = _PIECE.findall(expression)
    if sum(map(len, pieces)) < len(expression):
        raise _Refusal(_UNREADABLE)
    plain = "".join(piece if piece[0] in "\"'" else piece.replace(",", "") for piece in pieces)
    try:
        return ast.parse(plain.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise _Refusal(_UNREADABLE) from None


def _value(node: ast.expr, budget: _Budget, depth: int) -> Number:
    if depth > DEEPEST:
        raise _Refusal("nested too deep")
    match node:
        case ast.Constant(value=int() | float() as value):
            return _bounded(value)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _SIGNS:
            budget.spend()
            return _SIGNS[type(op)](_value(operand, budget, depth + 1))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            budget.spend()
            values = _value(left, budget, depth + 1), _value(right, budget, depth + 1)
            return _bounded(_OPERATIONS[type(op)](*values))
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str() as text), attr="count"),
            args=[ast.Constant(value=str() as counted)],
            keywords=[],
        ):
            return text.count(counted)
    raise _Refusal(_UNREADABLE)


def _bounded(value: Number | complex) -> Number:
    if isinstance(value, complex):
        raise _Refusal("not a real number")
    if abs(value) >= _LEAST_TOO_LARGE:  # so is infinity
        raise _Refusal(_TOO_LARGE)
    return value


def _power(base: Number, exponent: Number) -> Number | complex:
    """A power may be too large to work out; its bits are at least these, and not many more."""
    if isinstance(base, int) and isinstance(exponent, int):
        bits = (base.bit_length() - 1) * exponent
        if bits > _LEAST_TOO_LARGE.bit_length():
            raise _Refusal(_TOO_LARGE)
    return base**exponent


_SIGNS: dict[type, Callable[[Number], Number]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_OPERATIONS: dict[type, Callable[[Number, Number], Number | complex]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
