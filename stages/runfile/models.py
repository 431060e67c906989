"""The model of each stage of a run: the run's own with the dims of `[set]`, and those that a stage sets for itself.

Knows nothing of what a stage does with it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
from attrs import define, field

from nanogen.compiler import Compiled, compile_file
from nanogen.run import RunSpec, StageSpec
from nanogen.shelf import find
from nanogen.text.diagnostics import Findings, Place, Refusal
from nanogen.text.locate import KeyPath
from stages.catalogue import MODELS, Kind


def dims_set(
    run: RunSpec, own: dict[str, Any], at: KeyPath, *, rehearsed: bool
) -> dict[str, tuple[Any, KeyPath]]:
    """Each dim that is set: its value, and where that stands; `own` are a stage's own, which stand `at`."""
    tables = [(("set",), run.overrides), (at, own)]
    if rehearsed:
        tables.append((("rehearse",), run.rehearsed))
    return {name: (value, (*path, name)) for path, table in tables for name, value in table.items()}


@define
class RunModels:
    """Compiles what is asked for, once; what is wrong is told at its place in the run file."""

    run: RunSpec
    folder: Path  # of the run file
    findings: Findings
    rehearsed: bool = False  # with the dims of `[rehearse]`
    _found: dict[str, Compiled | None] = field(init=False, factory=dict)
    _of: dict[str, Compiled | None] = field(init=False, factory=dict)  # by stage

    def of_run(self) -> Compiled | None:
        return self._compiled(self._origins({}, ()))

    def check_rehearsal(self) -> None:
        """The dims of `[rehearse]` are held to the model also where nothing is rehearsed."""
        if self.run.rehearsed and not self.rehearsed and self.run.model is not None:
            attrs.evolve(self, rehearsed=True).of_run()
        if self.run.model is not None or self.findings.errors:
            return
        tables = (("set", self.run.overrides), ("rehearse", self.run.rehearsed))
        for name, _ in (found for found in tables if found[1]):
            message = f"`[{name}]` changes nothing: the run names no model"
            self.findings.note("NG103", message, Place((name,), on_key=True), help="leave it out")

    def of_stage(self, stage: StageSpec, kind: Kind) -> Compiled | None:
        """Its own, or that of the trained model which it needs, or the run's; stages come after what they need."""
        needed = [self._of[n] for n in stage.needs if n in self._of and self._uses(n) in MODELS]
        if kind.MODEL:
            found = self._compiled(self._origins(stage.overrides, (*stage.path, "set")))
        else:
            found = needed[0] if needed else self.of_run()
        self._of[stage.name] = found
        return found

    def _uses(self, name: str) -> str:
        return next(s.uses for s in self.run.stages if s.name == name)

    def _origins(self, own: dict[str, Any], at: KeyPath) -> dict[str, tuple[Any, KeyPath]]:
        return dims_set(self.run, own, at, rehearsed=self.rehearsed)

    def _compiled(self, dims: dict[str, tuple[Any, KeyPath]]) -> Compiled | None:
        overrides = {name: value for name, (value, _) in dims.items()}
        key = json.dumps(overrides, sort_keys=True, default=str)
        if key not in self._found:
            self._found[key] = self._compile(overrides, {name: path for name, (_, path) in dims.items()})
        return self._found[key]

    def _compile(self, overrides: dict[str, Any], places: dict[str, KeyPath]) -> Compiled | None:
        """A fault inside the spec is that spec's own refusal."""
        if self.run.model is None:
            return None
        try:
            model = find(self.run.model, "model", beside=self.folder)
        except Refusal as refusal:
            fault = refusal.diagnostics[0]
            self.findings.note(fault.code, fault.message, Place(("model",)), help=fault.help)
            return None
        if self.findings.errors:
            return None
        try:
            return compile_file(model, overrides)
        except Refusal as refusal:
            self._tell(refusal, model, overrides, places)
            return None

    def _tell(
        self, refusal: Refusal, model: Path, overrides: dict[str, Any], places: dict[str, KeyPath]
    ) -> None:
        """Where the file holds as it stands, the run's dims are to blame, and what is told stands there."""
        if refusal.document.data.get("kind", "model") != "model":
            fault = refusal.diagnostics[0]
            message = f"`{self.run.model}` is no spec: {fault.message}"
            self.findings.note(fault.code, message, Place(("model",)), help="name a spec of a model")
            return
        if overrides:
            compile_file(model)
        unknown = [d for d in refusal.diagnostics if d.code == "NG108"]
        for fault in unknown:
            named = fault.message.split()[1].rstrip("`")
            message = f"`{self.run.model}` has no dim `{named}`"
            self.findings.note("NG108", message, Place(places[named], on_key=True), help=fault.help)
        if not unknown and overrides:
            fault, one = refusal.diagnostics[0], self._blamed(model, overrides)
            message = f"with these dims `{self.run.model}` does not compile: {fault.message}"
            self.findings.note(fault.code, message, Place(places[one]), help=fault.help)
        elif not unknown:
            raise refusal

    @staticmethod
    def _blamed(model: Path, overrides: dict[str, Any]) -> str:
        """The dim without which the model compiles; of several that only fail together, the last."""
        for name in overrides:
            try:
                compile_file(model, {n: value for n, value in overrides.items() if n != name})
            except Refusal:
                continue
            return name
        return list(overrides)[-1]
