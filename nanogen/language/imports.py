"""Import tables as a spec declares them: for each parameter, where a published checkpoint keeps it.

Reads keys, patterns and names into typed lines. Knows nothing of graphs, of files or of shapes.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from typing import Any

from attrs import field, frozen

from nanogen.language.arithmetic import FUNCTIONS
from nanogen.language.expression import (
    Attribute,
    Binary,
    Call,
    Compare,
    Conditional,
    Expression,
    List_,
    Logic,
    Name,
    Number,
    Slice,
    Subscript,
    SyntaxFault,
    Unary,
    parse,
    walk,
)
from nanogen.language.literal import kind_of_value
from nanogen.language.tables import Equation
from nanogen.text.diagnostics import Diagnostic, Findings, Place, nearest
from nanogen.text.locate import KeyPath

CONSTANTS = ("true", "false", "none")
MAX_CHARACTERS = 500  # of a pattern or a name

_BRACES = re.compile(r"\{([^{}]*)\}")
_PUBLISHED = re.compile(r"[\w./:-]+", re.ASCII)
_NUMERIC = (Number, Name, Unary, Binary, Compare, Logic, Conditional, Call, List_, Subscript)
_LEFT = 'write the path as the graph has it, a layer\'s number in braces: `"trunk.{i}.mlp.up.weight"`'
_RIGHT = 'write a tensor\'s name, and what is cut from it: `"h.{i}.c_attn.weight.T[:width]"`'


@frozen
class Each:
    """`{e < experts}` in a name: a tensor for each number below the bound, stacked on a new first axis."""

    name: str
    bound: Equation


@frozen
class Cut:
    """One item of a subscript: a number, or the range from one number to another."""

    start: Equation | None
    stop: Equation | None
    single: bool


@frozen
class Source:
    """A published tensor as a line names it: text and numbers that make the name, then what is cut from it."""

    text: str  # as written
    name: tuple[str | Equation | Each, ...]
    steps: tuple[str | tuple[Cut, ...], ...]  # "T", or one cut an axis
    place: Place


@frozen
class ImportLine:
    """`"trunk.{i}.attn.q.weight" = "h.{i}.attn.c_q.weight"`; several sources are joined on the first axis.

    With a `module` it is for the parameters in that module alone: layers that have another one have a line of
    their own.
    """

    pattern: tuple[str, ...]  # parts of the path; `{i}` stands for a layer's number
    sources: tuple[Source, ...]
    path: KeyPath
    module: str | None = None

    def match(self, parts: tuple[str, ...], within: tuple[str, ...]) -> dict[str, int] | None:
        """The layer numbers that a parameter's path gives the placeholders; None where it is another path."""
        if len(parts) != len(self.pattern) or (self.module is not None and self.module not in within):
            return None
        found = {}
        for wanted, part in zip(self.pattern, parts, strict=True):
            if wanted[0] == "{" and part.isdecimal():
                found[wanted[1:-1]] = int(part)
            elif wanted != part:
                return None
        return found


@frozen
class ImportTable:
    """`[import.NAME]`: how one kind of published checkpoint calls what this model has."""

    name: str
    path: KeyPath
    about: str = ""
    ignore: tuple[str, ...] = ()
    lines: tuple[ImportLine, ...] = ()
    reads: frozenset[str] = field(factory=frozenset)  # dims


def read_imports(
    section: dict[str, Any], key: str, dims: set[str], modules: set[str]
) -> tuple[dict[str, ImportTable], list[Diagnostic]]:
    """Return the import tables under `key`, and what is wrong with them; `dims` and `modules` are all names of these."""
    reader = _Reader(dims, modules)
    tables = {}
    for name, body in section.items():
        path = (key, name)
        if isinstance(body, dict):
            tables[name] = reader.table(name, body, path)
        else:
            help = f'write `[{key}.NAME]` over lines such as `"embed.weight" = "wte.weight"`'
            reader.fault("NG101", f"`{name}` is a table here, found {kind_of_value(body)}", Place(path), help)
    return tables, reader.findings.all


