"""The folder of a model describes all of it: no number of its equations is kept anywhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nanogen.compiler import Compiled, compile_text
from nanogen.shelf import find
from runtime.faults import Fault
from runtime.manifest import write_manifest
from runtime.model import build, initialize
from runtime.primitives import Now
from stages.artefact import read_model, write_artefact

SIZES = {"depth": 2, "width": 64, "vocab": 300, "context": 16}
TOKENS = torch.arange(10)[None]


def written(text: str, folder: Path) -> tuple[Compiled, torch.Tensor]:
    """A model of a spec in a folder, and its logits."""
    compiled = compile_text(text, SIZES)
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=1)
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():  # a head of zeros would hide a cap
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=draw))
        logits = model(TOKENS, Now.start(TOKENS))
    folder.mkdir()
    write_artefact(folder, compiled, dict(model.named_parameters()), None)
    write_manifest(folder, {})
    return compiled, logits


@torch.no_grad()
def test_another_number_in_an_equation_comes_back_with_the_model(tmp_path: Path):
    text = find("saint_iberis_tiny", "model").read_text()
    assert text.count("softcap(head, 15)") == 1
    _, usual = written(text, tmp_path / "usual")
    compiled, wanted = written(text.replace("softcap(head, 15)", "softcap(head, 7)"), tmp_path / "other")
    assert not torch.allclose(usual, wanted, atol=0.01)
    found = read_model(tmp_path / "other")
    assert found.compiled.source == compiled.source
    assert torch.equal(found.model(TOKENS, Now.start(TOKENS)), wanted)


def test_a_compiler_that_would_compute_something_else_is_refused(tmp_path: Path, monkeypatch):
    """A model is never read as another one in silence."""
    from stages import artefact

    written(find("saint_iberis_tiny", "model").read_text(), tmp_path / "model")
    plain = artefact.compile_text

    def changed(text: str, *args, **named) -> Compiled:
        return plain(text.replace("softcap(head, 15)", "softcap(head, 20)"), *args, **named)

    monkeypatch.setattr(artefact, "compile_text", changed)
    with pytest.raises(Fault, match="was trained as"):
        read_model(tmp_path / "model")
