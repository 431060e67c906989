"""Published weights to a model's folder, as a run's pretraining leaves it: by the import table of its spec."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from nanogen.compiler import Compiled
from nanogen.importing.fitting import Stored, hold
from nanogen.importing.mapping import Settled, settle
from nanogen.text.diagnostics import Diagnostic, Place, Refusal, nearest
from runtime.faults import Fault
from runtime.manifest import digest, to_json, write_manifest
from stages.code_version import code_version
from stages.models.checkpoint_files import Beside, beside, check_meta, opened
from stages.progress import Reporter
from stages.work import RESULT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from runtime.published import Published
    from runtime.tokenizer import Tokenizer


@frozen
class Imported:
    """What an import did."""

    table: str
    parameters: int
    tensors: int  # published ones that were read
    ignored: tuple[str, ...]
    rounded: int  # tensors whose published numbers are wider than the parameter's
    bytes: int  # of the weights written


def import_weights(
    compiled: Compiled, weights: Path, folder: Path, *, wanted: str | None, tell: Reporter
) -> Imported:
    """Fill `folder` with the model and its published weights, whole or not at all.

    Raises Refusal for every reason why file and table do not fit, Fault for what is wrong with either folder.
    """
    _check_free(folder)
    found = beside(weights, tell)
    if found.meta is not None:
        check_meta(found.meta, compiled)
    tokenizer = _tokenizer(found.tokenizer, compiled)
    with opened(weights, folder.absolute().parent, tell) as published:
        result, tensors = _filled_by(compiled, weights, published, wanted, tell)
        origin = _origin(compiled, published, result, found)
    tell.line(f"writing {folder}")
    _write(folder, compiled, tensors, tokenizer, origin, result)
    return result


def _filled_by(
    compiled: Compiled, weights: Path, published: Published, wanted: str | None, tell: Reporter
) -> tuple[Imported, dict[str, Tensor]]:
    stored = {name: Stored(entry.shape, entry.dtype) for name, entry in published.entries.items()}
    settled, faults = choose(compiled, set(stored), wanted)
    if not settled.tensors & stored.keys():
        message = f"`{weights}` has none of the tensors that `[import.{settled.table.name}]` names"
        raise Fault(message, f"it has {', '.join(f'`{name}`' for name in sorted(stored)[:3])} ..")
    faults = [fault for fault in faults if fault.severity == "error"] or hold(settled, stored)
    if faults:
        raise Refusal(faults, compiled.document)
    tell.line(f"table: {settled.table.name}" + (f", {settled.table.about}" if settled.table.about else ""))
    with published.reader() as read, tell.bar("reading", len(settled.fillings)) as bar:
        tensors = {}
        for done, (path, tensor) in enumerate(_filled(settled, read), 1):
            tensors[path] = tensor
            bar.advance(done, path)
    if faults := list(_not_finite(settled, tensors)):
        raise Refusal(faults, compiled.document)
    return _summary(settled, stored, tensors), tensors


def _tokenizer(path: Path | None, compiled: Compiled) -> Tokenizer | None:
    """The tokenizer beside the weights; raises Fault where it is another model's."""
    from runtime.tokenizer import Tokenizer

    if path is None:
        return None
    tokenizer = Tokenizer.load(path)
    if tokenizer.vocab != compiled.graph.vocab:
        message = f"`{path}` has {tokenizer.vocab:,} ids, and the model {compiled.graph.vocab:,}"
        raise Fault(message, "put the model's own tokenizer there, or none")
    return tokenizer


def choose(compiled: Compiled, names: set[str], wanted: str | None) -> tuple[Settled, list[Diagnostic]]:
    """The table that was asked for, the only one, or the one of which the file has the most tensors."""
    tables = compiled.spec.imports
    if not tables:
        message, help = "this spec has no import table", "add `[import.NAME]` with a line for every parameter"
        raise Refusal([Diagnostic("NG502", message, Place(), help=help)], compiled.document)
    if wanted is not None and wanted not in tables:
        raise Fault(f"`{compiled.document.name}` has no `[import.{wanted}]`", nearest(wanted, tables))
    settled = [settle(tables[n], compiled.spec, compiled.graph) for n in ([wanted] if wanted else tables)]
    scores = [len(s.tensors & names) / max(len(s.tensors), 1) for s, _ in settled]
    best = max(scores)
    if scores.count(best) > 1:
        alike = ", ".join(
            f"`{s.table.name}`" for (s, _), score in zip(settled, scores, strict=True) if score == best
        )
        message = (
            f"the import tables {alike} fit the file alike: it has {best:.0%} of the tensors that each names"
        )
        raise Fault(message, f"say which: `--as {settled[scores.index(best)][0].table.name}`")
    return settled[scores.index(best)]


