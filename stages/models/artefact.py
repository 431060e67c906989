"""A trained model as a folder: weights, spec, emitted source, tokenizer, origin, and the hashes that bind them.

The source in it is for people: loading compiles the spec again and refuses what does not come out the same,
so no code of a folder is ever run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from nanogen.compiler import Compiled, compile_text
from nanogen.text.diagnostics import Refusal
from runtime.faults import Fault
from runtime.manifest import AGAIN, to_json
from runtime.pickles import SUFFIXES, a_pickle, pickle_kind
from runtime.plain_json import read_object
from stages.models.checked import check_input
from stages.models.origin import ORIGIN

if TYPE_CHECKING:
    from torch import Tensor, nn

    from runtime.tokenizer import Tokenizer
    from stages.progress import Reporter

WEIGHTS, TOKENIZER = "weights.safetensors", "tokenizer.json"
NEEDED = {  # what a folder must hold to be read, by its format
    1: (WEIGHTS, "model.toml", "model.json"),
    2: (WEIGHTS, "model.toml", "model.json", "model.py", ORIGIN),
}
BOUND = (
    "vocab",
    "context",
    "dials",
)  # of a blueprint, beside the source: what data and defaults must agree with


@frozen
class Loaded:
    """A model that was loaded, in evaluation mode, with or without a tokenizer beside it."""

    compiled: Compiled
    model: nn.Module
    manifest: dict[str, Any]
    tokenizer_digest: str | None


@frozen
class Artefact:
    """A model that was loaded, in evaluation mode, with the tokenizer it was trained with."""

    compiled: Compiled
    model: nn.Module
    tokenizer: Tokenizer
    manifest: dict[str, Any]


def write_artefact(
    folder: Path,
    compiled: Compiled,
    weights: dict[str, Tensor],
    tokenizer: Tokenizer | None,
    origin: dict[str, Any] | None = None,
) -> None:
    """Write all that the model needs to be used elsewhere; the caller's manifest comes last.

    `origin` is what it was made of (`stages/models/origin.py`); of published weights that is not known, nor always
    their tokenizer.
    """
    from runtime.checkpoint import write_tensors

    write_tensors(folder / WEIGHTS, weights)
    (folder / "model.toml").write_text(compiled.document.text, encoding="utf-8")
    (folder / "model.py").write_text(compiled.source, encoding="utf-8")
    if tokenizer is not None:
        tokenizer.save(folder / TOKENIZER)
    facts = {
        "set": compiled.spec.overrides,
        "used": compiled.used,
        "source_sha256": _digest(compiled.source),
        "tokenizer_sha256": tokenizer.digest if tokenizer is not None else None,
        "blueprint": compiled.blueprint,
    }
    (folder / "model.json").write_bytes(to_json(facts))
    (folder / ORIGIN).write_bytes(to_json(origin or {"data": None, "parents": []}))


def read_artefact(folder: Path, *, device: str = "cpu", tell: Reporter | None = None) -> Artefact:
    """Load a model and its tokenizer; raises Fault as `read_model` does, and where the tokenizer is not its own."""
    from runtime.tokenizer import Tokenizer

    found = read_model(folder, device=device, tell=tell)
    if found.tokenizer_digest is None:
        message = f"`{folder}` holds a model without a tokenizer: its weights were imported"
        raise Fault(message, "text needs the tokenizer that the model was trained with")
    _check_listed(folder, found.manifest, (TOKENIZER,))
    tokenizer = Tokenizer.load(folder / TOKENIZER)
    if tokenizer.digest != found.tokenizer_digest:
        message = f"the tokenizer is {tokenizer.digest[:12]}, and the model was trained with {found.tokenizer_digest[:12]}"
        raise Fault(message, "put the right `tokenizer.json` back")
    if tokenizer.vocab > found.compiled.graph.vocab:
        message = f"the tokenizer has {tokenizer.vocab:,} ids, and the model {found.compiled.graph.vocab:,}"
        raise Fault(message, "put the right `tokenizer.json` back")
    return Artefact(found.compiled, found.model, tokenizer, found.manifest)


def read_model(folder: Path, *, device: str = "cpu", tell: Reporter | None = None) -> Loaded:
    """Load a model alone; raises Fault where a file is missing, altered, or made by another compiler."""
    from runtime.model import build
    from runtime.tensors import read_tensors
    from runtime.training import load_weights

    if not (folder / WEIGHTS).is_file():
        _refuse_other_weights(folder)
        raise Fault(f"`{folder}` holds no trained model", "run the stage that trains it")
    manifest = check_input(folder, tell)
    _check_listed(folder, manifest, NEEDED[manifest["format"]])
    facts = _facts(folder)
    compiled = _compiled_again(folder, facts)
    model = build(compiled.source, compiled.blueprint, device=device)
    load_weights(model, read_tensors(folder / WEIGHTS))
    return Loaded(compiled, model.eval(), manifest, facts["tokenizer_sha256"])


def _refuse_other_weights(folder: Path) -> None:
    """A folder of a published checkpoint, or a checkpoint itself, is told how it comes in."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else [folder]
    for path in inside:
        if path.is_file() and (path.suffix in SUFFIXES or pickle_kind(path) is not None):
            raise a_pickle(
                path, pickle_kind(path) or "named as a pickle", f"the folder of a model with `{WEIGHTS}`"
            )


def _check_listed(folder: Path, manifest: dict[str, Any], names: Sequence[str]) -> None:
    """A file that is read must be one that was checked."""
    for name in names:
        if name not in manifest["files"]:
            raise Fault(f"`{folder / name}` is not listed in the manifest of the model", AGAIN)


def _facts(folder: Path) -> dict[str, Any]:
    """What `model.json` says, of the kinds that it says it with."""
    path = folder / "model.json"
    facts = read_object(path, AGAIN)
    kinds = {
        "set": dict,
        "used": dict,
        "source_sha256": str,
        "tokenizer_sha256": str | None,
        "blueprint": dict,
    }
    for name, kind in kinds.items():
        if name not in facts or not isinstance(facts[name], kind):
            raise Fault(f"`{path}` does not say what `{name}` of the model is", AGAIN)
    if not all(isinstance(text, str) for text in facts["used"].values()):
        raise Fault(f"`{path}` does not say what `used` of the model is", AGAIN)
    return facts


def _compiled_again(folder: Path, facts: dict[str, Any]) -> Compiled:
    path = folder / "model.toml"
    try:
        text = path.read_text(encoding="utf-8")
        compiled = compile_text(text, facts["set"], name=str(path), used=facts["used"])
    except UnicodeDecodeError:
        raise Fault(f"`{path}` is not text", AGAIN) from None
    except Refusal as refusal:
        raise Fault(f"the spec of `{folder}` does not compile any more: {refusal}") from None
    found, wanted = _digest(compiled.source), facts["source_sha256"]
    if found != wanted:
        message = (
            f"this compiler writes source {found[:12]} for `{folder}`, which was trained as {wanted[:12]}"
        )
        raise Fault(message, "use the nanogen that trained it, or train again")
    for name in BOUND:
        found, wanted = (_digest(json.dumps(b.get(name))) for b in (compiled.blueprint, facts["blueprint"]))
        if found != wanted:
            message = f"the {name} of `{folder}` come out as {found[:12]}, and the model was trained as {wanted[:12]}"
            raise Fault(message, "use the nanogen that trained it, or train again")
    return compiled


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
