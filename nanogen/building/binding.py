"""A call of a primitive to its settings: inputs by position, then settings by position or name, then defaults.

Is handed the evaluator of the equation, and asks it for values; each kind of setting is read its own way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from nanogen.graph import Node
from nanogen.language import arithmetic
from nanogen.language.arithmetic import is_number, shown
from nanogen.language.expression import Binary, Call, Expression, Name, Number, Text, Unary, walk
from nanogen.language.initial import DRAWS, FUNCTIONS, VARIABLES, Law
from nanogen.language.settings import settings_of, signature
from nanogen.primitives import PRIMITIVES, Primitive, Variant
from nanogen.text.diagnostics import Diagnostic, Place, Reject, Stop, nearest

_LAWS = "laws are zeros, ones, eye, normal(std), trunc(std, cut), uniform(low, high), and arithmetic on them"

if TYPE_CHECKING:
    from nanogen.building.evaluate import Evaluator


def bind(at: Evaluator, name: str, call: Call) -> tuple[Primitive, tuple[Node, ...], tuple[Expression, ...]]:
    """Return the primitive with its settings, its input nodes, and the expressions they came from."""
    given, args = _leading(at, name, call)
    parts, rest = _inputs(at, name, call, args)
    inputs = tuple(_input(at, part) for part in parts)
    given |= _positional(at, name, call, rest)
    for keyword, value, span in call.keywords:
        if keyword == "weights":
            _borrowing(at, name, call, span)
            continue
        if keyword not in settings_of(name):
            known = nearest(keyword, settings_of(name)) or f"leave it out: `{name}` has no settings"
            raise _on_key(at, span, "NG113", f"`{name}` has no setting `{keyword}`", known)
        if keyword in given:
            raise _on_key(at, span, "NG112", f"`{keyword}` is given twice", f"written `{signature(name)}`")
        setting = settings_of(name)[keyword]
        if setting.metadata["kind"] == "value":
            further = _further_input(at, value)
            given[keyword] = len(inputs) if further else None
            inputs, parts = (*inputs, *further), (*parts, *[value] * len(further))
        else:
            given[keyword] = _setting(at, setting, value)
    _defaults(at, name, given)
    _complete(at, name, call, given)
    return PRIMITIVES[name](**given), inputs, parts


def _borrowing(at: Evaluator, name: str, call: Call, span: tuple[int, int]) -> None:
    """Refuse to say how weights of another call start: their owner does."""
    if name == "parameter":
        raise _on_key(
            at, span, "NG316", "a parameter has no weights to borrow", "read the other one by its name"
        )
    for keyword, _, other in call.keywords:
        if keyword in ("init", "role", "dtype"):
            help = f"leave `{keyword}` out, or say it there"
            raise _on_key(at, other, "NG112", f"the owner of shared weights says their `{keyword}`", help)


def _on_key(at: Evaluator, span: tuple[int, int], code: str, message: str, help: str) -> Stop:
    return Stop(
        Diagnostic(code, message, Place(at.equation.path, span if at.equation.written else None), help=help)
    )


def _leading(at: Evaluator, name: str, call: Call) -> tuple[dict[str, Any], tuple[Expression, ...]]:
    """The setting that is text and stands first, and the arguments behind it."""
    first = next((f.name for f in settings_of(name).values() if f.metadata["kind"] == "text"), None)
    if first is None:
        return {}, call.args
    if not call.args or not isinstance(call.args[0], Text):
        message = f"`{name}` takes its `{first}` first, as text"
        raise at.stop("NG112", message, call.args[0] if call.args else call, f"written `{signature(name)}`")
    return {first: call.args[0].value}, call.args[1:]


def _inputs(
    at: Evaluator, name: str, call: Call, args: tuple[Expression, ...]
) -> tuple[tuple[Expression, ...], tuple[Expression, ...]]:
    wanted = [n for n in PRIMITIVES[name].inputs if n != "..."]
    any_number = "..." in PRIMITIVES[name].inputs
    if len(args) < len(wanted):
        many = f"{len(wanted)} value{'s' if len(wanted) > 1 else ''}{' or more' if any_number else ''}"
        message = f"`{name}` takes {many}, found {len(args)}"
        raise at.stop("NG112", message, call, f"written `{signature(name)}`")
    count = len(args) if any_number else len(wanted)
    return args[:count], args[count:]


def _input(at: Evaluator, part: Expression) -> Node:
    found = at.evaluate(part)
    if not isinstance(found, Node):
        help = "primitives take values first, then settings"
        raise at.stop("NG204", f"a value is needed here, found {arithmetic.kind_of(found)}", part, help)
    return found


def _further_input(at: Evaluator, part: Expression) -> tuple[Node, ...]:
    """An input that a call may have or not: `none` is not."""
    found = at.evaluate(part)
    if found is not None and not isinstance(found, Node):
        message = f"a value is needed here, found {arithmetic.kind_of(found)}"
        raise at.stop("NG204", message, part, "give the value of an equation, or `none`")
    return () if found is None else (found,)


def _positional(at: Evaluator, name: str, call: Call, rest: tuple[Expression, ...]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    fields = [f for f in settings_of(name).values() if not f.kw_only]
    if fields and fields[0].metadata["kind"] == "sizes":
        given[fields[0].name] = tuple(_size(at, part, fields[0].name) for part in rest)
        return given
    if len(rest) > len(fields):
        extra = rest[len(fields)]
        raise at.stop(
            "NG112", f"`{name}` takes no further argument by position", extra, f"written `{signature(name)}`"
        )
    for setting, part in zip(fields, rest, strict=False):
        given[setting.name] = _setting(at, setting, part)
    return given


def _defaults(at: Evaluator, name: str, given: dict[str, Any]) -> None:
    """Fill in what the file's `[defaults]` say for this primitive."""
    for setting, equation in at.frame.table.defaults.get(name, {}).items():
        known = settings_of(name).get(setting)  # an unknown one was told where it stands
        if known is not None and setting not in given:
            given[setting] = _setting(attrs.evolve(at, equation=equation), known, equation.expression)


