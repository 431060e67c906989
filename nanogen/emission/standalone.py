"""Emitted source as one file that needs only torch: with the definitions of the runtime that it uses.

Text to text: the library is read, never imported, and its definitions are taken over as they are written.
"""

from __future__ import annotations

import ast
import symtable
import sys
from collections.abc import Callable, Iterable, Iterator

from attrs import define, field, frozen

from nanogen.emission.spelling import LINE, indent, wrap

LIBRARY = "runtime"
DOCSTRING = '''"""Written by nanogen; needs torch alone. To load trained weights:

    model = Model()
    model.load_state_dict(load_file("weights.safetensors"))  # from safetensors.torch import load_file

B rows, T positions, C positions kept, H query heads, G key heads, D channels of a head.
"""'''


def standalone(source: str, library: Callable[[str], str]) -> str:
    """Return the file; `library` gives the text of a module of the runtime."""
    taken = _Taken(library)
    model = _Module(source)
    taken.import_for(model, model.imports)
    return "\n\n\n".join([_head(taken.imports), *taken.texts(), model.body]) + "\n"


@frozen
class _Import:
    """One imported name: of a module, or the module itself."""

    module: str
    name: str = ""  # empty for the module
    alias: str = ""


@define(eq=False)
class _Module:
    """A module's text, and what its names stand for."""

    text: str
    tree: ast.Module = field(init=False)
    imports: dict[str, _Import] = field(factory=dict)
    definitions: dict[str, ast.stmt] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.tree = ast.parse(self.text)
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module != "__future__":
                for alias in node.names:
                    bound = _Import(node.module or "", alias.name, alias.asname or "")
                    self.imports[alias.asname or alias.name] = bound
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = _Import(alias.name, "", alias.asname or "")
            else:
                self.definitions.update((name, node) for name in _defined(node))

    @property
    def body(self) -> str:
        """What stands below the imports."""
        last = max(n.end_lineno or 0 for n in self.tree.body if isinstance(n, ast.Import | ast.ImportFrom))
        return "\n".join(self.text.splitlines()[last:]).strip("\n")

    def lines(self, node: ast.stmt) -> str:
        """A definition as it is written, with what stands on its lines."""
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        return "\n".join(self.text.splitlines()[first - 1 : node.end_lineno])

    def text_of(self, names: Iterable[str]) -> str:
        """Definitions in the order of the file; those of one line stand together."""
        wanted = {id(self.definitions[name]) for name in names}
        text, before = "", ""
        for node in self.tree.body:
            if id(node) in wanted:
                block = self.lines(node)
                gap = "\n" if before and "\n" not in before + block else "\n\n\n"
                text, before = f"{text}{gap if text else ''}{block}", block
        return text


@define(eq=False)
class _Taken:
    """What the file takes of the library, and what it imports."""

    library: Callable[[str], str]
    modules: dict[str, _Module] = field(factory=dict)
    definitions: dict[str, set[str]] = field(factory=dict)  # by module
    imports: set[_Import] = field(factory=set)

    def module(self, name: str) -> _Module:
        if name not in self.modules:
            self.modules[name] = _Module(self.library(name))
        return self.modules[name]

    def import_for(self, module: _Module, names: Iterable[str]) -> None:
        """Take or import what some names of a module stand for."""
        for name in names:
            found = module.imports[name]
            if found.module.split(".")[0] == LIBRARY:
                assert found == _Import(found.module, name), f"`{name}` has another name in the library"
                self.take(found.module, found.name)
            else:
                self.imports.add(found)

    def take(self, module: str, name: str) -> None:
        """Take a definition, and all that it uses."""
        others = (names for other, names in self.definitions.items() if other != module)
        assert not any(name in names for names in others), f"two modules of the library define `{name}`"
        if name in self.definitions.get(module, ()):
            return
        home = self.module(module)
        used = _used(home.lines(home.definitions[name]))
        self.import_for(home, sorted(used & home.imports.keys()))
        self.definitions.setdefault(module, set()).add(name)
        for other in sorted(used & home.definitions.keys()):
            self.take(module, other)

    def texts(self) -> Iterator[str]:
        """The definitions, module by module, each after those that it imports from."""
        written: set[str] = set()

        def write(name: str) -> Iterator[str]:
            for found in self.module(name).imports.values():
                if found.module in self.definitions.keys() - written:
                    yield from write(found.module)
            written.add(name)
            yield self.module(name).text_of(self.definitions[name])

        for name in self.definitions:
            if name not in written:
                yield from write(name)


def _defined(node: ast.stmt) -> Iterator[str]:
    """The names that a statement of a module gives a meaning."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name))


def _used(definition: str) -> set[str]:
    """The global names that a definition reads, those of its annotations too."""
    found: set[str] = set()
    waiting = [symtable.symtable(definition, "definition", "exec")]
    while waiting:
        table = waiting.pop()
        waiting += table.get_children()
        at_top = table.get_type() == "module"
        found.update(
            s.get_name() for s in table.get_symbols() if s.is_referenced() and (at_top or s.is_global())
        )
    for node in ast.walk(ast.parse(definition)):
        noted = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        found.update(n.id for part in noted if part for n in ast.walk(part) if isinstance(n, ast.Name))
    return found


def _head(imports: set[_Import]) -> str:
    """Docstring and imports: the standard library's, then torch's."""
    ours = {i for i in imports if i.module.split(".")[0] in sys.stdlib_module_names}
    groups = ["\n".join(_statements(group)) for group in (ours, imports - ours) if group]
    return "\n\n".join([DOCSTRING, "from __future__ import annotations", *groups])


def _statements(imports: set[_Import]) -> Iterator[str]:
    for found in sorted((i for i in imports if not i.name), key=lambda i: i.module):
        yield f"import {_as(found.module, found.alias)}"
    for module in sorted({i.module for i in imports if i.name}):
        names = sorted(_as(i.name, i.alias) for i in imports if i.name and i.module == module)
        line = f"from {module} import {', '.join(names)}"
        if len(line) > LINE:
            line = "\n".join(
                [f"from {module} import (", *indent(wrap([f"{n}," for n in names], LINE - 4), 1), ")"]
            )
        yield line


def _as(name: str, alias: str) -> str:
    return f"{name} as {alias}" if alias else name
