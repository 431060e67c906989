"""Laws: numbers, or equations in numbers by name, read once and computed many times. Text is never evaluated.

Knows nothing of optimizers: which names there are, and what they stand for, is told by the caller.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from attrs import frozen

from nanogen.language import arithmetic
from nanogen.language.arithmetic import FUNCTIONS
from nanogen.language.expression import (
    Binary,
    Call,
    Compare,
    Conditional,
    Expression,
    Logic,
    Name,
    Number,
    SyntaxFault,
    Unary,
    children,
    parse,
)
from nanogen.language.literal import kind_of_value, literal
from nanogen.text.diagnostics import Diagnostic, Place, Reject, Stop, nearest
from nanogen.text.locate import KeyPath

MORE: dict[str, Callable[[float], float]] = {"cos": math.cos, "log2": math.log2}  # beside those of a spec
CALLED = (*FUNCTIONS, *MORE)
_KINDS = (Number, Name, Unary, Binary, Compare, Logic, Conditional, Call)
_HELP = "a law has numbers, names, arithmetic, functions and `A if COND else B`"


@frozen
class Law:
    """A law and where it stands; one written as a bare number has no characters to point at."""

    path: KeyPath
    expression: Expression
    written: bool = True

    def place(self, part: Expression | None = None) -> Place:
        return Place(self.path, part.span if part is not None and self.written else None)

    def stop(self, code: str, message: str, part: Expression | None = None, help: str = "") -> Stop:
        return Stop(Diagnostic(code, message, self.place(part), help=help))


def read_law(value: Any, path: KeyPath) -> Law:
    """A TOML value as a law; raises Stop where it is none."""
    if isinstance(value, str):
        try:
            return Law(path, parse(value))
        except SyntaxFault as fault:
            raise Stop(fault.at(Place(path, fault.span))) from None
    if isinstance(value, bool | list) or (expression := literal(value)) is None:
        message = f"a law is a number or text, found {kind_of_value(value)}"
        raise Stop(Diagnostic("NG101", message, Place(path), help='write `rate = "0.2 * width ** -0.5"`'))
    return Law(path, expression, written=False)


def check_law(law: Law, names: Collection[str]) -> Iterator[Diagnostic]:
    """Yield what the law cannot mean: names that are not among `names`, and parts of an equation that it has no use for."""
    waiting = [law.expression]
    while waiting:
        part = waiting.pop(0)
        waiting = [*children(part), *waiting]
        code, message, help = "", "", ""
        if not isinstance(part, _KINDS):
            code, message, help = "NG011", "this has no meaning in a law", _HELP
            waiting = waiting[len(list(children(part))) :]
        elif isinstance(part, Name) and part.id not in names and part.id not in ("true", "false"):
            code, message = "NG201", f"no law can read `{part.id}` here"
            help = nearest(part.id, names)
        elif isinstance(part, Call) and (part.callee not in CALLED or part.keywords):
            code, message = "NG202", f"a law has no function `{part.callee}`"
            help = f"functions are {', '.join(CALLED)}"
            if part.callee in CALLED:
                code, message, help = "NG112", f"`{part.callee}` takes numbers alone", "leave names out"
        if code:
            yield Diagnostic(code, message, law.place(part), help=help)


def names_of(law: Law) -> set[str]:
    """The names that a law reads."""
    waiting, found = [law.expression], set()
    while waiting:
        part = waiting.pop()
        waiting += children(part)
        if isinstance(part, Name):
            found.add(part.id)
    return found


def reached(laws: Mapping[str, Law], *first: Law) -> set[str]:
    """The names of those laws that the `first` ones read, themselves or by others of them."""
    found: set[str] = set()
    waiting = list(first)
    while waiting:
        new = (names_of(waiting.pop()) & laws.keys()) - found
        found |= new
        waiting += [laws[name] for name in new]
    return found


class Scope:
    """Numbers by name, some known and some by laws; a law is computed when it is first read."""

    def __init__(self, numbers: Mapping[str, int | float], *laws: Mapping[str, Law]):
        self.numbers: dict[str, int | float] = {"pi": math.pi, "true": 1, "false": 0, **numbers}
        self.laws = {name: law for table in laws for name, law in table.items()}
        self.open: list[str] = []

    def compute(self, law: Law) -> int | float:
        """The number that a law stands for; raises Stop where it has none."""
        return self._value(law, law.expression)

    def read(self, name: str, law: Law, part: Expression | None = None) -> int | float:
        """The number of a name that `law` reads."""
        if name in self.numbers:
            return self.numbers[name]
        if name not in self.laws:
            message = f"`{name}` is not known yet where this is computed"
            raise law.stop("NG201", message, part, nearest(name, self.numbers))
        if name in self.open:
            circle = " -> ".join([*self.open[self.open.index(name) :], name])
            raise law.stop("NG203", f"laws that wait for each other: {circle}", part, "break the circle")
        self.open.append(name)
        self.numbers[name] = found = self.compute(self.laws[name])
        self.open.pop()
        return found

    def _value(self, law: Law, part: Expression) -> int | float:
        try:
            return self._computed(law, part)
        except Reject as fault:
            raise Stop(fault.at(law.place(part))) from None

    def _computed(self, law: Law, part: Expression) -> int | float:
        match part:
            case Number(value=value):
                return value
            case Name(id=name):
                return self.read(name, law, part)
            case Unary(operator=operator, operand=operand):
                value = self._value(law, operand)
                return arithmetic.negate(value) if operator == "-" else not value
            case Binary(operator=operator, left=left, right=right):
                return arithmetic.binary(operator, self._value(law, left), self._value(law, right))
            case Compare(first=first, rest=rest):
                return self._compared(law, first, rest)
            case Logic(operator=operator, items=items):
                values = (bool(self._value(law, item)) for item in items)
                return all(values) if operator == "and" else any(values)
            case Conditional(test=test, then=then, other=other):
                return self._value(law, then if self._value(law, test) else other)
            case Call(callee=callee, args=args):
                return _called(callee, [self._value(law, a) for a in args])
        raise AssertionError(f"a law that was not checked: {part}")

    def _compared(self, law: Law, first: Expression, rest: tuple[tuple[str, Expression], ...]) -> bool:
        left = self._value(law, first)
        for operator, part in rest:
            right = self._value(law, part)
            if not arithmetic.compare(operator, left, right):
                return False
            left = right
        return True


def _called(name: str, args: list[Any]) -> int | float:
    if name not in MORE:
        return arithmetic.function(name, args)
    if len(args) != 1:
        raise Reject("NG112", f"`{name}` takes one number, found {len(args)}", f"write `{name}(width)`")
    try:
        return MORE[name](args[0])
    except ValueError:
        raise Reject(
            "NG302", f"{name}({arithmetic.shown(args[0])}) has no value", "it has to be above 0"
        ) from None
