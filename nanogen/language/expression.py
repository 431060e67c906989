"""Equation text to a small tree, through Python's `ast` and an allow-list. Nothing is ever evaluated here.

Every node keeps the characters it came from, so that a fault can point at the smallest part to blame.
"""

from __future__ import annotations

import ast
import keyword
import re
import warnings
from collections.abc import Iterator
from functools import lru_cache

from attrs import frozen

from nanogen.text.diagnostics import Reject
from nanogen.text.locate import Span

MAX_CHARACTERS = 2000  # of one equation
MAX_DEPTH = 40  # of brackets and of the tree
MAX_TERMS = 200  # of one sum or product: its tree leans left, one level a term


@frozen
class Expression:
    """A node of the tree; `span` is the characters of the equation it was read from."""

    span: Span


@frozen
class Number(Expression):
    value: int | float


@frozen
class Text(Expression):
    """A string inside an equation: einsum's pattern, nothing else."""

    value: str


@frozen
class Name(Expression):
    id: str


@frozen
class Attribute(Expression):
    """A read inside a call: `attn.v`."""

    base: Expression
    name: str


@frozen
class Unary(Expression):
    operator: str  # "-" or "not"
    operand: Expression


@frozen
class Binary(Expression):
    operator: str
    left: Expression
    right: Expression


@frozen
class Compare(Expression):
    """A chain as in `0 <= place < 3`."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]


@frozen
class Logic(Expression):
    operator: str  # "and" or "or"
    items: tuple[Expression, ...]


@frozen
class Conditional(Expression):
    """`A if COND else B`."""

    test: Expression
    then: Expression
    other: Expression


@frozen
class Call(Expression):
    callee: str
    callee_span: Span
    args: tuple[Expression, ...]
    keywords: tuple[tuple[str, Expression, Span], ...]  # name, value, characters of `name=`


@frozen
class Slice(Expression):
    start: Expression | None
    stop: Expression | None


@frozen
class Ellipsis_(Expression):
    """`...` in a subscript."""


@frozen
class NewAxis(Expression):
    """`None` in a subscript."""


@frozen
class Subscript(Expression):
    base: Expression
    items: tuple[Expression, ...]


@frozen
class List_(Expression):
    items: tuple[Expression, ...]


class SyntaxFault(Reject):
    """A refusal that knows which characters of the equation are to blame."""

    def __init__(self, message: str, span: Span, help: str = ""):
        super().__init__("NG011", message, help)
        self.span = span


_BINARY = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
    ast.FloorDiv: "//",
    ast.Mod: "%",
}
_COMPARE = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_WORDS = {True: "true", False: "false", None: "none"}
_KINDS = {
    "lambda": "`lambda`",
    "joinedstr": "text with values in it",
    "tuple": "commas outside of a call or a list",
    "namedexpr": "`:=`",
    "starred": "`*` before a name",
    "listcomp": "comprehension",
    "setcomp": "comprehension",
    "dictcomp": "comprehension",
    "generatorexp": "comprehension",
    "dict": "table",
    "yieldfrom": "`yield`",
    "yield": "`yield`",
    "await": "`await`",
    "slice": "slice outside a subscript",
}
_SPLIT = "split it into two equations"
_BRACKET_OR_TEXT = re.compile(r"[()\[\]{}]|'[^'\n]*'|\"[^\"\n]*\"")
_KEYWORD = re.compile(rf"(?:{'|'.join(k for k in keyword.kwlist if k not in ('True', 'False', 'None'))})\b")
_ALLOWED = "an equation has calls, arithmetic, names, numbers, lists, subscripts and `A if COND else B`"


@lru_cache(maxsize=20_000)
def parse(text: str) -> Expression:
    """Return the tree of an equation; raises SyntaxFault."""
    _check_bounds(text)
    _check_brackets(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's own advice on odd literals is not for spec authors
            tree = ast.parse(f"({text}\n)", mode="eval").body  # brackets, so that an equation may span lines
    except SyntaxError as error:
        raise _python_fault(text, error) from None
    except (RecursionError, MemoryError, ValueError):
        raise SyntaxFault("this equation is nested too deeply", (0, len(text)), _SPLIT) from None
    return _Reader(text).read(tree, 0)


def _check_bounds(text: str) -> None:
    whole = (0, len(text))
    if not text.strip():
        raise SyntaxFault("this equation is empty", whole, "write a call, arithmetic, or a number")
    if len(text) > MAX_CHARACTERS:
        message = f"this equation has {len(text):,} characters, more than {MAX_CHARACTERS:,}"
        raise SyntaxFault(message, whole, "split it: equations find each other by name")
    for place, char in enumerate(text):
        if char == "#":
            raise SyntaxFault(
                "`#` has no meaning in an equation", (place, len(text)), "a comment stands behind the quotes"
            )
        if char == "\\" or (not char.isprintable() and char not in "\n\t"):
            shown = char if char.isprintable() else f"U+{ord(char):04X}"
            raise SyntaxFault(f"`{shown}` has no meaning in an equation", (place, place + 1), _ALLOWED)


def _check_brackets(text: str) -> None:
    """Blame the bracket itself: Python would see the pair that `parse` puts around."""
    opened: list[int] = []
    for match in _BRACKET_OR_TEXT.finditer(text):
        place, char = match.start(), match.group()
        here = (place, place + 1)
        if char in "([{":
            opened.append(place)
        elif char in ")]}" and not opened:
            raise SyntaxFault("this bracket closes nothing", here, "remove it, or open it before")
        elif char in ")]}" and "([{".index(text[opened.pop()]) != ")]}".index(char):
            raise SyntaxFault(
                f"`{char}` closes a bracket of another kind", here, "brackets close in the order they open"
            )
        if len(opened) > MAX_DEPTH:
            raise SyntaxFault("brackets are nested too deeply", here, _SPLIT)
    if opened:
        raise SyntaxFault("this bracket is not closed", (opened[-1], opened[-1] + 1), "close it")


def _python_fault(text: str, error: SyntaxError) -> SyntaxFault:
    start = min(_python_offset(text, error.lineno, error.offset), len(text) - 1)
    end = max(_python_offset(text, error.end_lineno, error.end_offset), start + 1)
    advice = error.msg or ""
    if (error.lineno or 1) > text.count("\n") + 1:  # Python met the bracket behind
        end = len(text.rstrip())
        return SyntaxFault("this equation stops too early", (end - 1, end), "something is missing behind it")
    if "cannot assign" in advice or "Maybe you meant" in advice:
        equals = max(text.find("=", start), start)
        help = "settings stand in a call: `linear(x, 8, init=zeros)`"
        return SyntaxFault("`=` has no meaning here", (equals, equals + 1), help)
    if "forgot a comma" in advice:
        return SyntaxFault(
            "something is missing between these", (start, end), "a comma, an operator or a bracket"
        )
    if "expected 'else'" in advice:
        return SyntaxFault("this `if` has no `else`", (start, end), "write `A if COND else B`")
    if found := _KEYWORD.match(text, start):
        return SyntaxFault(f"`{found.group()}` cannot stand here", found.span(), _ALLOWED)
    return SyntaxFault("this is not an equation from here on", (start, start + 1), _ALLOWED)


def _python_offset(text: str, line: int | None, column: int | None) -> int:
    """Where Python's line and column, both from 1, are in the text without the bracket in front."""
    lines = text.split("\n")
    row = min(max((line or 1) - 1, 0), len(lines) - 1)
    before = sum(len(above) + 1 for above in lines[:row])
    return min(before + max((column or 1) - (2 if row == 0 else 1), 0), len(text))


