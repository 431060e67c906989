"""Why a stage's result is no longer what its run file asks for: what changed, from what to what, and where it stands.

Knows nothing of folders: the facts of then and of now are handed in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from attrs import frozen

from nanogen.text.diagnostics import Place
from nanogen.text.document import Document
from nanogen.text.draw import find
from stages.runfile.load import Run, Stage
from stages.running.identity import Facts

WIDEST = 60  # characters of a value that is shown
ABSENT = object()


@frozen
class Reason:
    """One change. `data`: it is of what is learnt from alone, so that a model may go on over it if one insists."""

    what: str
    old: str = ""
    new: str = ""
    place: str = ""  # `run.toml:12`
    data: bool = False

    def __str__(self) -> str:
        change = f" {self.old} -> {self.new}" if self.old or self.new else ""
        return f"{self.what}{change}" + (f" ({self.place})" if self.place else "")


def model_told(stage: Stage) -> dict[str, Any] | None:
    """What is kept of a stage's model beside its facts, so that a change can be named: its dims and its lines."""
    if stage.compiled is None or not stage.kind.MODEL:
        return None
    return {"dims": _dims(stage), "lines": _lines(stage.compiled.document)}


def _dims(stage: Stage) -> dict[str, Any]:
    """As JSON has them."""
    assert stage.compiled is not None
    return json.loads(json.dumps(stage.compiled.graph.dims, default=str))


def _lines(document: Document) -> list[str]:
    return [bare for line in document.text.split("\n") if (bare := _bare(line))]


def _bare(line: str) -> str:
    """A line without its comment, near enough: a `#` in quotes cuts both versions of a line alike."""
    return line.split("#")[0].strip()


def reasons(run: Run, stage: Stage, then: Mapping[str, Any], now: Facts) -> list[Reason]:
    """What changed between the facts of a result (with `told` of its model, if any) and those of now."""
    before = then.get("facts")
    if before is None:
        return [Reason("it was made by a nanogen that did not write down from what")]
    teller = _Teller(run, stage)
    found = [
        *teller.code(before, now),
        *teller.settings(before["settings"], now["settings"]),
        *teller.model(before["model"], now["model"], then.get("told")),
        *teller.seed(before["seed"], now["seed"]),
        *teller.outside(before["outside"], now["outside"]),
        *teller.needs(before["needs"], now["needs"]),
    ]
    return found


@frozen
class _Teller:
    run: Run
    stage: Stage

    def place(self, *path: str | int) -> str:
        """Where a key of the run file stands, or else the table that would hold it."""
        return _spot(self.run.document, path)

    def code(self, before: Facts, now: Facts) -> Iterator[Reason]:
        if before["uses"] != now["uses"]:
            at = self.place("stage", self.stage.name, "uses")
            yield Reason("`uses`", before["uses"], now["uses"], at)
        elif before["version"] != now["version"]:
            yield Reason(f"the code of `{now['uses']}`", f"version {before['version']}", str(now["version"]))

    def settings(self, before: Facts, now: Facts) -> Iterator[Reason]:
        fields = attrs.fields_dict(type(self.stage.settings))
        for name in dict.fromkeys([*now, *before]):
            old, new = before.get(name, ABSENT), now.get(name, ABSENT)
            if _same(old, new):
                continue
            place = self.place("stage", self.stage.name, "with", name)
            if name not in fields:
                place = ""  # a setting that this nanogen does not have
            for what, was, becomes in _parts(name, old, new):
                yield Reason(f"`{what}`", _shown(was), _shown(becomes), place)

    def model(self, before: Any, now: Any, told: dict[str, Any] | None) -> Iterator[Reason]:
        if before == now:
            return
        if isinstance(now, int) and isinstance(before, int):
            yield Reason("`vocab`", f"{before:,}", f"{now:,}", self.dim("vocab"))
            return
        compiled = self.stage.compiled
        if compiled is None or told is None:
            yield Reason("the model")
            return
        dims = _dims(self.stage)
        changed = [n for n in dims if told["dims"].get(n, ABSENT) != dims[n]]
        # a dim that is worked out of another says nothing new
        named = [n for n in changed if self.is_set(n) or _is_number(compiled.spec.dims[n].expression)]
        for name in named or changed:
            yield Reason(
                f"`{name}`", _shown(told["dims"].get(name, ABSENT)), _shown(dims[name]), self.dim(name)
            )
        if not changed:
            yield self.spec(compiled.document, told["lines"])

    def spec(self, document: Document, then: list[str]) -> Reason:
        """The first line of the spec that is new, or that the spec itself is the same and its source is not."""
        known = set(then)
        for number, line in enumerate(document.text.split("\n"), 1):
            if (bare := _bare(line)) and bare not in known:
                return Reason("an equation of the model", place=f"{_near(document.name)}:{number}")
        gone = len(_lines(document)) < len(then)
        if gone:
            return Reason("a line of the model's spec is gone", place=_near(document.name))
        return Reason("what the compiler makes of the model's spec", place=_near(document.name))

    def is_set(self, dim: str) -> bool:
        return any(dim in table for table in self._tables().values())

    def _tables(self) -> dict[tuple[str, ...], dict[str, Any]]:
        data = self.run.document.data
        own = data.get("stage", {}).get(self.stage.name, {}).get("set", {})
        small = data.get("rehearse", {}) if self.run.stand_ins is not None else {}
        return {("rehearse",): small, ("stage", self.stage.name, "set"): own, ("set",): data.get("set", {})}

    def dim(self, name: str) -> str:
        """Where a dim has its value: in the stage, the run, or the spec."""
        for path, table in self._tables().items():
            if name in table:
                return self.place(*path, name)
        if self.stage.compiled is None:
            return ""
        return _spot(self.stage.compiled.document, ("dims", name))

    def seed(self, before: int | None, now: int | None) -> Iterator[Reason]:
        if before != now:
            yield Reason("`seed`", str(before), str(now), self.place("seed"))

    def outside(self, before: Facts, now: Facts) -> Iterator[Reason]:
        for name in dict.fromkeys([*now, *before]):
            old, new = before.get(name), now.get(name)
            if old == new:
                continue
            if name == "optimizer":
                place = self.place("stage", self.stage.name, "with", "optimizer")
                yield Reason("what the optimizer's file says", place=place)
            else:
                yield Reason(_files(name, old, new), data=name == "data")

    def needs(self, before: Facts, now: Facts) -> Iterator[Reason]:
        if list(before) != list(now):
            at = self.place("stage", self.stage.name, "needs")
            yield Reason("`needs`", ", ".join(before), ", ".join(now), at)
            return
        changed = [name for name, mine in now.items() if before[name] != mine]
        for data in (True, False):
            if names := [n for n in changed if (self.run.stage(n).uses == "dataset") == data]:
                yield Reason(f"it follows {_listed(names)}", data=data)


