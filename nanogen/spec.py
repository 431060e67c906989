"""A model's document as typed tables: dims, modules, stacks, the model, each a set of parsed equations.

Checks keys and kinds, and parses every equation. Knows nothing of what names mean, of shapes or of numbers.
"""

from __future__ import annotations

import keyword
from typing import Any

from attrs import field, frozen

from nanogen.diagnostics import Diagnostic, Findings, Place, closest, nearest
from nanogen.document import Document, parse_document
from nanogen.expression import Expression, List_, Name, Number, SyntaxFault, Unary, parse
from nanogen.locate import KeyPath
from nanogen.reserved import MODULE_NAMES

LANGUAGE = 1

WORDS = frozenset({"tokens", "positions", "i", "turn", "true", "false", "none"})  # taken in every table
SECTIONS = ("kind", "language", "meta", "expect", "dims", "defaults", "module", "stack", "model")
LATER = ("use", "loop", "dial", "loss", "import")  # known, and refused by name until the compiler has them
TABLE_KEYS = {"module": ("inputs", "args"), "stack": ("inputs", "layers"), "model": ()}
META = ("name", "about", "source", "licence")
EXPECT = ("parameters",)


@frozen
class Equation:
    """A name and its expression; `path` is where the text stands in the document."""

    name: str
    expression: Expression
    path: KeyPath
    written: bool = True  # as text, so that spans point into it; a bare TOML number has none

    def place(self, part: Expression | None = None) -> Place:
        return Place(self.path, part.span if part is not None and self.written else None)


@frozen
class Rule:
    """One module of a choice, and the layers it claims: a list, a rule in `i`, or the rest (None)."""

    module: str
    layers: Equation | None
    path: KeyPath


@frozen
class Choice:
    """A name that stands for another module in each layer."""

    name: str
    rules: tuple[Rule, ...]
    path: KeyPath


@frozen
class Table:
    """A module, a stack or the model: inputs, arguments, and equations by name."""

    kind: str
    name: str
    path: KeyPath
    inputs: tuple[str, ...] = ("x",)
    args: dict[str, Equation] = field(factory=dict)
    equations: dict[str, Equation] = field(factory=dict)
    choices: dict[str, Choice] = field(factory=dict)
    layers: Equation | None = None

    @property
    def described(self) -> str:
        return "[model]" if self.kind == "model" else f"[{self.kind}.{self.name}]"

    @property
    def results(self) -> tuple[str, ...]:
        """Names of the equations that leave the table."""
        if self.kind == "stack":
            return tuple(name for name in self.inputs if name in self.equations)
        return ("y",) if self.kind == "module" else ("logits",)


@frozen
class Spec:
    """A model, read."""

    document: Document
    dims: dict[str, Equation]
    tables: dict[str, Table]  # modules and stacks by name
    model: Table
    defaults: dict[str, dict[str, Equation]]
    meta: dict[str, Any]
    expect: dict[str, int]
    written: dict[str, Equation]  # dims as the file has them, before `--set`
    overrides: dict[str, Any]  # dims that `--set` gave

    @property
    def name(self) -> str:
        return str(self.meta.get("name") or self.document.name.rsplit("/", 1)[-1].removesuffix(".toml"))


def read_spec(document: Document, overrides: dict[str, Any] | None = None) -> tuple[Spec, list[Diagnostic]]:
    """Return the typed spec and what is wrong with its keys and its grammar."""
    reader = _Reader(document, dict(overrides or {}))
    return reader.spec(), reader.findings.all


def read_override(text: str) -> tuple[str, Any]:
    """Split `NAME=VALUE` of `--set`, the value in TOML; raises ValueError with the reason."""
    name, sign, value = text.partition("=")
    name = name.strip()
    if not sign or not name.isidentifier():
        raise ValueError(f"`--set {text}` is not NAME=VALUE: `--set depth=12`, `--set 'attn=[2, 5]'`")
    document, faults = parse_document("--set", f"v = {value}")
    if faults:
        raise ValueError(f"`{value}` is not a TOML value: `--set depth=12`, `--set 'attn=[2, 5]'`")
    return name, document.data["v"]


