"""A run's document as typed stages in an order: names, needs and circles checked.

Knows nothing of what a kind of stage does or which settings it has; the catalogue of kinds is handed in.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from attrs import frozen

from nanogen.text.diagnostics import Diagnostic, Findings, Place, nearest
from nanogen.text.document import Document
from nanogen.text.locate import KeyPath

SECTIONS = ("kind", "model", "hardware", "set", "rehearse", "seed", "stage", "meta")
META = ("name", "about", "source", "licence")  # for people; nothing reads it
STAGE_KEYS = ("uses", "needs", "set", "with")


@frozen
class StageSpec:
    """One `[stage.NAME]`: what it uses, which stages it needs, its own dims of the model, and its settings as written."""

    name: str
    uses: str
    needs: tuple[str, ...]
    overrides: dict[str, Any]
    settings: dict[str, Any]

    @property
    def path(self) -> KeyPath:
        return ("stage", self.name)


@frozen
class RunSpec:
    """A run file, read; `stages` stand in an order in which they can be run."""

    document: Document
    model: str | None
    overrides: dict[str, Any]
    rehearsed: dict[str, Any]  # dims of the model in a rehearsal
    seed: int
    stages: tuple[StageSpec, ...]
    hardware: str | None = None  # a hardware file, which the run is planned for


def read_run(document: Document, kinds: Collection[str]) -> tuple[RunSpec, list[Diagnostic]]:
    """Return the typed run and what is wrong with it; `kinds` are the kinds of stages there are."""
    reader = _Reader(document, kinds)
    return reader.run(), reader.findings.all


class _Reader:
    def __init__(self, document: Document, kinds: Collection[str]):
        self.document, self.kinds = document, kinds
        self.findings = Findings()

    def fault(self, code: str, message: str, path: KeyPath, help: str = "", on_key: bool = False) -> None:
        self.findings.add(Diagnostic(code, message, Place(path, on_key=on_key), help=help))

    def run(self) -> RunSpec:
        data = self.document.data
        if data.get("kind") == "model":
            self.fault("NG102", "this is a spec, not a run", ("kind",), "`nanogen compile` takes it")
            return RunSpec(self.document, None, {}, {}, 0, ())
        if data.get("kind") != "run":
            self.fault("NG102", 'a run opens with `kind = "run"`', ("kind",), 'write `kind = "run"` first')
            if "stage" not in data:  # it is none, so the rest of it says nothing
                return RunSpec(self.document, None, {}, {}, 0, ())
        for key in data:
            if key not in SECTIONS:
                self.fault("NG103", f"a run has no `{key}`", (key,), nearest(key, SECTIONS), on_key=True)
        stages = self.stages()
        self.meta()
        return RunSpec(
            document=self.document,
            model=self.value("model", str, None, "the name or path of a spec"),
            overrides=self.value("set", dict, {}, "a table of dims: `[set]`"),
            rehearsed=self.value("rehearse", dict, {}, "a table of dims: `[rehearse]`"),
            seed=self.value("seed", int, 42, "a whole number"),
            stages=self.ordered(stages),
            hardware=self.value("hardware", str, None, "the name or path of a hardware file"),
        )

    def value(self, key: str, kind: type, default: Any, wanted: str) -> Any:
        found = self.document.data.get(key, default)
        if found is default or type(found) is kind:
            return found
        self.fault("NG101", f"`{key}` is {wanted}", (key,))
        return default

    def meta(self) -> None:
        for key in self.value("meta", dict, {}, "a table: `[meta]`"):
            path = ("meta", key)
            if key not in META:
                self.fault("NG103", f"`[meta]` has no `{key}`", path, nearest(key, META), on_key=True)
            elif not isinstance(self.document.data["meta"][key], str):
                self.fault("NG101", f"`{key}` of `[meta]` is text", path, f'write `{key} = "..."`')

    def stages(self) -> dict[str, StageSpec]:
        tables = self.document.data.get("stage")
        if not isinstance(tables, dict) or not tables:
            self.fault(
                "NG102", "the run has no stage", ("stage",), 'add `[stage.corpus]` with `uses = "dataset"`'
            )
            return {}
        read = {name: self.stage(name, table) for name, table in tables.items()}
        stages = {name: stage for name, stage in read.items() if stage is not None}
        for stage in stages.values():
            for place, need in enumerate(stage.needs):
                if need in stage.needs[:place]:
                    at = (*stage.path, "needs", place)
                    self.fault("NG703", f"`{stage.name}` needs `{need}` twice", at, "name it once")
                if need not in tables:
                    at = (*stage.path, "needs", place)
                    self.fault("NG701", f"no stage of this run is called `{need}`", at, nearest(need, tables))
        return stages

    def stage(self, name: str, table: Any) -> StageSpec | None:
        path = ("stage", name)
        if not name.isidentifier() or not name.isascii():
            help = "it names a folder: use letters, digits and `_`"
            self.fault("NG106", f"`{name}` is not a name", path, help, on_key=True)
            return None
        if not isinstance(table, dict):
            self.fault("NG101", f"`stage.{name}` is a table", path, f"write `[stage.{name}]`")
            return None
        for key in table:
            if key not in STAGE_KEYS:
                self.fault(
                    "NG103", f"a stage has no `{key}`", (*path, key), nearest(key, STAGE_KEYS), on_key=True
                )
        uses, needs = table.get("uses"), table.get("needs", [])
        overrides, settings = table.get("set", {}), table.get("with", {})
        if not isinstance(uses, str):
            help = f'write `uses = "..."`, one of {", ".join(sorted(self.kinds))}'
            self.fault("NG102", f"the stage `{name}` does not say what it uses", path, help)
            return None
        if uses not in self.kinds:
            help = nearest(uses, self.kinds)
            self.fault("NG701", f"there is no kind of stage `{uses}`", (*path, "uses"), help)
            return None
        if not isinstance(needs, list) or not all(isinstance(n, str) for n in needs):
            self.fault("NG101", "`needs` is a list of stages", (*path, "needs"), 'write `needs = ["corpus"]`')
            needs = []
        if not isinstance(overrides, dict):
            self.fault("NG101", "`set` is a table of dims", (*path, "set"), "write `set = { depth = 12 }`")
            overrides = {}
        if not isinstance(settings, dict):
            self.fault(
                "NG101", "`with` is a table of settings", (*path, "with"), "write `with = { vocab = 4096 }`"
            )
            settings = {}
        return StageSpec(name, uses, tuple(needs), overrides, settings)

    def ordered(self, stages: dict[str, StageSpec]) -> tuple[StageSpec, ...]:
        """Stages after all that they need, otherwise as in the file."""
        waiting, done = dict(stages), dict[str, StageSpec]()
        while waiting:
            ready = next((s for s in waiting.values() if not waiting.keys() & set(s.needs)), None)
            if ready is None:
                circle = _circle(waiting)
                text = " -> ".join([*circle, circle[0]])
                at = ("stage", circle[0], "needs")
                self.fault("NG702", f"stages that need each other: {text}", at, "take one of the needs away")
                return tuple(stages.values())
            done[ready.name] = waiting.pop(ready.name)
        return tuple(done.values())


def _circle(stages: dict[str, StageSpec]) -> list[str]:
    """Stages of which each needs the next, and the last the first; all of them need another one."""
    walked = [next(iter(stages))]
    while True:
        need = next(name for name in stages[walked[-1]].needs if name in stages)
        if need in walked:
            return walked[walked.index(need) :]
        walked.append(need)