def came_out_otherwise(run: Run, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Reason]:
    """Inputs of the same identity whose content is another: they were made again, and did not come out the same."""
    return [
        Reason(f"`{name}` was made again and came out otherwise", data=run.stage(name).uses == "dataset")
        for name, content in now.items()
        if before.get(name) != content
    ]


def _spot(document: Document, path: tuple[str | int, ...]) -> str:
    spot = find(document, Place(path, on_key=True))
    return f"{_near(spot.file)}:{spot.line}"


def _near(file: str) -> str:
    """A file's name as people type it where they are."""
    near = os.path.relpath(file)
    return file if near.startswith("..") else near


def _same(old: Any, new: Any) -> bool:
    return old is not ABSENT and new is not ABSENT and json.dumps(old) == json.dumps(new)


def _parts(name: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """A list of tables of the same length by what differs in each; anything else as it is."""
    tables = isinstance(old, list) and isinstance(new, list) and len(old) == len(new)
    if not tables or not all(isinstance(item, dict) for item in [*old, *new]):
        yield name, old, new
        return
    for number, (was, becomes) in enumerate(zip(old, new, strict=True)):
        for key in dict.fromkeys([*becomes, *was]):
            if was.get(key) != becomes.get(key):
                label = becomes.get("task", number + 1)
                yield f"{key}` of `{name}.{label}", was.get(key), becomes.get(key)


def _listed(names: list[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return " and ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))


def _shown(value: Any) -> str:
    if value is ABSENT or value is None:
        return "unsaid"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDEST else text[: WIDEST - 3] + "..."


def _files(name: str, old: Any, new: Any) -> str:
    """What differs between two lists of (name, size, hash), which may be lists of such lists."""
    before, after = dict(_named(old)), dict(_named(new))
    if not before and not after:
        return f"what it reads from outside the run: `{name}`"
    gone, come = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    other = sorted(n for n in before.keys() & after.keys() if before[n] != after[n])
    told = [(other, "is another file"), (come, "is new"), (gone, "is gone")]
    parts = [
        f"`{names[0]}`{f' and {len(names) - 1} more' if len(names) > 1 else ''} {what}"
        for names, what in told
        if names
    ]
    return ", ".join(parts) or f"the order of `{name}`"


def _named(value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list):
        return
    if len(value) >= 2 and isinstance(value[0], str) and not isinstance(value[1], list):
        yield value[0], json.dumps(value[1:])
        return
    for item in value:
        yield from _named(item)


def _is_number(expression: Any) -> bool:
    return type(expression).__name__ == "Number"