class _Reader:
    def __init__(self, dims: set[str], modules: set[str]):
        self.dims, self.modules, self.findings = dims, modules, Findings()
        self.read: set[str] = set()  # dims that the table at hand reads

    def fault(self, code: str, message: str, place: Place, help: str) -> None:
        self.findings.note(code, message, place, help=help)

    def table(self, name: str, body: dict[str, Any], path: KeyPath) -> ImportTable:
        self.read = set()
        about = body.get("about", "")
        if not isinstance(about, str):
            message = f"`about` is text, found {kind_of_value(about)}"
            self.fault("NG101", message, Place((*path, "about")), "say in quotes whose checkpoint this is")
        ignore = self.ignore(body.get("ignore", []), (*path, "ignore"))
        keys = [key for key in body if key not in ("about", "ignore")]
        lines = tuple(line for key in keys for line in self.lines(key, body[key], (*path, key)))
        return ImportTable(name, path, str(about), ignore, lines, frozenset(self.read))

    def ignore(self, found: Any, path: KeyPath) -> tuple[str, ...]:
        if isinstance(found, list) and all(isinstance(name, str) for name in found):
            return tuple(found)
        help = 'write `ignore = ["*.rotary_emb.inv_freq"]`'
        self.fault("NG101", f"`ignore` is a list of names, found {kind_of_value(found)}", Place(path), help)
        return ()

    # -- a line

    def lines(self, key: str, value: Any, path: KeyPath) -> Iterator[ImportLine]:
        """The line of a path, or one for each module that a table of them names."""
        named = value if isinstance(value, dict) else {None: value}
        unknown = [module for module in named if module is not None and module not in self.modules]
        if (unknown or not named) and "." not in key:
            help = f'a path with dots stands in quotes: `"{key}.weight" = ..`'
            self.fault("NG501", f"`{key}` is a table here, not a line", Place(path, on_key=True), help)
            return
        for module in unknown:
            message, help = f"there is no module `{module}`", nearest(module, self.modules) or _RIGHT
            self.fault("NG202", message, Place((*path, module), on_key=True), help)
        pattern = self.pattern(key, path)
        for module, value in named.items():
            at = path if module is None else (*path, module)
            sources = self.sources(value, at, {p[1:-1] for p in pattern or () if p[0] == "{"})
            if pattern is not None and sources is not None and module not in unknown:
                yield ImportLine(pattern, sources, at, module)

    def sources(self, value: Any, path: KeyPath, given: set[str]) -> tuple[Source, ...] | None:
        texts = value if isinstance(value, list) else [value]
        if not texts or not all(isinstance(text, str) for text in texts):
            message = f"a line names one tensor or a list of them, found {kind_of_value(value)}"
            self.fault("NG101", message, Place(path), _RIGHT)
            return None
        places = [(*path, n) for n in range(len(texts))] if isinstance(value, list) else [path]
        found = [self.source(text, at, given) for text, at in zip(texts, places, strict=True)]
        return None if None in found else tuple(source for source in found if source is not None)

    def pattern(self, key: str, path: KeyPath) -> tuple[str, ...] | None:
        """The path on the left, in parts; None where it is none."""
        place = Place(path, on_key=True)
        parts = tuple(key.split("."))
        placeholders = [part[1:-1] for part in parts if part.startswith("{") and part.endswith("}")]
        plain = [part for part in parts if not (part.startswith("{") and part.endswith("}"))]
        if len(key) > MAX_CHARACTERS or not all(re.fullmatch(r"\w+", part, re.ASCII) for part in plain):
            self.fault("NG501", f"`{_short(key)}` is not a path of parameters", place, _LEFT)
            return None
        for name in placeholders:
            if not name.isidentifier() or keyword.iskeyword(name) or name in (*FUNCTIONS, *CONSTANTS):
                message = f"`{{{_short(name)}}}` does not stand for a layer's number"
                self.fault("NG501", message, place, "write a name in the braces: `{i}`")
                return None
            if name in self.dims or placeholders.count(name) > 1:
                message = f"`{name}` is a dim and a layer's number" if name in self.dims else ""
                message = message or f"`{{{name}}}` stands twice in this path"
                self.fault("NG107", message, place, "choose another name")
                return None
        return parts

    # -- the right side

    def source(self, text: str, path: KeyPath, given: set[str]) -> Source | None:
        whole = Place(path)
        blank = _BRACES.sub(lambda m: "_" * len(m[0]), text)  # of the same length: places stay
        end = _name_end(blank)
        if len(text) > MAX_CHARACTERS or not _PUBLISHED.fullmatch(blank[:end]):
            shown = _short(text[:end])
            message = f"`{shown}` is not a tensor's name" if shown else "there is no tensor's name here"
            self.fault("NG501", message, whole, _RIGHT)
            return None
        before = len(self.findings.all)
        try:
            name = self.name(text[:end], path, given)
            known = given | {part.name for part in name if isinstance(part, Each)}
            tail = "_" * end + text[end:].replace("{", "(").replace("}", ")")
            steps = tuple(self.steps(parse(tail), path, known))
        except SyntaxFault as fault:
            self.fault("NG501", fault.message, Place(path, fault.span), fault.help)
            return None
        return Source(text, name, steps, whole) if len(self.findings.all) == before else None

    def name(self, text: str, path: KeyPath, given: set[str]) -> tuple[str | Equation | Each, ...]:
        """The pieces of a name: text, and what stands in braces."""
        pieces: list[str | Equation | Each] = []
        last = 0
        for match in _BRACES.finditer(text):
            pieces += [text[last : match.start()]] if match.start() > last else []
            last = match.end()
            if not match[1].strip():
                raise SyntaxFault("these braces are empty", match.span(), "write a layer's number: `{i}`")
            tree = parse(" " * match.start(1) + match[1])
            pieces.append(self.each(tree, path, given) or self.numbers(tree, path, given))
        if sum(isinstance(piece, Each) for piece in pieces) > 1:
            raise SyntaxFault("a name counts twice", (0, len(text)), "one `{e < experts}` is stacked a line")
        return (*pieces, text[last:]) if last < len(text) else tuple(pieces)

    def each(self, tree: Expression, path: KeyPath, given: set[str]) -> Each | None:
        """`e < experts` with a name that the left side does not have."""
        match tree:
            case Compare(first=Name(id=name), rest=(("<", bound),)) if name not in given | self.dims:
                return Each(name, self.numbers(bound, path, given))
        return None

    def steps(self, tree: Expression, path: KeyPath, given: set[str]) -> Iterator[str | tuple[Cut, ...]]:
        match tree:
            case Name():
                return
            case Attribute(base=base, name="T"):
                yield from self.steps(base, path, given)
                yield "T"
            case Subscript(base=base, items=items):
                yield from self.steps(base, path, given)
                yield tuple(self.cut(item, path, given) for item in items)
            case _:
                raise SyntaxFault(
                    "a tensor's name is followed by `.T` and subscripts alone", tree.span, _RIGHT
                )

    def cut(self, item: Expression, path: KeyPath, given: set[str]) -> Cut:
        if isinstance(item, Slice):
            start, stop = (self.numbers(p, path, given) if p else None for p in (item.start, item.stop))
            return Cut(start, stop, single=False)
        return Cut(self.numbers(item, path, given), None, single=True)

    def numbers(self, tree: Expression, path: KeyPath, given: set[str]) -> Equation:
        """A number computed from layer numbers and dims; raises SyntaxFault for what is none."""
        known = given | self.dims
        for node in walk(tree):
            place = Place(path, node.span)
            if not isinstance(node, _NUMERIC):
                help = "a layer's number is computed from names on the left and dims: `{i + 1}`"
                raise SyntaxFault("this computes no number", node.span, help)
            if isinstance(node, Name) and node.id not in (*known, *CONSTANTS):
                message = f"`{node.id}` is neither a placeholder of the left side nor a dim"
                self.fault("NG201", message, place, nearest(node.id, known) or _LEFT)
            elif isinstance(node, Call) and node.callee not in FUNCTIONS:
                message = f"`{node.callee}` is not a function of numbers"
                self.fault("NG202", message, Place(path, node.callee_span), nearest(node.callee, FUNCTIONS))
            elif isinstance(node, Name) and node.id in self.dims:
                self.read.add(node.id)
        return Equation("", tree, path)


def _name_end(blank: str) -> int:
    """Where the name ends: before the first bracket, and before `.T` that stands at its end."""
    end = blank.find("[") if "[" in blank else len(blank)
    while blank[:end].endswith(".T"):
        end -= 2
    return end


def _short(text: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= 60 else f"{text[:60]}.."
