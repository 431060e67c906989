"""The compiler proves what it counts: the source owns those parameters, and torch can compile it whole."""

from __future__ import annotations

import copy
from pathlib import Path

import attrs
import pytest
import torch

from nanogen.compiler import Compiled, compile_file
from nanogen.lowering import prove
from runtime.model import build, initialize
from runtime.primitives import Now

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.toml"))
TINY = SPECS[0].parent / "saint_iberis_tiny.toml"
GPT = SPECS[0].parent / "nanochat_2025.toml"


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_every_shipped_spec_is_proven(path: Path):
    compiled = compile_file(path)
    model = prove(compiled)
    assert sum(p.numel() for p in model.parameters()) == compiled.blueprint["count"]
    assert all(p.is_meta for p in model.parameters())


def tampered(change) -> Compiled:
    """A compiled model whose blueprint was changed behind its back."""
    compiled = compile_file(TINY)
    blueprint = copy.deepcopy(compiled.blueprint)
    change(blueprint)
    other = attrs.evolve(compiled)
    object.__setattr__(other, "blueprint", blueprint)
    return other


def drop(blueprint: dict) -> None:
    del blueprint["parameters"][3]


def reshape(blueprint: dict) -> None:
    blueprint["parameters"][0]["shape"] = blueprint["parameters"][0]["shape"][::-1]


def rename(blueprint: dict) -> None:
    blueprint["parameters"][2]["path"] += "s"


def miscount(blueprint: dict) -> None:
    blueprint["count"] += 1


@pytest.mark.parametrize("change", [drop, reshape, rename, miscount])
def test_a_blueprint_that_parts_from_the_source_is_refused(change):
    with pytest.raises(AssertionError):
        prove(tampered(change))


def test_the_difference_names_the_path():
    with pytest.raises(AssertionError, match=r"embed\.weight"):
        prove(tampered(reshape))


@pytest.mark.parametrize(("path", "depth"), [(GPT, 1), (TINY, 2)], ids=["gpt", "saint_iberis"])
def test_torch_compiles_the_whole_model_without_a_break(path: Path, depth: int):
    sizes = {"depth": depth, "width": 32, "heads": 4, "vocab": 64, "context": 16}
    compiled = compile_file(path, sizes)
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    with torch.no_grad():
        for parameter in model.parameters():  # zeros would hide what a layer computes
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    tokens = torch.arange(32).view(2, 16)

    def logits(ids: torch.Tensor) -> torch.Tensor:
        return model(ids, Now.start(ids))

    whole = torch.compile(logits, fullgraph=True, dynamic=False, backend="aot_eager")
    assert torch.allclose(whole(tokens), logits(tokens), atol=1e-5)
    whole(tokens).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