class _Reader:
    """Turns Python's tree into ours and refuses what is not on the list."""

    def __init__(self, text: str):
        self.text = text
        encoded = text.encode()
        self.ascii = len(encoded) == len(text)
        starts, place = [], 0
        for line in text.split("\n"):
            starts.append(place)
            place += len(line) + 1
        self.line_starts = starts
        self.terms = 0

    def span(self, node: ast.expr | ast.keyword) -> Span:
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return self._offset(node.lineno, node.col_offset), self._offset(end_line, end_column)

    def _offset(self, line: int, column: int) -> int:
        row = line - 1
        if row >= len(self.line_starts):  # the bracket that `parse` put behind
            return len(self.text)
        if row == 0:
            column -= 1  # the bracket that `parse` put in front
        if not self.ascii:  # Python counts bytes
            text = self.text[self.line_starts[row] :].encode()
            column = len(text[:column].decode(errors="ignore"))
        return min(self.line_starts[row] + max(column, 0), len(self.text))

    def read(self, node: ast.expr, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise SyntaxFault("this equation is nested too deeply", self.span(node), _SPLIT)
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            kind = type(node).__name__.lower()
            raise SyntaxFault(f"an equation has no {_KINDS.get(kind, kind)}", self.span(node), _ALLOWED)
        return method(node, depth + 1)

    def _constant(self, node: ast.Constant, depth: int) -> Expression:
        span, value = self.span(node), node.value
        if value is ...:
            return Ellipsis_(span)
        if isinstance(value, bool) or value is None:
            word = _WORDS[value]
            raise SyntaxFault(f"`{value}` is written `{word}` here", span, f"write `{word}`")
        if isinstance(value, str):
            return Text(span, value)
        if isinstance(value, int | float) and abs(value) < 1e300:
            return Number(span, value)
        raise SyntaxFault(
            "this is not a number that an equation can hold", span, "sizes are whole numbers below 2 ** 63"
        )

    def _name(self, node: ast.Name, depth: int) -> Expression:
        return Name(self.span(node), node.id)

    def _attribute(self, node: ast.Attribute, depth: int) -> Expression:
        return Attribute(self.span(node), self.read(node.value, depth), node.attr)

    def _unaryop(self, node: ast.UnaryOp, depth: int) -> Expression:
        operator = {ast.USub: "-", ast.Not: "not"}.get(type(node.op))
        if operator is None:
            raise SyntaxFault(
                "this sign has no meaning in an equation", self.span(node), "there are `-` and `not`"
            )
        return Unary(self.span(node), operator, self.read(node.operand, depth))

    def _binop(self, node: ast.BinOp, depth: int) -> Expression:
        operator = _BINARY.get(type(node.op))
        if operator is None:
            raise SyntaxFault(
                "this operator has no meaning in an equation", self.span(node), "there are + - * / ** // %"
            )
        # a long sum leans left: its left side is not deeper for the reader
        leans = isinstance(node.left, ast.BinOp)
        self.terms = self.terms + 1 if leans else 0
        if self.terms > MAX_TERMS:
            raise SyntaxFault(f"more than {MAX_TERMS} terms stand in a row", self.span(node), _SPLIT)
        left = self.read(node.left, depth - 1 if leans else depth)
        return Binary(self.span(node), operator, left, self.read(node.right, depth))

    def _compare(self, node: ast.Compare, depth: int) -> Expression:
        rest = []
        for op, right in zip(node.ops, node.comparators, strict=True):
            if type(op) not in _COMPARE:
                raise SyntaxFault(
                    "`is` compares nothing here",
                    self.span(node),
                    "numbers are compared with < <= > >= == != in",
                )
            rest.append((_COMPARE[type(op)], self.read(right, depth)))
        return Compare(self.span(node), self.read(node.left, depth), tuple(rest))

    def _boolop(self, node: ast.BoolOp, depth: int) -> Expression:
        operator = "and" if isinstance(node.op, ast.And) else "or"
        return Logic(self.span(node), operator, tuple(self.read(v, depth) for v in node.values))

    def _ifexp(self, node: ast.IfExp, depth: int) -> Expression:
        test, then, other = (self.read(n, depth) for n in (node.test, node.body, node.orelse))
        return Conditional(self.span(node), test, then, other)

    def _call(self, node: ast.Call, depth: int) -> Expression:
        if not isinstance(node.func, ast.Name):
            raise SyntaxFault(
                "only a name can be called", self.span(node.func), "call a module or a primitive"
            )
        args = tuple(self.read(a, depth) for a in node.args)
        keywords = []
        for given in node.keywords:
            span = self.span(given)
            if given.arg is None:
                raise SyntaxFault("`**` unpacks nothing here", span, "give each setting by its name")
            keywords.append((given.arg, self.read(given.value, depth), (span[0], span[0] + len(given.arg))))
        return Call(self.span(node), node.func.id, self.span(node.func), args, tuple(keywords))

    def _subscript(self, node: ast.Subscript, depth: int) -> Expression:
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if not items:
            raise SyntaxFault(
                "this subscript names no axis", self.span(node), "write `x[0]`, `x[:8]` or `x[..., None]`"
            )
        return Subscript(
            self.span(node), self.read(node.value, depth), tuple(self._item(i, depth) for i in items)
        )

    def _item(self, node: ast.expr, depth: int) -> Expression:
        if isinstance(node, ast.Slice):
            if node.step is not None:
                raise SyntaxFault("a slice has no step here", self.span(node), "write `start:stop`")
            start, stop = (self.read(n, depth) if n else None for n in (node.lower, node.upper))
            return Slice(self.span(node), start, stop)
        if isinstance(node, ast.Constant) and node.value is None:
            return NewAxis(self.span(node))
        return self.read(node, depth)

    def _list(self, node: ast.List, depth: int) -> Expression:
        return List_(self.span(node), tuple(self.read(e, depth) for e in node.elts))


def children(node: Expression) -> Iterator[Expression]:
    """Yield the parts of a node."""
    match node:
        case Attribute(base=base):
            yield base
        case Unary(operand=operand):
            yield operand
        case Binary(left=left, right=right):
            yield left
            yield right
        case Compare(first=first, rest=rest):
            yield first
            yield from (e for _, e in rest)
        case Logic(items=items) | List_(items=items):
            yield from items
        case Conditional(test=test, then=then, other=other):
            yield from (test, then, other)
        case Call(args=args, keywords=keywords):
            yield from args
            yield from (value for _, value, _ in keywords)
        case Slice(start=start, stop=stop):
            yield from (e for e in (start, stop) if e is not None)
        case Subscript(base=base, items=items):
            yield base
            yield from items


def dotted(node: Expression) -> tuple[Expression, str]:
    """Split `trunk.moe.pick` into what stands in front, and the path behind it."""
    names: list[str] = []
    while isinstance(node, Attribute):
        names.append(node.name)
        node = node.base
    return node, ".".join(reversed(names))


def walk(node: Expression) -> Iterator[Expression]:
    """Yield the node and everything in it."""
    yield node
    for child in children(node):
        yield from walk(child)
