"""A model's document as typed tables: dims, modules, stacks, the model, each a set of parsed equations.

Checks keys and kinds, and parses every equation. Knows nothing of what names mean, of shapes or of numbers.
"""

from __future__ import annotations

import keyword
import re
from typing import Any

from attrs import frozen

from nanogen.diagnostics import Diagnostic, Findings, Place, closest, nearest
from nanogen.document import Document, parse_document
from nanogen.expression import SyntaxFault, parse
from nanogen.literal import kind_of_value, literal, no_equation
from nanogen.locate import KeyPath
from nanogen.reserved import MODULE_NAMES
from nanogen.tables import Choice, Equation, Rule, Table

LANGUAGE = 1

WORDS = frozenset({"tokens", "positions", "i", "turn", "true", "false", "none"})  # taken in every table
TABLES = ("model", "dims", "defaults", "loss")  # taken as names of tables
SECTIONS = ("kind", "language", "meta", "expect", "dims", "defaults", "module", "stack", "model")
LATER = ("use", "loop", "dial", "loss", "import")  # known, and refused by name until the compiler has them
TABLE_KEYS = {"module": ("inputs", "args"), "stack": ("inputs", "layers"), "model": ()}
FOREIGN = {  # keys of other tables, and what to do instead
    "model": {"inputs": "the model's inputs are `tokens` and `positions`", "args": "write dims instead"},
    "stack": {"args": 'write dims, or facts as `window = "context if i % 4 == 3 else short"`'},
}
OTHER_KINDS = {  # of files that are no models, and who reads them
    "run": "`nanogen run` takes it",
    "hardware": "`nanogen flops --hardware` takes it",
}
META = ("name", "about", "source", "licence")
EXPECT = ("parameters",)

_PLAIN = re.compile(r"[\w.+-][\w .+-]*", re.ASCII)  # it stands in emitted source and in paths


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
    refused: frozenset[str] = frozenset()  # dims and tables that are there and cannot be read
    readable: bool = (
        True  # False where the file lacks its head, its dims or its model: nothing else can be said
    )

    @property
    def name(self) -> str:
        name = self.meta.get("name") or self.document.name.rsplit("/", 1)[-1].removesuffix(".toml")
        return re.sub(r"[^\w .+-]", "_", name, flags=re.ASCII)


def read_spec(document: Document, overrides: dict[str, Any] | None = None) -> tuple[Spec, list[Diagnostic]]:
    """Return the typed spec and what is wrong with its keys and its grammar."""
    reader = _Reader(document, dict(overrides or {}))
    return reader.spec(), reader.findings.all


def read_override(text: str) -> tuple[str, Any]:
    """Split `NAME=VALUE` of `--set`, the value in TOML; raises ValueError with the reason."""
    name, sign, value = text.partition("=")
    name = name.strip()
    if not sign or not name.isidentifier() or not text.isprintable():
        shown = text if text.isprintable() else ascii(text)[1:-1]
        raise ValueError(f"`--set {shown}` is not NAME=VALUE: `--set depth=12`, `--set 'attn=[2, 5]'`")
    document, faults = parse_document("--set", f"v = {value}")
    if faults:
        raise ValueError(f"`{value}` is not a TOML value: `--set depth=12`, `--set 'attn=[2, 5]'`")
    return name, document.data["v"]


