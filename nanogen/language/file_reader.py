"""A spec's document as typed parts: its head, dims, dials, tables, defaults and prose, each checked key by key.

Knows nothing of other files, of what names mean, of shapes or of numbers.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import define, field

from nanogen.language.dial_reader import read_dial
from nanogen.language.expression import Call, Name
from nanogen.language.literal import kind_of_value
from nanogen.language.table_reader import KINDS, TAKEN, TableReader
from nanogen.language.tables import DialTable, Equation, Table
from nanogen.text.diagnostics import closest, nearest
from nanogen.text.document import Document
from nanogen.text.locate import KeyPath

LANGUAGE = 1
SECTIONS = (
    "kind",
    "language",
    "use",
    "meta",
    "expect",
    "dims",
    "dial",
    "defaults",
    *KINDS,
    "model",
    "loss",
    "import",
)
NESTED = ("dial", "defaults", "import", *KINDS)  # tables of tables
OF_LIBRARY = ("kind", "language", "use", "meta", "dims", "dial", "defaults", *KINDS)
OTHER_KINDS = {  # of files that are no models, and who reads them
    "run": "`nanogen run` takes it",
    "hardware": "`nanogen flops --hardware` takes it",
}
META = ("name", "about", "source", "licence")
EXPECT = ("parameters",)

PLAIN = re.compile(r"[\w.+-][\w .+-]*", re.ASCII)  # it stands in emitted source and in paths


@define
class Parts:
    """What one file declares."""

    dims: dict[str, Equation] = field(factory=dict)
    written: dict[str, Equation] = field(factory=dict)  # dims as the file has them, before `--set`
    dials: dict[str, DialTable] = field(factory=dict)
    tables: dict[str, Table] = field(factory=dict)
    model: Table | None = None
    defaults: dict[str, dict[str, Equation]] = field(factory=dict)
    use: dict[str, KeyPath] = field(factory=dict)  # files it uses, and where it says so
    meta: dict[str, Any] = field(factory=dict)
    expect: dict[str, int] = field(factory=dict)


class FileReader(TableReader):
    """Reads one document. A library has tables to lend; a model has a `[model]` of its own."""

    def __init__(
        self,
        document: Document,
        overrides: dict[str, Any] | None = None,
        *,
        base: KeyPath = (),
        library: bool = False,
    ):
        super().__init__(base)
        self.document, self.overrides, self.library = document, overrides or {}, library
        self.keys: dict[str, str] = {}  # section -> the key it stands under, a slip where it was misspelt
        self.refused: set[str] = set()  # dims and tables
        self.readable = True

    def path(self, *keys: str | int) -> KeyPath:
        return (*self.base, *keys)

    def parts(self) -> Parts:
        self.head(self.document.data)
        if self.readable:
            self.sections(self.document.data)
        parts = Parts(defaults=self.defaults())
        for kind in KINDS:
            for name, body in self.section(kind).items():
                if self.table_name(kind, name, body, parts.tables):
                    table = self.table(kind, name, self.path(self.keys[kind], name), body)
                    parts.tables[name] = table.with_defaults(parts.defaults)
        if not self.library:
            path = self.path(self.keys.get("model", "model"))
            model = self.table("model", "model", path, self.section("model"))
            parts.model = model.with_defaults(parts.defaults)
            self.loss()
        parts.dials = self.dials()
        parts.dims = self.dims(self.overrides, parts.dials)
        parts.written = self.dims({}, parts.dials) if self.overrides else {}
        parts.use, parts.meta, parts.expect = self.use(), self.meta(), self.expect()
        return parts

    # -- the whole file

    def head(self, data: dict) -> None:
        kinds = ("library", "model") if self.library else ("model",)
        kind, language = data.get("kind"), data.get("language")
        if not data:
            help = 'a spec has `kind = "model"`, `language = 1`, `[dims]` and `[model]`'
            what = f"`{self.document.name}`" if self.library else "the file"
            self.fault("NG102", f"{what} is empty", self.path(), help)
            self.readable = False
        elif kind is None:
            help = f'write `kind = "{kinds[0]}"` first'
            self.fault("NG102", "the file does not say its kind", self.path("kind"), help)
        elif kind not in kinds:
            self.readable = self.another_kind(kind, kinds)
        if not self.readable:
            return
        if language is None:
            help = f"write `language = {LANGUAGE}`"
            self.fault("NG102", "the file does not say its language", self.path("language"), help)
        elif type(language) is not int or language < 1:
            message = f"`language` is a whole number from 1 on, found {kind_of_value(language)}"
            self.fault("NG101", message, self.path("language"), f"write `language = {LANGUAGE}`")
        elif language > LANGUAGE:
            message = f"language {language} is newer than {LANGUAGE}, which this compiler reads"
            self.fault("NG105", message, self.path("language"), "use a newer nanogen")
            self.readable = False

    def another_kind(self, kind: Any, kinds: tuple[str, ...]) -> bool:
        """Refuse a file of another kind; return whether it may be read on all the same."""
        wanted = " or ".join(f'"{k}"' for k in kinds)
        help = f'write `kind = "{kinds[0]}"`'
        if kind in OTHER_KINDS and not self.library:
            help = OTHER_KINDS[kind]
        elif kind == "library" and not self.library:
            help = "a library lends its modules to models: name it in their `use`"
        what = "a file that is used" if self.library else "a spec"
        message = f"the kind of {what} is {wanted}, found {kind_of_value(kind)}"
        self.fault("NG101", message, self.path("kind"), help)
        return kind != "library" and kind not in OTHER_KINDS

    def sections(self, data: dict) -> None:
        """Find each section, under a slip of its name too, and refuse what is none."""
        known = OF_LIBRARY if self.library and data.get("kind") == "library" else SECTIONS
        self.keys = {name: name for name in known if name in data}
        for key in data:
            if key not in known:
                meant = self.meant(key, data[key], known)
                help = f"did you mean `{meant}`?" if meant else nearest(key, known)
                what = "library" if known is OF_LIBRARY else "spec"
                self.fault("NG103", f"a {what} has no `{key}`", self.path(key), help, on_key=True)
                self.keys |= {meant: key} if meant is not None else {}
        for name in () if self.library else ("dims", "model"):
            if name not in self.keys:
                self.fault("NG102", f"the table `[{name}]` is missing", self.path(), f"add `[{name}]`")
                self.readable = False

    def meant(self, key: str, value: Any, known: tuple[str, ...]) -> str | None:
        """The section that is absent, has this shape, and a name like this key's."""
        if not isinstance(value, dict):
            return None
        nested = bool(value) and all(isinstance(v, dict) for v in value.values())
        alike = [s for s in known[3:] if s not in self.keys and (s in NESTED) == nested]
        return closest(key, alike)

    def section(self, name: str) -> dict[str, Any]:
        """The section's values; empty where it is absent, or is no table."""
        if name not in self.keys:
            return {}
        key = self.keys[name]
        found = self.document.data[key]
        if not isinstance(found, dict):
            message = f"`{name}` is a table, found {kind_of_value(found)}"
            self.fault("NG101", message, self.path(key), f"write `[{name}]`")
            self.readable = False
            return {}
        return found

    def table_name(self, kind: str, name: str, body: Any, taken: dict[str, Table]) -> bool:
        path = self.path(self.keys[kind], name)
        if not isinstance(body, dict):
            help = f"write `[{kind}.NAME]` over its equations"
            self.fault("NG101", f"`{kind}.{name}` is a table, found {kind_of_value(body)}", path, help)
            self.refused.add(name)
        elif name in taken:
            message = f"`{name}` is a {taken[name].kind} and a {kind}"
            self.fault("NG107", message, path, "rename one of the two", on_key=True)
        elif self.usable(name, path, TAKEN):
            return True
        else:
            self.refused.add(name)
        return False

    # -- the other sections

    def use(self) -> dict[str, KeyPath]:
        if "use" not in self.keys:
            return {}
        found, help = self.document.data["use"], 'write `use = ["std/attention.toml"]`'
        if not isinstance(found, list):
            message = f"`use` is a list of files, found {kind_of_value(found)}"
            self.fault("NG101", message, self.path("use"), help)
            self.readable = False
            return {}
        for place, name in enumerate(found):
            if not isinstance(name, str) or not name.endswith(".toml"):
                message = f"a file is named by text that ends in `.toml`, found {kind_of_value(name)}"
                self.fault("NG101", message, self.path("use", place), help)
                self.readable = False
        if not self.readable:
            return {}
        return {name: self.path("use", place) for place, name in reversed(list(enumerate(found)))}

    def dials(self) -> dict[str, DialTable]:
        dials: dict[str, DialTable] = {}
        for name, body in self.section("dial").items():
            path = self.path(self.keys["dial"], name)
            if not self.usable(name, path, attribute=False):
                self.refused.add(name)
                continue
            dials[name] = DialTable(path, read_dial(self, name, body, path, self.overrides.get(name)))
        return dials

    def dims(self, overrides: dict[str, Any], dials: dict[str, DialTable]) -> dict[str, Equation]:
        dims, found = {}, self.section("dims")
        key = self.keys.get("dims", "dims")
        for name, value in found.items():
            path = self.path(key, name)
            equation = None
            if self.usable(name, path, attribute=False):
                equation = self.equation(
                    name, overrides.get(name, value), path, written=name not in overrides
                )
            if equation is not None:
                dims[name] = equation
            else:
                self.refused.add(name)
        for name, example in (("vocab", 65536), ("context", 2048)):
            if name not in found and self.readable and not self.library:
                help = f"tokenizer and run read it: `{name} = {example}`"
                self.fault("NG102", f"the dim `{name}` is missing", self.path(key), help)
                self.refused.add(name)
        return dims

    def unknown_override(self, name: str, parts: Parts) -> None:
        """Refuse a `--set` of what neither this file nor one that it uses has."""
        known = {*parts.dims, *parts.dials}
        message = f"`--set {name}` names no dim of this spec"
        self.fault("NG108", message, self.path(self.keys.get("dims", "dims")), nearest(name, known))

    def defaults(self) -> dict[str, dict[str, Equation]]:
        found, key = {}, self.keys.get("defaults", "defaults")
        for name, settings in self.section("defaults").items():
            path = self.path(key, name)
            if not isinstance(settings, dict):
                message = f"`{name}` has a table of settings here, found {kind_of_value(settings)}"
                self.fault("NG101", message, path, "write `rope = { base = 10000 }`")
                continue
            read = {k: self.equation(k, v, (*path, k)) for k, v in settings.items()}
            found[name] = {k: v for k, v in read.items() if v is not None}
        return found

    def loss(self) -> None:
        """The default loss may be written out; all that goes beyond it comes later."""
        found, key = self.section("loss"), self.keys.get("loss", "loss")
        for name, value in found.items():
            path = self.path(key, name)
            equation = self.equation(name, value, path)
            if equation is not None and not _is_default_loss(equation):
                help = 'the loss of this compiler is `next = "cross_entropy(logits)"`, which need not be said'
                self.fault("NG104", "a loss of one's own is not in this compiler yet", path, help)

    def meta(self) -> dict[str, Any]:
        meta, section = self.section("meta"), self.keys.get("meta", "meta")
        for key, value in meta.items():
            path = self.path(section, key)
            if key not in META:
                self.fault("NG103", f"`[meta]` has no `{key}`", path, nearest(key, META), on_key=True)
            elif not isinstance(value, str):
                message = f"`{key}` is text, found {kind_of_value(value)}"
                self.fault("NG101", message, path, "write it in quotes")
            elif key == "name" and not PLAIN.fullmatch(value):
                message = "a model's name has other characters than letters, digits and `._-`"
                self.fault("NG106", message, path, "rename it")
        return {k: v for k, v in meta.items() if isinstance(v, str)}

    def expect(self) -> dict[str, int]:
        expect, section = self.section("expect"), self.keys.get("expect", "expect")
        for key, value in expect.items():
            path = self.path(section, key)
            if key not in EXPECT:
                self.fault("NG103", f"`[expect]` has no `{key}`", path, nearest(key, EXPECT), on_key=True)
            elif type(value) is not int:
                help = "write the number as published, without quotes"
                self.fault("NG101", f"`{key}` is a whole number, found {kind_of_value(value)}", path, help)
        return {k: v for k, v in expect.items() if k in EXPECT and type(v) is int}


def _is_default_loss(equation: Equation) -> bool:
    call = equation.expression
    if not isinstance(call, Call) or call.callee != "cross_entropy" or call.keywords or len(call.args) != 1:
        return False
    return equation.name == "next" and isinstance(call.args[0], Name) and call.args[0].id == "logits"
