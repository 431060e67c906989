"""Solve one dim of a spec so that it costs what another costs: the number, and the text of the spec that has it."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from nanogen.answers.costs import COUNTS, LABELS
from nanogen.answers.parameters import count as parameters
from nanogen.compiler import Compiled, compile_document, compile_text
from nanogen.graph import Graph
from nanogen.language.arithmetic import kind_of
from nanogen.planning.rewrite import with_values
from nanogen.planning.search import Found, closest
from nanogen.text.diagnostics import Diagnostic, Place, Refusal, nearest
from nanogen.text.locate import KeyPath


@frozen
class Match:
    """A dim solved: `compiled` is the spec of `text`, which has the number written in."""

    dim: str
    before: int
    by: str  # a name of COUNTS
    tokens: int
    wanted: float
    found: Found
    compiled: Compiled
    text: str

    @property
    def percent(self) -> float:
        """What is left between the two, of the wanted."""
        return 100 * (self.found.count - self.wanted) / self.wanted


def match(wanted: Graph, compiled: Compiled, dim: str, *, tokens: int, by: str = "exact") -> Match:
    """Give `dim` of a spec the number at which its count is closest to that of `wanted`; raises Refusal."""
    start = _start(compiled, dim)
    count = COUNTS[by]
    refusals: dict[int, Refusal] = {}

    def counted(value: int) -> float | None:
        try:
            return count(
                compile_document(
                    compiled.document, {**compiled.spec.overrides, dim: value}, compiled.used
                ).graph,
                tokens,
            )
        except Refusal as refusal:
            refusals[value] = refusal
            return None

    target = count(wanted, tokens)
    found = closest(counted, target, start)
    if found.counted == 1:
        next_to_it = refusals[min(refusals, key=lambda value: abs(value - start))].diagnostics[0]
        message = f"no other number compiles for `{dim}`: {next_to_it.message}"
        raise _refusal(compiled, next_to_it.code, message, next_to_it.place.path, next_to_it.help)
    if found.flat:
        message = f"`{dim}` does not change what is matched: {LABELS[by]}"
        raise _refusal(compiled, "NG108", message, ("dims", dim), "name a dim that does")
    text = _text(compiled, dim, found.value)
    done = compile_text(text, name=compiled.document.name, used=compiled.used)
    assert count(done.graph, tokens) == found.count, "a spec written down costs what it did"
    return Match(dim, start, by, tokens, target, found, done, text)


def _start(compiled: Compiled, dim: str) -> int:
    dims = compiled.graph.dims
    if dim not in dims:
        message = f"`--match {dim}` names no dim of this spec"
        raise _refusal(compiled, "NG108", message, ("dims",), nearest(dim, dims))
    if type(dims[dim]) is not int or dims[dim] < 1:
        message = f"`{dim}` is {kind_of(dims[dim])}, and whole numbers from 1 are tried"
        raise _refusal(compiled, "NG111", message, ("dims", dim), "name a dim that is a size")
    return dims[dim]


def _refusal(compiled: Compiled, code: str, message: str, path: KeyPath, help: str) -> Refusal:
    return Refusal([Diagnostic(code, message, Place(path), help=help)], compiled.document)


def _text(compiled: Compiled, dim: str, value: int) -> str:
    """The spec with the number, and with what `--set` gave, written in; what it expects is counted anew."""
    given = {**compiled.spec.overrides, dim: value}
    values: dict[KeyPath, Any] = {("dims", name): number for name, number in given.items()}
    if "parameters" in compiled.spec.expect:
        values["expect", "parameters"] = parameters(
            compile_document(compiled.document, given, compiled.used).graph
        )
    return with_values(compiled.document, values)