def _complete(at: Evaluator, name: str, call: Call, given: dict[str, Any]) -> None:
    missing = [
        f.name for f in settings_of(name).values() if f.default is attrs.NOTHING and f.name not in given
    ]
    if missing:
        help = f"written `{signature(name)}`"
        raise at.stop("NG112", f"`{name}` lacks `{missing[0]}`", call, help)


def _setting(at: Evaluator, setting: attrs.Attribute, part: Expression) -> Any:
    """Read a setting by its kind."""
    kind, name = setting.metadata["kind"], setting.name
    match kind:
        case "size":
            return _size(at, part, name)
        case "window":
            found = at.evaluate(part)
            return None if found is None else _size(at, part, name)
        case "number":
            found = at.evaluate(part)
            return found if found is None and setting.default is None else at.number(part)
        case "flag":
            return _flag(at, part, name)
        case "choice" | "stored":
            return _word(at, part, name, setting.metadata["names"])
        case "variant":
            return _variant(at, part, name, setting.metadata["forms"])
        case "role":
            if not isinstance(part, Name):
                raise at.stop("NG114", "a role is a word", part, "write it without quotes: `role=head`")
            return part.id
    assert kind == "init", kind
    return law(at, part)


def _size(at: Evaluator, part: Expression, name: str) -> int:
    found = at.number(part)
    try:
        return arithmetic.whole(found, f"`{name}`")
    except Reject as fault:
        raise at.reject(fault, part, at.notes(part, part)) from None


def _flag(at: Evaluator, part: Expression, name: str) -> bool:
    found = at.evaluate(part)
    if found in (0, 1) and is_number(found):
        return bool(found)
    message = f"`{name}` is true or false, found {arithmetic.kind_of(found)}"
    raise at.stop("NG114", message, part, f"write `{name}=true`, or a comparison")


def _word(at: Evaluator, part: Expression, name: str, words: tuple[str, ...]) -> str:
    if isinstance(part, Name) and part.id in words:
        return part.id
    found = part.id if isinstance(part, Name) else "this"
    raise at.stop("NG114", f"`{found}` is no `{name}`", part, f"one of {', '.join(f'`{w}`' for w in words)}")