class _Reader:
    def __init__(self, document: Document, overrides: dict[str, Any]):
        self.document, self.overrides = document, overrides
        self.findings = Findings()

    def fault(self, code: str, message: str, path: KeyPath, help: str = "", on_key: bool = False) -> None:
        self.findings.add(Diagnostic(code, message, Place(path, on_key=on_key), help=help))

    # -- the whole file

    def spec(self) -> Spec:
        data = self.document.data
        self.head(data)
        for key in data:
            if key not in SECTIONS:
                self.unknown_section(key)
        tables: dict[str, Table] = {}
        for kind in ("module", "stack"):
            for name, body in self.section(kind).items():
                if self.table_name(kind, name, body, tables):
                    tables[name] = self.table(kind, name, (kind, name), body)
        model = self.table("model", "model", ("model",), self.section("model", required=True))
        return Spec(
            document=self.document,
            dims=self.dims(self.overrides),
            tables=tables,
            model=model,
            defaults=self.defaults(),
            meta=self.meta(),
            expect=self.expect(),
            written=self.dims({}) if self.overrides else {},
            overrides=self.overrides,
        )

    def head(self, data: dict) -> None:
        if data.get("kind") != "model":
            found = f"found {data['kind']!r}".replace("'", '"') if "kind" in data else "the file has no `kind`"
            self.fault("NG102", f'a spec opens with `kind = "model"`: {found}', ("kind",), 'write `kind = "model"` first')
        language = data.get("language")
        if type(language) is not int or language < 1:
            self.fault("NG102", "a spec states its language", ("language",), f"write `language = {LANGUAGE}`")
        elif language > LANGUAGE:
            message = f"language {language} is newer than {LANGUAGE}, which this compiler reads"
            self.fault("NG105", message, ("language",), "use a newer nanogen")

    def unknown_section(self, key: str) -> None:
        if key in LATER:
            help = "leave it out: this compiler reads dims, modules, stacks and a model"
            self.fault("NG104", f"`{key}` is not in this compiler yet", (key,), help, on_key=True)
        else:
            self.fault("NG103", f"a spec has no `{key}`", (key,), nearest(key, SECTIONS), on_key=True)

    def section(self, name: str, required: bool = False) -> dict[str, Any]:
        found = self.document.data.get(name)
        if found is None:
            if required:
                self.fault("NG102", f"the table `[{name}]` is missing", (), f"add `[{name}]`")
            return {}
        if not isinstance(found, dict):
            self.fault("NG101", f"`{name}` is a table, found {_kind(found)}", (name,), f"write `[{name}]`")
            return {}
        return found

    # -- tables of equations

    def table_name(self, kind: str, name: str, body: Any, taken: dict) -> bool:
        path = (kind, name)
        if not isinstance(body, dict):
            help = f"write `[{kind}.NAME]` over its equations"
            self.fault("NG101", f"`{kind}.{name}` is a table, found {_kind(body)}", path, help)
            return False
        if name in taken:
            self.fault("NG107", f"`{name}` is a module and a stack", path, "rename one of the two", on_key=True)
            return False
        return self.usable(name, path)

    def usable(self, name: str, path: KeyPath, taken: tuple[str, ...] = ()) -> bool:
        """Refuse names that equations could not read."""
        if not name.isidentifier() or not name.isascii():
            self.fault("NG106", f"`{name}` is not a name", path, "use letters, digits and `_`", on_key=True)
            return False
        if keyword.iskeyword(name) or name in WORDS or name in taken:
            self.fault("NG106", f"`{name}` is taken by the language", path, "choose another name", on_key=True)
            return False
        if name in MODULE_NAMES or name.startswith("_"):
            self.fault("NG106", f"`{name}` is taken by PyTorch's modules", path, "choose another name", on_key=True)
            return False
        return True

    def table(self, kind: str, name: str, path: KeyPath, body: dict[str, Any]) -> Table:
        inputs, args, layers = ("x",), {}, None
        if kind == "model":
            inputs = ("tokens", "positions")
        elif "inputs" in body:
            inputs = self.inputs(body["inputs"], (*path, "inputs"), kind)
        if kind == "module" and "args" in body:
            args = self.args(body["args"], (*path, "args"))
        if kind == "stack":
            body, layers = self.layers(body, path, inputs)
        equations, choices = {}, {}
        for key, value in body.items():
            if key in TABLE_KEYS[kind]:
                continue
            if key == "exit" and kind == "stack":
                self.fault("NG104", "`exit` is not in this compiler yet", (*path, key), on_key=True)
            elif not self.usable(key, (*path, key)):
                continue
            elif isinstance(value, dict) and kind == "stack":
                choices[key] = self.choice(key, value, (*path, key))
            elif (equation := self.equation(key, value, (*path, key))) is not None:
                equations[key] = equation
        return Table(kind, name, path, inputs, args, equations, choices, layers)

    def inputs(self, found: Any, path: KeyPath, kind: str) -> tuple[str, ...]:
        if not isinstance(found, list) or not found or not all(isinstance(n, str) for n in found):
            self.fault("NG101", f"`inputs` is a list of names, found {_kind(found)}", path, 'write `inputs = ["x"]`')
            return ("x",)
        for place, name in enumerate(found):
            ids = name in ("tokens", "positions")  # handed down under their own name
            if found.index(name) != place:
                self.fault("NG107", f"the input `{name}` stands twice", (*path, place), "name each input once")
            elif not ids:
                self.usable(name, (*path, place))
        return tuple(dict.fromkeys(found))

    def args(self, found: Any, path: KeyPath) -> dict[str, Equation]:
        if not isinstance(found, dict):
            help = "write `args = { kernel = 3 }`"
            self.fault("NG101", f"`args` is a table of defaults, found {_kind(found)}", path, help)
            return {}
        named = {k: v for k, v in found.items() if self.usable(k, (*path, k), ("inputs", "args"))}
        read = {k: self.equation(k, v, (*path, k)) for k, v in named.items()}
        return {k: v for k, v in read.items() if v is not None}

    def layers(self, body: dict, path: KeyPath, inputs: tuple[str, ...]) -> tuple[dict, Equation | None]:
        """Read how many layers a stack has; a slip of the key is told as one fault, and read on."""
        key = "layers"
        if key not in body:
            slip = closest(key, (k for k, v in body.items() if k not in inputs and isinstance(v, str | int)))
            if slip is None:
                self.fault("NG102", "the key `layers` is missing", path, "say how many: `layers = \"depth\"`")
                return body, None
            help = "did you mean `layers`?"
            self.fault("NG103", f"`{slip}` is not a key of stacks, and `layers` is missing", (*path, slip), help, True)
            key = slip
        rest = {k: v for k, v in body.items() if k != key}
        return rest, self.equation("layers", body[key], (*path, key))

    def choice(self, name: str, value: dict, path: KeyPath) -> Choice:
        rules = []
        for module, layers in value.items():
            at = (*path, module)
            rule = None if layers == "rest" else self.equation(module, layers, at)
            if layers == "rest" or rule is not None:
                rules.append(Rule(module, rule, at))
        if not value:
            self.fault("NG102", f"the choice `{name}` names no module", path, 'write `{ attention = [1], mlp = "rest" }`')
        rest = [r for r in rules if r.layers is None]
        for extra in rest[1:]:
            self.fault("NG321", '`"rest"` is claimed twice', extra.path, "only one module can have the rest")
        return Choice(name, tuple(r for r in rules if r not in rest[1:]), path)

    def equation(self, name: str, value: Any, path: KeyPath) -> Equation | None:
        if not isinstance(value, str):
            expression = _literal(value)
            if expression is None:
                help = 'write it as text: `y = "linear(x, width)"`'
                self.fault("NG101", f"an equation is text or a number, found {_kind(value)}", path, help)
                return None
            return Equation(name, expression, path, written=False)
        try:
            return Equation(name, parse(value), path)
        except SyntaxFault as fault:
            self.findings.add(fault.at(Place(path, fault.span)))
            return None

    # -- the other sections

    def dims(self, overrides: dict[str, Any]) -> dict[str, Equation]:
        dims = {}
        for name, value in self.section("dims", required=True).items():
            path = ("dims", name)
            if not self.usable(name, path):
                continue
            given = overrides.get(name, value)
            if (equation := self.equation(name, given, path)) is not None:
                dims[name] = equation
        for name in overrides:
            if name not in dims:
                message = f"`--set {name}` names no dim of this spec"
                self.fault("NG108", message, ("dims",), nearest(name, dims))
        for name, example in (("vocab", 65536), ("context", 2048)):
            if name not in dims and "dims" in self.document.data:
                help = f"tokenizer and run read it: `{name} = {example}`"
                self.fault("NG102", f"the dim `{name}` is missing", ("dims",), help)
        return dims

    def defaults(self) -> dict[str, dict[str, Equation]]:
        found = {}
        for name, settings in self.section("defaults").items():
            path = ("defaults", name)
            if not isinstance(settings, dict):
                help = "write `rope = { base = 10000 }`"
                self.fault("NG101", f"`{name}` has a table of settings here, found {_kind(settings)}", path, help)
                continue
            read = {k: self.equation(k, v, (*path, k)) for k, v in settings.items()}
            found[name] = {k: v for k, v in read.items() if v is not None}
        return found

    def meta(self) -> dict[str, Any]:
        meta = self.section("meta")
        for key, value in meta.items():
            if key not in META:
                self.fault("NG103", f"`[meta]` has no `{key}`", ("meta", key), nearest(key, META), on_key=True)
            elif not isinstance(value, str):
                self.fault("NG101", f"`{key}` is text, found {_kind(value)}", ("meta", key))
        return {k: v for k, v in meta.items() if isinstance(v, str)}

    def expect(self) -> dict[str, int]:
        expect = self.section("expect")
        for key, value in expect.items():
            if key not in EXPECT:
                self.fault("NG103", f"`[expect]` has no `{key}`", ("expect", key), nearest(key, EXPECT), on_key=True)
            elif type(value) is not int:
                self.fault("NG101", f"`{key}` is a whole number, found {_kind(value)}", ("expect", key))
        return {k: v for k, v in expect.items() if k in EXPECT and type(v) is int}


def _literal(value: Any) -> Expression | None:
    """A bare TOML value as an expression."""
    at = (0, 0)
    if isinstance(value, bool):
        return Name(at, "true" if value else "false")
    if isinstance(value, int | float):
        return Number(at, value) if value >= 0 else Unary(at, "-", Number(at, -value))
    if isinstance(value, list):
        items = [_literal(v) for v in value]
        return None if None in items or len(items) > 10_000 else List_(at, tuple(items))  # type: ignore[arg-type]
    return None


def _kind(value: Any) -> str:
    """Say what a TOML value is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f'"{value}"' if len(value) < 40 else "text"
    return {dict: "a table", list: "a list"}.get(type(value), "a date")
