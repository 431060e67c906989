"""Which layer has which module: the choices of a stack, each layer claimed exactly once.

Is handed a function that computes a rule; knows nothing of how.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define

from nanogen.language.arithmetic import Unknown, is_number, kind_of
from nanogen.language.expression import List_, Name, walk
from nanogen.language.tables import Choice, Equation, Rule
from nanogen.text.diagnostics import Diagnostic, Findings, Note, Place


@define
class Claims:
    """The choices of one stack of `count` layers being settled.

    `compute(equation, index)` gives a rule's value, for one layer or for all. `resized` says that `--set`
    made the number of layers another than the file's, so that lists written for it no longer hold: those in
    rules, and those of the dims `lists`.
    """

    count: int
    compute: Callable[[Equation, int | None], Any]
    findings: Findings
    resized: bool = False
    lists: frozenset[str] = frozenset()

    def settle(self, choice: Choice) -> list[str | None]:
        """Return the module of each layer; None where a fault left none."""
        owner: list[Rule | None] = [None] * self.count
        faults = len(self.findings.all)
        for rule in choice.rules:
            if rule.layers is None:
                continue
            for index in self._layers(rule, rule.layers):
                claimed = owner[index]
                if claimed is not None:
                    self._twice(rule, claimed, index)
                owner[index] = claimed or rule
        rest = next((r for r in choice.rules if r.layers is None), None)
        free = [index for index, rule in enumerate(owner) if rule is None]
        if free and rest is None and choice.whole and len(self.findings.all) == faults:
            self._unclaimed(choice, free)
        if rest is not None and not free:
            message = f'`{rest.module} = "rest"` is left with no layer'
            self.findings.note("NG402", message, Place(rest.path), help="remove it, or free a layer")
        settled = [rule or rest for rule in owner]
        return [rule.module if rule else None for rule in settled]

    def _layers(self, rule: Rule, layers: Equation) -> list[int]:
        """The layers that one rule claims: those of a list, or those where a rule in `i` holds."""
        if any(isinstance(part, Name) and part.id == "i" for part in walk(layers.expression)):
            return self._following(rule, layers)
        found = self.compute(layers, None)
        if isinstance(found, Unknown):
            return []
        if not isinstance(found, list) or not all(is_number(n) and n == int(n) for n in found):
            help = 'write `[1, 4, 7]`, a rule as `"i % 3 == 1"`, or `"rest"`'
            message = f"layers are claimed by a list, a rule in `i` or the rest, found {kind_of(found)}"
            self.findings.note("NG101", message, Place(rule.path), help=help)
            return []
        literal = isinstance(layers.expression, List_) and not layers.written
        return self._listed(rule, [int(n) for n in found], literal)

    def _following(self, rule: Rule, layers: Equation) -> list[int]:
        if self.resized and (
            read := sorted(self.lists & {p.id for p in walk(layers.expression) if isinstance(p, Name)})
        ):
            help = f"set it too: `--set '{read[0]}=[..]'`"
            message = f"`{read[0]}` lists layers of a stack that has another number of them than {self.count}"
            self.findings.note("NG324", message, Place(rule.path), help=help)
            return []
        holds = [self.compute(layers, index) for index in range(self.count)]
        if any(isinstance(h, Unknown) for h in holds):
            return []
        if not any(holds):
            message = f"no layer follows this rule of `{rule.module}`"
            self.findings.note(
                "NG402", message, Place(rule.path), help=f"layers count from 0 to {self.count - 1}"
            )
        return [index for index, found in enumerate(holds) if found]

    def _listed(self, rule: Rule, layers: list[int], literal: bool) -> list[int]:
        if literal and self.resized:
            help = 'make it a rule, or a dim that is set too: `"i in layers"` with `--set layers=[..]`'
            message = f"this list was written for another number of layers than {self.count}"
            self.findings.note("NG324", message, Place(rule.path), help=help)
            return []
        kept: list[int] = []
        for place, index in enumerate(layers):
            at = Place((*rule.path, place) if literal else rule.path)
            if not 0 <= index < self.count:
                message = f"there is no layer {index}: the stack has {self.count}"
                self.findings.note("NG323", message, at, help=f"layers count from 0 to {self.count - 1}")
            elif index in kept:
                message = f"layer {index} stands twice in the list of `{rule.module}`"
                self.findings.note("NG321", message, at, help="name it once")
            else:
                kept.append(index)
        return kept

    def _twice(self, rule: Rule, other: Rule, index: int) -> None:
        note = Note(Place(other.path), f"`{other.module}` claims it here")
        message = f"layer {index} is claimed by `{other.module}` and by `{rule.module}`"
        help = "each layer has one module of a choice"
        self.findings.add(Diagnostic("NG321", message, Place(rule.path), help=help, notes=(note,)))

    def _unclaimed(self, choice: Choice, free: list[int]) -> None:
        layers = f"layer{'s' if len(free) > 1 else ''} {ranges(free)}"
        message = f"`{choice.name}` has no module in {layers}"
        help = f'name the module of {layers}, or give one module the `"rest"`'
        self.findings.note("NG322", message, Place(choice.path), help=help)


def ranges(numbers: list[int]) -> str:
    """Write 0, 1, 2, 5 as "0 to 2, 5"."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    texts = [
        str(r[0]) if len(r) == 1 else f"{r[0]}, {r[1]}" if len(r) == 2 else f"{r[0]} to {r[-1]}" for r in runs
    ]
    return ", ".join(texts)
