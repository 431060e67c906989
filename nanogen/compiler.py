"""The passes in their order: text -> document -> spec -> names -> graph -> source and blueprint.

Every arrow returns its result and what it found; a refusal carries all of it at once. Imports no torch.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import frozen

from nanogen.answers.parameters import count
from nanogen.blueprint import blueprint
from nanogen.build import build
from nanogen.diagnostics import Diagnostic, Findings, Place, Refusal
from nanogen.document import Document, parse_document, read_document
from nanogen.graph import Graph
from nanogen.names import check_names
from nanogen.source import emit
from nanogen.spec import Spec, read_spec


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
        return emit(self.graph)

    @cached_property
    def blueprint(self) -> dict[str, Any]:
        return blueprint(self.graph)


def compile_file(path: Path, overrides: dict[str, Any] | None = None, *, name: str | None = None) -> Compiled:
    """Compile a spec file; raises Refusal with every fault that was found."""
    return _compile(*read_document(path, name), overrides)


def compile_text(text: str, overrides: dict[str, Any] | None = None, *, name: str = "spec.toml") -> Compiled:
    """Compile the text of a spec; raises Refusal with every fault that was found."""
    return _compile(*parse_document(name, text), overrides)


def _compile(document: Document, faults: list[Diagnostic], overrides: dict[str, Any] | None) -> Compiled:
    if faults:
        raise Refusal(faults, document)
    findings = Findings()
    spec, found = read_spec(document, overrides)
    findings.extend(found)
    names, found = check_names(spec)
    findings.extend(found)
    graph, found = build(spec, names)
    findings.extend(found)
    if graph is not None and not findings.errors:
        findings.extend(_expected(spec, graph))
    if findings.errors:
        raise Refusal(findings.all, document)
    assert graph is not None, "a spec without a graph and without a fault"
    return Compiled(document, spec, graph, tuple(findings.all))


def _expected(spec: Spec, graph: Graph) -> list[Diagnostic]:
    """Published numbers must hold for the file as written; `--set` makes another model."""
    wanted = spec.expect.get("parameters")
    if wanted is None or spec.overrides or wanted == (found := count(graph)):
        return []
    message = f"{wanted:,} parameters are expected, and the graph has {found:,}, {found - wanted:+,}"
    help = "correct the equations, or the expected number"
    return [Diagnostic("NG401", message, Place(("expect", "parameters")), help=help)]
