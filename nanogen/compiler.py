"""The passes in their order: text -> document -> spec -> names -> graph -> source and blueprint.

Every arrow returns its result and what it found; a refusal carries all of it at once. Imports no torch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from nanogen.advice import advise
from nanogen.answers.parameters import count
from nanogen.building.build import build
from nanogen.building.names import check_names
from nanogen.graph import Graph
from nanogen.importing.mapping import check_imports
from nanogen.language.spec import Opener, Spec, read_spec
from nanogen.shelf import read_used
from nanogen.text.diagnostics import Diagnostic, Findings, Place, Refusal
from nanogen.text.document import Document, parse_document, read_document

MAX_PARAMETERS = 10**15


@frozen(slots=False)
class Compiled:
    """A model that compiled: what was declared, what it computes, and the warnings on the way."""

    document: Document
    spec: Spec
    graph: Graph
    warnings: tuple[Diagnostic, ...]

    @property
    def name(self) -> str:
        return self.graph.name

    @cached_property
    def source(self) -> str:
        from nanogen.emission.source import emit  # a check does not pay for it

        return emit(self.graph)

    @property
    def used(self) -> dict[str, str]:
        """Texts of the files that the spec uses, by their path from it."""
        return {key: document.text for key, document in self.spec.used.items()}

    @cached_property
    def blueprint(self) -> dict[str, Any]:
        from nanogen.emission.blueprint import blueprint

        return blueprint(self.graph)


def compile_file(path: Path, overrides: dict[str, Any] | None = None, *, name: str | None = None) -> Compiled:
    """Compile a spec file; raises Refusal with every fault that was found."""
    document, faults = read_document(path, name)
    return _compile(document, faults, overrides, partial(read_used, path.parent))


def compile_text(
    text: str,
    overrides: dict[str, Any] | None = None,
    *,
    name: str = "spec.toml",
    used: dict[str, str] | None = None,
) -> Compiled:
    """Compile the text of a spec; raises Refusal with every fault that was found.

    `used` are the texts of the files that it uses; unsaid, they are those that ship with nanogen.
    """
    document, faults = parse_document(name, text)
    return _compile(document, faults, overrides, partial(_open, used))


def compile_document(
    document: Document, overrides: dict[str, Any] | None = None, used: dict[str, str] | None = None
) -> Compiled:
    """Compile a spec that was read, with the texts of the files that it uses; raises Refusal."""
    return _compile(document, [], overrides, partial(_open, used))


def _open(used: dict[str, str] | None, key: str) -> tuple[Document, list[Diagnostic]]:
    """A file that a spec uses: of those given, or of those that ship."""
    return parse_document(key, used[key]) if used is not None and key in used else read_used(None, key)


def _compile(
    document: Document, faults: list[Diagnostic], overrides: dict[str, Any] | None, open_file: Opener
) -> Compiled:
    if faults:
        raise Refusal(faults, document)
    findings = Findings()
    with _room_for_chains():
        spec, graph = _passes(document, overrides or {}, open_file, findings)
    if findings.errors:
        # what nothing reads may be what a fault has cut off
        found = [_said_by_set(d, spec) for d in findings.all if d.code != "NG402"]
        raise Refusal(found, document)
    assert graph is not None, "a spec without a graph and without a fault"
    return Compiled(document, spec, graph, tuple(findings.all))


def _passes(
    document: Document, overrides: dict[str, Any], open_file: Opener, findings: Findings
) -> tuple[Spec, Graph | None]:
    spec, found = read_spec(document, overrides, open_file)
    findings.extend(found)
    if not spec.readable:
        return spec, None
    names, found = check_names(spec)
    findings.extend(found)
    told = {d.place.path for d in findings.errors}  # equations that were built on a guess
    graph, found = build(spec, names)
    findings.extend(d for d in found if d.place.path not in told)
    if graph is not None and not findings.errors:
        findings.extend([*_expected(spec, graph), *advise(spec, graph)])
        if not overrides:  # other dims make another model: an import holds its table against that
            findings.extend(check_imports(spec, graph))
    return spec, graph


@contextmanager
def _room_for_chains() -> Iterator[None]:
    """Equations are followed by calls, a few Python frames each: let a chain be as long as people write."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 20_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _said_by_set(diagnostic: Diagnostic, spec: Spec) -> Diagnostic:
    """A fault at a dim that `--set` gave says so: the line that is drawn holds another value."""
    section, name = (*diagnostic.place.path, "", "")[:2]
    if section != "dims" or name not in spec.overrides or diagnostic.label:
        return diagnostic
    return evolve(diagnostic, label=f"`--set` makes it {spec.overrides[name]}")


def _expected(spec: Spec, graph: Graph) -> list[Diagnostic]:
    """No model is beyond reason, and published numbers must hold for the file as written; `--set` makes another model."""
    wanted, found = spec.expect.get("parameters"), count(graph)
    if found > MAX_PARAMETERS:
        message = f"{found:,} parameters, more than the {MAX_PARAMETERS:,} of any model"
        return [Diagnostic("NG404", message, Place(spec.model.path), help="some size here is a slip")]
    if wanted is None or spec.overrides or wanted == found:
        return []
    difference = f"{abs(found - wanted):,} {'more' if found > wanted else 'fewer'}"
    message = f"{wanted:,} parameters are expected, and the graph has {found:,}: {difference}"
    help = "correct the equations, or the expected number"
    return [Diagnostic("NG401", message, Place(("expect", "parameters")), help=help)]