class _Reader:
    def __init__(self, document: Document, overrides: dict[str, Any]):
        self.document, self.overrides = document, overrides
        self.findings = Findings()
        self.keys: dict[str, str] = {}  # section -> the key it stands under, a slip where it was misspelt
        self.refused: set[str] = set()  # dims and tables
        self.readable = True

    def fault(self, code: str, message: str, path: KeyPath, help: str = "", on_key: bool = False) -> None:
        self.findings.add(Diagnostic(code, message, Place(path, on_key=on_key), help=help))

    # -- the whole file

    def spec(self) -> Spec:
        self.head(self.document.data)
        if self.readable:
            self.sections(self.document.data)
        tables: dict[str, Table] = {}
        for kind in ("module", "stack"):
            for name, body in self.section(kind).items():
                if self.table_name(kind, name, body, tables):
                    tables[name] = self.table(kind, name, (self.keys[kind], name), body)
        model = self.table("model", "model", (self.keys.get("model", "model"),), self.section("model"))
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
            refused=frozenset(self.refused),
            readable=self.readable,
        )

    def head(self, data: dict) -> None:
        kind, language = data.get("kind"), data.get("language")
        if not data:
            help = 'a spec has `kind = "model"`, `language = 1`, `[dims]` and `[model]`'
            self.fault("NG102", "the file is empty", (), help)
            self.readable = False
        elif kind is None:
            self.fault("NG102", "the file does not say its kind", ("kind",), 'write `kind = "model"` first')
        elif kind != "model":
            help = OTHER_KINDS.get(str(kind), 'write `kind = "model"`')
            self.fault(
                "NG101", f'the kind of a spec is "model", found {kind_of_value(kind)}', ("kind",), help
            )
            self.readable = str(kind) not in OTHER_KINDS
        if not self.readable:
            return
        if language is None:
            help = f"write `language = {LANGUAGE}`"
            self.fault("NG102", "the file does not say its language", ("language",), help)
        elif type(language) is not int or language < 1:
            message = f"`language` is a whole number from 1 on, found {kind_of_value(language)}"
            self.fault("NG101", message, ("language",), f"write `language = {LANGUAGE}`")
        elif language > LANGUAGE:
            message = f"language {language} is newer than {LANGUAGE}, which this compiler reads"
            self.fault("NG105", message, ("language",), "use a newer nanogen")
            self.readable = False

    def sections(self, data: dict) -> None:
        """Find each section, under a slip of its name too, and refuse what is none."""
        self.keys = {name: name for name in SECTIONS if name in data}
        for key in data:
            if key in LATER:
                help = "leave it out: this compiler reads dims, modules, stacks and a model"
                self.fault("NG104", f"`{key}` is not in this compiler yet", (key,), help, on_key=True)
            elif key not in SECTIONS:
                meant = self.meant(key, data[key])
                help = f"did you mean `{meant}`?" if meant else nearest(key, SECTIONS)
                self.fault("NG103", f"a spec has no `{key}`", (key,), help, on_key=True)
                self.keys |= {meant: key} if meant is not None else {}
        for name in ("dims", "model"):
            if name not in self.keys:
                self.fault("NG102", f"the table `[{name}]` is missing", (), f"add `[{name}]`")
                self.readable = False

    def meant(self, key: str, value: Any) -> str | None:
        """The section that is absent, has this shape, and a name like this key's."""
        if not isinstance(value, dict):
            return None
        nested = bool(value) and all(isinstance(v, dict) for v in value.values())
        alike = [
            s for s in SECTIONS[2:] if s not in self.keys and (s in ("module", "stack", "defaults")) == nested
        ]
        return closest(key, alike)

    def section(self, name: str) -> dict[str, Any]:
        """The section's values; empty where it is absent, or is no table."""
        if name not in self.keys:
            return {}
        key = self.keys[name]
        found = self.document.data[key]
        if not isinstance(found, dict):
            self.fault(
                "NG101", f"`{name}` is a table, found {kind_of_value(found)}", (key,), f"write `[{name}]`"
            )
            self.readable = False
            return {}
        return found

    # -- tables of equations

    def table_name(self, kind: str, name: str, body: Any, taken: dict) -> bool:
        path = (self.keys[kind], name)
        if not isinstance(body, dict):
            help = f"write `[{kind}.NAME]` over its equations"
            self.fault("NG101", f"`{kind}.{name}` is a table, found {kind_of_value(body)}", path, help)
            self.refused.add(name)
        elif name in taken:
            self.fault(
                "NG107", f"`{name}` is a module and a stack", path, "rename one of the two", on_key=True
            )
        elif self.usable(name, path, TABLES):
            return True
        else:
            self.refused.add(name)
        return False

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

    def table(self, kind: str, name: str, path: KeyPath, body: dict[str, Any]) -> Table:
        inputs, args, layers = ("x",), {}, None
        keys = self.table_keys(kind, body, path)
        if kind == "model":
            inputs = ("tokens", "positions")
        elif "inputs" in keys:
            inputs = self.inputs(body[keys["inputs"]], (*path, keys["inputs"]))
        if "args" in keys:
            args = self.args(body[keys["args"]], (*path, keys["args"]))
        if kind == "stack":
            layers, keys["layers"] = self.layers(body, path, inputs)
        equations, choices, refused = {}, {}, set()
        for key in (k for k in body if k not in keys.values()):
            value, at = body[key], (*path, key)
            if not self.own_key(kind, key, at) or not self.usable(key, at):
                refused.add(key)
            elif isinstance(value, dict) and kind == "stack":
                choices[key] = self.choice(key, value, at)
            elif (equation := self.equation(key, value, at)) is not None:
                equations[key] = equation
            else:
                refused.add(key)
        if "args" in keys and isinstance(found := body[keys["args"]], dict):
            refused |= set(found) - set(args)
        return Table(kind, name, path, inputs, args, equations, choices, layers, frozenset(refused))

    def table_keys(self, kind: str, body: dict[str, Any], path: KeyPath) -> dict[str, str]:
        """The table's own keys and what they stand under: themselves, or a slip, told from an equation by its kind."""
        keys = {key: key for key in TABLE_KEYS[kind] if key in body}
        for wanted, type_ in (("inputs", list), ("args", dict)):
            if wanted not in TABLE_KEYS[kind] or wanted in body:
                continue
            slip = closest(
                wanted, (k for k, v in body.items() if isinstance(v, type_) and (v or type_ is dict))
            )
            if slip is not None and (type_ is dict or all(isinstance(n, str) for n in body[slip])):
                help = f"did you mean `{wanted}`?"
                self.fault("NG103", f"`{slip}` is not a key of {kind}s", (*path, slip), help, on_key=True)
                keys[wanted] = slip
        return keys

    def own_key(self, kind: str, key: str, path: KeyPath) -> bool:
        """Refuse keys that mean something in tables of another kind."""
        if key == "exit" and kind == "stack":
            help = "leave it out: a stack climbs all its layers"
            self.fault("NG104", "`exit` is not in this compiler yet", path, help, on_key=True)
            return False
        help = FOREIGN.get(kind, {}).get(key)
        if help is not None:
            self.fault(
                "NG103",
                f"`{key}` is not a key of {'the model' if kind == 'model' else 'stacks'}",
                path,
                help,
                True,
            )
        return help is None

    def inputs(self, found: Any, path: KeyPath) -> tuple[str, ...]:
        if not isinstance(found, list) or not found or not all(isinstance(n, str) for n in found):
            self.fault(
                "NG101",
                f"`inputs` is a list of names, found {kind_of_value(found)}",
                path,
                'write `inputs = ["x"]`',
            )
            return ("x",)
        for place, name in enumerate(found):
            ids = name in ("tokens", "positions")  # handed down under their own name
            if name in found[:place]:
                self.fault(
                    "NG107", f"the input `{name}` stands twice", (*path, place), "name each input once"
                )
            elif not ids:
                self.usable(name, (*path, place))
        return tuple(dict.fromkeys(found))

    def args(self, found: Any, path: KeyPath) -> dict[str, Equation]:
        if not isinstance(found, dict):
            help = "write `args = { kernel = 3 }`"
            self.fault("NG101", f"`args` is a table of defaults, found {kind_of_value(found)}", path, help)
            return {}
        taken = ("inputs", "args", "weights")
        named = {k: v for k, v in found.items() if self.usable(k, (*path, k), taken, attribute=False)}
        read = {k: self.equation(k, v, (*path, k)) for k, v in named.items()}
        return {k: v for k, v in read.items() if v is not None}

    def layers(self, body: dict, path: KeyPath, inputs: tuple[str, ...]) -> tuple[Equation | None, str]:
        """Read how many layers a stack has, and under which key; a slip of it is told as one fault, and read on."""
        key = "layers"
        if key not in body:
            slip = closest(key, (k for k, v in body.items() if k not in inputs and isinstance(v, str | int)))
            if slip is None:
                self.fault("NG102", "the key `layers` is missing", path, 'say how many: `layers = "depth"`')
                return None, key
            help = "did you mean `layers`?"
            self.fault(
                "NG103",
                f"`{slip}` is not a key of stacks, and `layers` is missing",
                (*path, slip),
                help,
                True,
            )
            key = slip
        return self.equation("layers", body[key], (*path, key)), key

    def choice(self, name: str, value: dict, path: KeyPath) -> Choice:
        rules: list[Rule] = []
        rests = 0
        for module, layers in value.items():
            at = (*path, module)
            if layers == "rest":
                rests += 1
                if rests > 1:
                    self.fault("NG321", '`"rest"` is claimed twice', at, "only one module can have the rest")
                    continue
                rules.append(Rule(module, None, at))
            elif (rule := self.equation(module, layers, at)) is not None:
                rules.append(Rule(module, rule, at))
        if not value:
            self.fault(
                "NG102",
                f"the choice `{name}` names no module",
                path,
                'write `{ attention = [1], mlp = "rest" }`',
            )
        return Choice(name, tuple(rules), path, whole=0 < len(rules) == len(value))

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

    # -- the other sections

    def dims(self, overrides: dict[str, Any]) -> dict[str, Equation]:
        dims, found = {}, self.section("dims")
        key = self.keys.get("dims", "dims")
        for name, value in found.items():
            path = (key, name)
            equation = None
            if self.usable(name, path, attribute=False):
                equation = self.equation(
                    name, overrides.get(name, value), path, written=name not in overrides
                )
            if equation is not None:
                dims[name] = equation
            else:
                self.refused.add(name)
        for name in overrides:
            if name not in found and self.readable:
                message = f"`--set {name}` names no dim of this spec"
                self.fault("NG108", message, (key,), nearest(name, found))
        for name, example in (("vocab", 65536), ("context", 2048)):
            if name not in found and self.readable:
                help = f"tokenizer and run read it: `{name} = {example}`"
                self.fault("NG102", f"the dim `{name}` is missing", (key,), help)
                self.refused.add(name)
        return dims

    def defaults(self) -> dict[str, dict[str, Equation]]:
        found, key = {}, self.keys.get("defaults", "defaults")
        for name, settings in self.section("defaults").items():
            path = (key, name)
            if not isinstance(settings, dict):
                help = "write `rope = { base = 10000 }`"
                self.fault(
                    "NG101",
                    f"`{name}` has a table of settings here, found {kind_of_value(settings)}",
                    path,
                    help,
                )
                continue
            read = {k: self.equation(k, v, (*path, k)) for k, v in settings.items()}
            found[name] = {k: v for k, v in read.items() if v is not None}
        return found

    def meta(self) -> dict[str, Any]:
        meta, section = self.section("meta"), self.keys.get("meta", "meta")
        for key, value in meta.items():
            path = (section, key)
            if key not in META:
                self.fault("NG103", f"`[meta]` has no `{key}`", path, nearest(key, META), on_key=True)
            elif not isinstance(value, str):
                self.fault(
                    "NG101", f"`{key}` is text, found {kind_of_value(value)}", path, "write it in quotes"
                )
            elif key == "name" and not _PLAIN.fullmatch(value):
                self.fault(
                    "NG106",
                    "a model's name has other characters than letters, digits and `._-`",
                    path,
                    "rename it",
                )
        return {k: v for k, v in meta.items() if isinstance(v, str)}

    def expect(self) -> dict[str, int]:
        expect, section = self.section("expect"), self.keys.get("expect", "expect")
        for key, value in expect.items():
            path = (section, key)
            if key not in EXPECT:
                self.fault("NG103", f"`[expect]` has no `{key}`", path, nearest(key, EXPECT), on_key=True)
            elif type(value) is not int:
                help = "write the number as published, without quotes"
                self.fault("NG101", f"`{key}` is a whole number, found {kind_of_value(value)}", path, help)
        return {k: v for k, v in expect.items() if k in EXPECT and type(v) is int}