def _variant(at: Evaluator, part: Expression, name: str, forms: dict[str, tuple[str, ...]]) -> Variant | None:
    """Read a word with its numbers: `linear(factor=8)`."""
    if isinstance(part, Name) and part.id == "none":
        return None
    written = " or ".join(f"`{form}({', '.join(f'{n}=..' for n in names)})`" for form, names in forms.items())
    if not isinstance(part, Call) or part.callee not in forms:
        found = part.callee if isinstance(part, Call) else part.id if isinstance(part, Name) else "this"
        raise at.stop("NG114", f"`{found}` is no `{name}`", part, f"written {written}")
    if part.args:
        message = f"the numbers of `{part.callee}` are given by name"
        raise at.stop("NG112", message, part.args[0], f"written {written}")
    numbers: dict[str, int | float] = {}
    for number, value, span in part.keywords:
        if number not in forms[part.callee]:
            help = f"written {written}"
            raise _on_key(at, span, "NG113", f"`{part.callee}` has no number `{number}`", help)
        if number in numbers:
            raise _on_key(at, span, "NG112", f"`{number}` is given twice", f"written {written}")
        numbers[number] = at.number(value)
    for number in forms[part.callee]:
        if number not in numbers:
            raise at.stop("NG112", f"`{part.callee}` lacks `{number}`", part, f"written {written}")
    return Variant(part.callee, tuple((n, numbers[n]) for n in forms[part.callee]))


def law(at: Evaluator, part: Expression) -> Law:
    """Read an initial law: draws, numbers, and arithmetic on both."""
    if isinstance(part, Name) and part.id in DRAWS:
        if DRAWS[part.id]:
            raise at.stop("NG115", f"`{part.id}` takes {_numbers(DRAWS[part.id])}, found none", part, _LAWS)
        return (part.id,)
    if isinstance(part, Name) and part.id in VARIABLES:
        return (part.id,)
    if isinstance(part, Call) and part.callee in DRAWS:
        return _draw(at, part)
    if not _mentions_law(part):
        return _plain(at, part)
    if isinstance(part, Call) and part.callee in FUNCTIONS and len(part.args) == 1:
        return (part.callee, law(at, part.args[0]))
    if isinstance(part, Binary) and part.operator in ("+", "-", "*", "/", "**"):
        left, right = law(at, part.left), law(at, part.right)
        if part.operator == "/" and is_number(right) and not right:
            raise at.stop("NG302", "this law divides by zero", part.right, "divide by another number")
        return (part.operator, left, right)
    if isinstance(part, Unary) and part.operator == "-":
        return ("-", law(at, part.operand))
    raise at.stop("NG115", "this is no initial law", part, _LAWS)


def _numbers(count: int) -> str:
    return "1 number" if count == 1 else f"{count} numbers"


def _draw(at: Evaluator, part: Call) -> Law:
    if len(part.args) != DRAWS[part.callee] or part.keywords:
        message = f"`{part.callee}` takes {_numbers(DRAWS[part.callee])}, found {len(part.args)}"
        raise at.stop("NG115", message, part, _LAWS)
    numbers = [law(at, a) for a in part.args]
    if all(is_number(n) for n in numbers):
        _check_draw(at, part, numbers)
    return (part.callee, *numbers)


def _check_draw(at: Evaluator, part: Call, numbers: list) -> None:
    if part.callee == "uniform" and numbers[0] > numbers[1]:
        message = f"the low end of `uniform`, {shown(numbers[0])}, is above its high end, {shown(numbers[1])}"
        raise at.stop("NG115", message, part, "written `uniform(low, high)`")
    if part.callee in ("normal", "trunc") and numbers[0] < 0:
        message = f"a standard deviation is at least 0, found {shown(numbers[0])}"
        raise at.stop("NG115", message, part.args[0], "write it without the sign")
    if part.callee == "trunc" and numbers[1] <= 0:
        message = f"a cut is above 0, found {shown(numbers[1])}"
        raise at.stop("NG115", message, part.args[1], "the cut counts standard deviations: `trunc(0.02, 3)`")


def _plain(at: Evaluator, part: Expression) -> int | float:
    if isinstance(part, Number):
        return part.value
    return at.number(part)


def _mentions_law(part: Expression) -> bool:
    words = {*DRAWS, *VARIABLES}
    return any(
        (isinstance(p, Name) and p.id in words) or (isinstance(p, Call) and p.callee in DRAWS)
        for p in walk(part)
    )
