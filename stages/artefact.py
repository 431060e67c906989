"""A trained model as a folder: weights, spec, emitted source, tokenizer, and the hashes that bind them.

The source in it is for people: loading compiles the spec again and refuses what does not come out the same,
so no code of a folder is ever run.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from nanogen.compiler import Compiled, compile_text
from nanogen.text.diagnostics import Refusal
from runtime.faults import Fault
from runtime.manifest import check_files, read_manifest, to_json

if TYPE_CHECKING:
    from torch import Tensor, nn

    from runtime.tokenizer import Tokenizer


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
    folder: Path, compiled: Compiled, weights: dict[str, Tensor], tokenizer: Tokenizer | None
) -> None:
    """Write all that the model needs to be used elsewhere; the caller's manifest comes last.

    Published weights come without a tokenizer.
    """
    from runtime.checkpoint import write_tensors

    write_tensors(folder / "weights.safetensors", weights)
    (folder / "model.toml").write_text(compiled.document.text, encoding="utf-8")
    (folder / "model.py").write_text(compiled.source, encoding="utf-8")
    if tokenizer is not None:
        tokenizer.save(folder / "tokenizer.json")
    facts = {
        "set": compiled.spec.overrides,
        "used": compiled.used,
        "source_sha256": _digest(compiled.source),
        "tokenizer_sha256": tokenizer.digest if tokenizer is not None else None,
        "blueprint": compiled.blueprint,
    }
    (folder / "model.json").write_bytes(to_json(facts))


def read_artefact(folder: Path, *, device: str = "cpu") -> Artefact:
    """Load a model and its tokenizer; raises Fault as `read_model` does, and where the tokenizer is not its own."""
    from runtime.tokenizer import Tokenizer

    found = read_model(folder, device=device)
    if found.tokenizer_digest is None:
        message = f"`{folder}` holds a model without a tokenizer: its weights were imported"
        raise Fault(message, "text needs the tokenizer that the model was trained with")
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    if tokenizer.digest != found.tokenizer_digest:
        message = f"the tokenizer is {tokenizer.digest[:12]}, and the model was trained with {found.tokenizer_digest[:12]}"
        raise Fault(message, "put the right `tokenizer.json` back")
    return Artefact(found.compiled, found.model, tokenizer, found.manifest)


def read_model(folder: Path, *, device: str = "cpu") -> Loaded:
    """Load a model alone; raises Fault where a file is missing, altered, or made by another compiler."""
    from safetensors.torch import load_file

    from runtime.model import build
    from runtime.training import load_weights

    manifest = read_manifest(folder)
    if manifest is None or not (folder / "weights.safetensors").is_file():
        raise Fault(f"`{folder}` holds no trained model", "run the stage that trains it")
    check_files(folder, manifest)
    facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    compiled = _compiled_again(folder, facts)
    model = build(compiled.source, compiled.blueprint, device=device)
    load_weights(model, load_file(folder / "weights.safetensors"))
    return Loaded(compiled, model.eval(), manifest, facts["tokenizer_sha256"])


def _compiled_again(folder: Path, facts: dict[str, Any]) -> Compiled:
    text = (folder / "model.toml").read_text(encoding="utf-8")
    try:
        compiled = compile_text(text, facts["set"], name=str(folder / "model.toml"), used=facts["used"])
    except Refusal as refusal:
        raise Fault(f"the spec of `{folder}` does not compile any more: {refusal}") from None
    found, wanted = _digest(compiled.source), facts["source_sha256"]
    if found != wanted:
        message = (
            f"this compiler writes source {found[:12]} for `{folder}`, which was trained as {wanted[:12]}"
        )
        raise Fault(message, "use the nanogen that trained it, or train again")
    return compiled


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
