"""Every value of a run with where it comes from: a line of a file, a default, or a law with its numbers.

    for found in origins(run): print(found.key, found.value, found.why, found.where)
    resolved(run)["base.lr.matrix"]     # the same as plain values, to be kept beside the results

Values are those that stages compute with, not computed a second time. Imports no torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import attrs

from nanogen.language.expression import Expression, Name, children
from nanogen.run import RunSpec, StageSpec, read_run
from nanogen.text.diagnostics import Place, nearest
from nanogen.text.document import Document
from nanogen.text.document import resolved as resolved_place
from nanogen.text.draw import find
from nanogen.text.locate import KeyPath
from runtime.faults import Fault
from stages.catalogue import KINDS
from stages.runfile.load import Run, Stage
from stages.runfile.models import dims_set
from stages.runfile.origin import Origin, plain, shown
from stages.runfile.rehearsal import SUFFIX
from stages.runfile.training_origins import origins_of_training

OTHER_NAMES = {"lr": ("rate", "learning_rate"), "weight_decay": ("decay",)}


def resolved(run: Run) -> dict[str, dict[str, Any]]:
    """Every value of a run by its key: the value, the word for its origin, why, and the line where there is one."""
    return {
        found.key: {name: value for name, value in attrs.asdict(found).items() if name != "key"}
        for found in origins(run)
    }


def explained(run: Run, key: str) -> list[Origin]:
    """The values of a key, or of all below it; raises Fault with the nearest key where there are none."""
    wanted, known = _known_as(key), origins(run)
    found = [one for one in known if one.key == wanted or one.key.startswith(f"{wanted}.")]
    if found:
        return found
    near = {name for one in known for name in (one.key, one.key.rpartition(".")[0]) if name}
    raise Fault(f"the run has nothing that is called `{key}`", nearest(key, near))


def _known_as(key: str) -> str:
    """A key as it is called here: `set.depth` and `rehearse.depth` are of the model, a stage's `rate` its `lr`."""
    first, *rest = key.split(".")
    if first in ("set", "rehearse"):
        return ".".join(["model", *rest])
    if rest and rest[0] == "with":
        rest = rest[1:]
    if rest:
        rest[0] = next((name for name, others in OTHER_NAMES.items() if rest[0] in others), rest[0])
    return ".".join([first, *rest])


def origins(run: Run) -> list[Origin]:
    """Every value of a run: its seed, the model and its dims, and the settings of each stage."""
    spec, _ = read_run(run.document, KINDS)
    stages = {stage.name: stage for stage in spec.stages}
    return [
        *_of_run(run, spec),
        *(found for stage in run.stages for found in _of_stage(run, spec, stage, stages[stage.name])),
    ]


def line_of(document: Document, path: KeyPath) -> str:
    """`my_run.toml:12`, where a key stands; empty for what no text has."""
    owner, _ = resolved_place(document, Place(path))
    spot = find(document, Place(path))
    file = os.path.relpath(spot.file) if spot.file.startswith(os.getcwd() + os.sep) else spot.file
    return f"{file}:{spot.line}" if owner.text else ""


def _of_run(run: Run, spec: RunSpec) -> Iterator[Origin]:
    if "seed" in run.document.data:
        yield Origin("seed", run.seed, "file", "", line_of(run.document, ("seed",)))
    else:
        yield Origin("seed", run.seed, "default", "of a run")
    if run.compiled is not None:
        yield Origin("model", spec.model, "file", "", line_of(run.document, ("model",)))
        yield from _dims("model", run, run.compiled, dims_set(spec, {}, (), rehearsed=_rehearsed(run)))


def _rehearsed(run: Run) -> bool:
    return run.name.endswith(SUFFIX)


# -- dims of a model


def _dims(key: str, run: Run, compiled: Any, given: dict[str, tuple[Any, KeyPath]]) -> Iterator[Origin]:
    """The dims of a model: those that the run sets, and those that its spec says."""
    dims = compiled.graph.dims
    for name, value in dims.items():
        if name in given:
            path = given[name][1]
            table = "rehearse" if path[0] == "rehearse" else "set"
            yield Origin(
                f"{key}.{name}", value, table, f"by `[{table}]` of the run", line_of(run.document, path)
            )
            continue
        equation = compiled.spec.dims[name]
        where = line_of(compiled.document, equation.path)
        reads = [n for n in _names(equation.expression) if n in dims]
        if reads:
            numbers = ", ".join(f"{n} = {shown(dims[n])}" for n in reads)
            text = _text(compiled.document, equation.path)
            yield Origin(f"{key}.{name}", value, "derived", f"by `{text}` with {numbers}", where)
        else:
            yield Origin(f"{key}.{name}", value, "file", "as the spec says", where)


def _names(expression: Expression) -> list[str]:
    waiting, found = [expression], []
    while waiting:
        part = waiting.pop(0)
        waiting += children(part)
        if isinstance(part, Name) and part.id not in found:
            found.append(part.id)
    return found


def _text(document: Document, path: KeyPath) -> str:
    owner, place = resolved_place(document, Place(path))
    value: Any = owner.data
    for key in place.path:
        value = value[key]
    return str(value)


# -- settings of a stage


def _of_stage(run: Run, spec: RunSpec, stage: Stage, written: StageSpec) -> Iterator[Origin]:
    if written.overrides and stage.compiled is not None:
        given = dims_set(spec, written.overrides, (*written.path, "set"), rehearsed=_rehearsed(run))
        yield from _dims(f"{stage.name}.model", run, stage.compiled, given)
    derived = {found.key: found for found in _derived(run, stage)}
    for field in attrs.fields(type(stage.settings)):
        key = f"{stage.name}.{field.name}"
        found = derived.pop(key, None)
        yield found if found is not None else _of_setting(run, stage, field, written)
    yield from derived.values()


def _derived(run: Run, stage: Stage) -> Iterator[Origin]:
    """What a kind of stage settles for itself."""
    if hasattr(stage.kind, "horizon") and stage.compiled is not None:
        yield from origins_of_training(run, stage, line_of)
    elif stage.uses == "tokenizer" and stage.settings.vocab is None and stage.compiled is not None:
        why = "the model's vocabulary"
        yield Origin(f"{stage.name}.vocab", stage.compiled.graph.vocab, "derived", why)


def _of_setting(run: Run, stage: Stage, field: attrs.Attribute, written: StageSpec) -> Origin:
    key, value = f"{stage.name}.{field.name}", getattr(stage.settings, field.name)
    help = field.metadata["help"]
    if stage.written is not None and value != getattr(stage.written, field.name):
        return Origin(key, plain(value), "rehearsal", f"made small to rehearse; {help}")
    if field.name in written.settings:
        where = line_of(run.document, (*written.path, "with", field.name))
        return Origin(key, plain(value), "file", help, where)
    file = f"{stage.kind.__name__.replace('.', '/')}.py"  # pyright: ignore[reportAttributeAccessIssue]  (a module)
    return Origin(key, plain(value), "default", f"of `{stage.uses}` stages; {help}", file)