def fill(settled: Settled, read: Callable[[str], Tensor]) -> dict[str, Tensor]:
    """Every parameter by its path, made from what `read` gives for published names."""
    return dict(_filled(settled, read))


def _filled(settled: Settled, read: Callable[[str], Tensor]):
    import torch

    from runtime.published import assemble

    for filling in settled.fillings:
        parts = [(part.tensor, part.steps, part.stacked) for part in filling.parts]
        dtype = getattr(torch, filling.dtype or "float32")
        yield filling.path, assemble(read, parts, shape=filling.shape, dtype=dtype)


def _not_finite(settled: Settled, tensors: dict[str, Tensor]) -> Iterator[Diagnostic]:
    """Parameters that no model can compute with: a damaged file, or numbers beyond the dtype that is kept."""
    for filling in settled.fillings:
        if not tensors[filling.path].isfinite().all():
            names = " and ".join(f"`{name}`" for name in dict.fromkeys(part.tensor for part in filling.parts))
            message = f"{names} gives `{filling.path}` numbers that are not finite"
            help = f"the file is damaged, or holds more than {filling.dtype or 'float32'} can"
            yield Diagnostic("NG515", message, filling.parts[0].source.place, help=help)


def _summary(settled: Settled, stored: dict[str, Stored], tensors: dict[str, Tensor]) -> Imported:
    # bits of exponent and of fraction: a dtype holds another exactly where it has as many of both
    bits = {"F64": (11, 52), "F32": (8, 23), "BF16": (8, 7), "F16": (5, 10)}
    kept = {"float32": bits["F32"], "bfloat16": bits["BF16"], "float16": bits["F16"], "float64": bits["F64"]}
    rounded = {
        part.tensor
        for filling, part in settled.parts
        if any(
            a > b
            for a, b in zip(bits[stored[part.tensor].dtype], kept[filling.dtype or "float32"], strict=True)
        )
    }
    return Imported(
        table=settled.table.name,
        parameters=sum(t.numel() for t in tensors.values()),
        tensors=len(settled.tensors),
        ignored=tuple(sorted(name for name in stored if name not in settled.tensors)),
        rounded=len(rounded),
        bytes=sum(t.numel() * t.element_size() for t in tensors.values()),
    )


# -- the folder


def _check_free(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        raise Fault(f"`{folder}` is not empty", "name another folder, or empty it first")
    if folder.exists() and not folder.is_dir():
        raise Fault(f"`{folder}` is a file", "name a folder")


def _write(
    folder: Path,
    compiled: Compiled,
    tensors: dict[str, Tensor],
    tokenizer: Tokenizer | None,
    origin: dict[str, Any],
    result: Imported,
) -> None:
    """Write all under a temporary name beside the folder, make it durable, then give it its name."""
    from attrs import asdict

    from runtime.atomic import flush
    from stages.models.artefact import write_artefact

    place = folder.absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
    partial.mkdir()
    try:
        write_artefact(partial, compiled, tensors, tokenizer)
        (partial / RESULT).write_bytes(to_json(asdict(result)))
        write_manifest(partial, origin)
        for path in [*partial.iterdir(), partial]:
            flush(path)
        os.replace(partial, place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    flush(place.parent)


def _origin(compiled: Compiled, published: Published, result: Imported, found: Beside) -> dict[str, Any]:
    """What the manifest says of where the weights come from, and of the code that brought them in."""
    files = {p.name: {"bytes": p.stat().st_size, "sha256": digest(p)} for p in published.files}
    meta = {} if found.meta is None else {"meta": found.meta}
    return {
        "imported": {"table": result.table, "files": files, **meta},
        "code": code_version(),
        "set": compiled.spec.overrides,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
