"""A model's document, and the files it uses, as one typed spec: dims, dials, tables, each a set of parsed equations.

Knows nothing of what names mean, of shapes or of numbers.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen

from nanogen.language.dials import Dial
from nanogen.language.file_reader import FileReader, Parts
from nanogen.language.imports import ImportTable, read_imports
from nanogen.language.tables import DialTable, Equation, Table
from nanogen.text.diagnostics import Diagnostic, Findings, Note, Place
from nanogen.text.document import Document, Origin, parse_document

Opener = Callable[[str], tuple[Document, list[Diagnostic]]]  # key of a used file -> its document


@frozen
class Spec:
    """A model, read."""

    document: Document
    dims: dict[str, Equation]
    dials: dict[str, DialTable]
    tables: dict[str, Table]  # modules, stacks and loops by name
    model: Table
    defaults: dict[str, dict[str, Equation]]
    meta: dict[str, Any]
    expect: dict[str, int]
    imports: dict[str, ImportTable]
    written: dict[str, Equation]  # dims as the file has them, before `--set`
    overrides: dict[str, Any]  # dims that `--set` gave
    used: dict[str, Document] = field(factory=dict)  # files that it uses, by their path from this one
    refused: frozenset[str] = frozenset()  # dims and tables that are there and cannot be read
    readable: bool = (
        True  # False where the file lacks its head, its dims or its model: nothing else can be said
    )

    @property
    def name(self) -> str:
        name = self.meta.get("name") or self.document.name.rsplit("/", 1)[-1].removesuffix(".toml")
        return re.sub(r"[^\w .+-]", "_", name, flags=re.ASCII)

    @property
    def turned(self) -> dict[str, Dial]:
        """The dials, by name."""
        return {name: table.dial for name, table in self.dials.items()}

    def borrowed(self, table: Table) -> bool:
        """Whether a table comes from a file that this one uses."""
        return bool(table.path) and isinstance(table.path[0], Origin)


def read_spec(
    document: Document, overrides: dict[str, Any] | None = None, open_file: Opener | None = None
) -> tuple[Spec, list[Diagnostic]]:
    """Return the typed spec and what is wrong with its keys and its grammar.

    `open_file` gives the documents of used files; without it, none can be used.
    """
    overrides = overrides or {}
    reader = FileReader(document, overrides)
    parts = reader.parts()
    findings = Findings()
    gathered = _Gathered(parts, findings, open_file, overrides)
    if reader.readable:
        gathered.use(parts, "")
    known = {*parts.dims, *parts.dials, *reader.refused, *gathered.refused}
    if reader.readable and not gathered.lacking:
        for name in (n for n in overrides if n not in known):
            reader.unknown_override(name, parts)
    findings.extend(reader.findings.all)
    assert parts.model is not None
    refused = frozenset(reader.refused | gathered.refused)
    imports, faults = read_imports(
        reader.section("import"),
        reader.keys.get("import", "import"),
        {*parts.dims},
        {*parts.tables, *refused},
    )
    findings.extend(faults)
    spec = Spec(
        document=document,
        dims=parts.dims,
        dials=parts.dials,
        tables=parts.tables,
        model=parts.model,
        defaults=parts.defaults,
        meta=parts.meta,
        expect=parts.expect,
        imports=imports,
        written=parts.written,
        overrides=dict(overrides),
        used=gathered.documents,
        refused=refused,
        readable=reader.readable and not gathered.lacking,
    )
    return spec, findings.all


@define
class _Gathered:
    """The parts of a file, joined by those of the files it uses."""

    parts: Parts
    findings: Findings
    open_file: Opener | None
    overrides: dict[str, Any]
    documents: dict[str, Document] = field(factory=dict)
    refused: set[str] = field(factory=set)
    lacking: bool = False  # a file could not be read: what it has is not known

    def use(self, user: Parts, folder: str, chain: tuple[str, ...] = ()) -> None:
        """Read the files that a file uses, each once, and what they use themselves; `chain` is who uses whom."""
        for name, path in user.use.items():
            key = self.key_of(folder, name)
            if key in self.documents:
                continue
            document, faults = self.open(key)
            self.documents[key] = document
            if faults:
                self.lacking = True
                fault = faults[0]
                origin = (Origin(document),) if document.text else path
                place = Place(origin, offset=fault.place.offset) if document.text else Place(path)
                self.findings.note(fault.code, fault.message, place, help=fault.help)
                continue
            reader = FileReader(document, self.overrides, base=(Origin(document),), library=True)
            found = reader.parts()
            self.findings.extend(reader.findings.all)
            self.refused |= reader.refused
            self.lacking |= not reader.readable
            self.join(found, chain)
            self.use(found, posixpath.dirname(key), (*chain, document.name))

    def key_of(self, folder: str, name: str) -> str:
        """The path of a used file: from the file that uses it, or as it stands where only that is there."""
        near, plain = (posixpath.normpath(posixpath.join(start, name)) for start in (folder, ""))
        if near == plain or near in self.documents or self.is_there(near):
            return near
        return plain if self.is_there(plain) else near

    def is_there(self, key: str) -> bool:
        return not any(fault.code == "NG001" for fault in self.open(key)[1])

    def open(self, key: str) -> tuple[Document, list[Diagnostic]]:
        if self.open_file is None:
            return Document(key, "", {}), [Diagnostic("NG001", f"there is no file `{key}`", Place())]
        return self.open_file(key)

    def join(self, found: Parts, chain: tuple[str, ...]) -> None:
        for name, table in found.tables.items():
            if name in self.parts.tables:
                self.twice(name, table.path, self.parts.tables[name].path)
            else:
                self.parts.tables[name] = table
        for name, dial in found.dials.items():
            self.parts.dials.setdefault(name, dial)
        for name, dim in found.dims.items():  # those of the file that uses it hold
            first = self.parts.dims.setdefault(name, dim)
            if isinstance(first.path[0], Origin) and first.path[0] not in chain:
                self.one_size(name, first, dim)
            if self.parts.written:
                self.parts.written.setdefault(name, found.written.get(name, dim))

    def one_size(self, name: str, first: Equation, second: Equation) -> None:
        """Refuse a dim that two files give other sizes, of which neither uses the other."""
        if _written(first) != _written(second):
            note = Note(first.place(), "and here")
            message, help = (
                f"two files give `{name}` other sizes",
                f"say it yourself: `{name} = ..` in `[dims]`",
            )
            self.findings.add(Diagnostic("NG107", message, second.place(), help=help, notes=(note,)))

    def twice(self, name: str, path: tuple, first: tuple) -> None:
        note = Note(Place(first, on_key=True), "and this is its name too")
        message = f"two tables are called `{name}`"
        place = Place(path, on_key=True)
        self.findings.add(Diagnostic("NG107", message, place, help="rename one of the two", notes=(note,)))


def _written(dim: Equation) -> Any:
    """A dim of a used file as its text has it."""
    origin, *keys = dim.path
    found: Any = origin.document.data
    for key in keys:
        found = found[key]
    return found


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
