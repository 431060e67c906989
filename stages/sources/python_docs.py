"""Documents out of the docstrings of this Python: its standard library and the packages installed.

Some tens of megabytes of plain technical English that every machine has. Modules are parsed, never imported.
Knows nothing of what the packages do.
"""

import ast
import hashlib
import os
import re
import sysconfig
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

SHORTEST = 80  # characters of a docstring; those below it say little more than "Return the name."
LONGEST = 4_000  # characters of a document; a row of training takes its head and may drop the rest
LETTERS = (
    0.7  # share of letters in what is written of a paragraph; those below it are tables, arrays, drawings
)
SKIPPED_FOLDERS = {"tests", "test", "testing", "idle_test", "__pycache__", "site-packages", "dist-packages"}

# Sessions of the interpreter, up to the blank line that ends them: numbers and reprs more than language.
_SESSION = re.compile(r"^[ \t]*>>>.*\n?(?:[^\n]*\S[^\n]*\n?)*", re.MULTILINE)
# A heading with nothing under it before the next underlined heading or the end, as sessions leave it.
_BARE_HEADING = re.compile(
    r"^[ \t]*\**Examples?\**:{0,2}[ \t]*(?:\n[-=~^]{3,})?(?=\s*(?:\Z|\n[^\n]+\n[-=~^]{3,}\n))", re.MULTILINE
)
# Markup of reStructuredText: what it marks is language, the marks are not.
_ROLE = re.compile(r":[a-z][a-z:]*:`[~!.]?([^`<\n]+?)(?:\s*<[^>`]*>)?`")
_QUOTED = re.compile(r"(`{1,2})([^`\n]+)\1_{0,2}")
_UNDERLINE_OR_DIRECTIVE = re.compile(r"^[ \t]*(?:([-=~^*])\1{2,}|\.\. [^\n]*)[ \t]*\n?", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n\s*\n")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function
Entry = tuple[str, str]  # the qualified name of a module, class or function, and its docstring


def documents(
    *,
    characters: int | None = None,
    shortest: int = SHORTEST,
    longest: int = LONGEST,
    roots: Sequence[Path] = (),
) -> Iterator[str]:
    """What modules say of themselves, their classes and functions; about `characters` of it if that is set.

    A document is a module, or part of a long one: a name, a blank line, the docstring, and so on.
    Modules come in the order of a hash of their names, so any head of the sequence is a diverse sample.
    """
    seen: set[str] = set()
    given = 0
    for name, path in _modules(roots or _python_roots()):
        entries = []
        for owner, docstring in _entries(name, path):
            text = _prose(docstring)
            if len(text) >= shortest and text not in seen:
                seen.add(text)
                entries.append(f"{owner}\n\n{text}")
        for document in _join(entries, longest):
            if characters is not None and given >= characters:
                return
            given += len(document)
            yield document


def _python_roots() -> list[Path]:
    places = sysconfig.get_paths()
    return list(dict.fromkeys(Path(places[kind]) for kind in ("stdlib", "purelib", "platlib")))


def _modules(roots: Iterable[Path]) -> list[tuple[str, Path]]:
    """Names and files of all modules under the roots, in the order of a hash of the name."""
    found: dict[str, Path] = {}
    for root in roots:
        for folder, subfolders, files in os.walk(root):
            subfolders[:] = sorted(set(subfolders) - SKIPPED_FOLDERS)
            for file in sorted(files):
                if file.endswith(".py"):
                    path = Path(folder, file)
                    found.setdefault(_module_name(path.relative_to(root)), path)
    return sorted(found.items(), key=lambda module: hashlib.sha256(os.fsencode(module[0])).digest())


def _module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _entries(name: str, path: Path) -> list[Entry]:
    """All docstrings of a module in file order; none of a file that this Python cannot read."""
    source = path.read_bytes()
    if b'"""' not in source and b"'''" not in source:  # spares one parse in five
        return []
    try:
        with warnings.catch_warnings(action="ignore"):  # invalid escapes are no business of ours
            return list(_walk(name, ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _walk(name: str, node: Documented) -> Iterator[Entry]:
    if docstring := ast.get_docstring(node):
        yield name, docstring
    if not isinstance(node, Function):  # what is inside a function is seldom documented
        for child in _definitions(node):
            yield from _walk(f"{name}.{child.name}", child)


def _definitions(node: ast.AST) -> Iterator[ast.ClassDef | Function]:
    """Classes and functions of a body, also those that depend on a condition."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | Function):
            yield child
        elif isinstance(child, ast.If | ast.Try | ast.ExceptHandler | ast.With):
            yield from _definitions(child)


def _prose(docstring: str) -> str:
    """The docstring's paragraphs of language, without sessions of the interpreter and without markup."""
    text = _BARE_HEADING.sub("", _SESSION.sub("", docstring))
    text = _UNDERLINE_OR_DIRECTIVE.sub("", text)
    text = _QUOTED.sub(r"\2", _ROLE.sub(r"\1", text))
    return "\n\n".join(p for p in _BLANK_LINES.split(text.strip()) if _is_language(p))


def _is_language(text: str) -> bool:
    """Whether enough of what is written are letters; tables, arrays and drawings are something else."""
    written = [sign for sign in text if not sign.isspace()]
    return sum(map(str.isalpha, written)) >= LETTERS * len(written) > 0


def _join(entries: Iterable[str], longest: int) -> Iterator[str]:
    """Entries of a module as documents of up to `longest` characters; a longer entry is one by itself."""
    document = ""
    for entry in entries:
        if document and len(document) + 2 + len(entry) > longest:
            yield document
            document = ""
        document = f"{document}\n\n{entry}" if document else entry
    if document:
        yield document
