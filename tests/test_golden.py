"""Parity with the originals: the logits, loss, gradients and greedy tokens that they gave once."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import tomli
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn

from nanogen.compiler import compile_text
from nanogen.importing.fitting import Stored, hold
from nanogen.importing.mapping import Settled
from runtime.decoding.generation import generate
from runtime.decoding.past import allocate_past
from runtime.decoding.request import Sampling
from runtime.model import Blueprint, build
from runtime.primitives import Now
from stages.models.importing import choose, fill

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "../shared/golden"
SPECS = {
    "nanochat_2025": "nanochat_2025",
    "nanochat_2026": "nanochat_2026",
    "saint_iberis": "saint_iberis_d20",
    "saint_iberis_jp": "saint_iberis_jp",
    "looped": "looped",
    "looped_passthrough": "looped",
}
DIMS = {  # of our specs, and what the originals' configurations call them
    "depth": "n_layer",
    "size": "size",
    "width": "n_embd",
    "heads": "n_head",
    "kv_heads": "n_kv_head",
    "vocab": "vocab_size",
    "context": "sequence_len",
    "prelude_layers": "n_prelude",
    "recur_layers": "n_recur_block",
    "coda_layers": "n_coda",
    "reached": "bptt_k",
}
TURNS = (1, 2, 3, 4, 6, 8, 16)  # of loops, where the file has them


def cases() -> list:
    """Every family, the looped ones at each number of turns that they were run at."""
    found = []
    for family in SPECS:
        path = GOLDEN / f"{family}.public.safetensors"
        if not path.exists():
            skip = pytest.mark.skip(reason="golden vectors are not here")
            found.append(pytest.param(family, None, marks=skip, id=family))
            continue
        with safe_open(path, "pt") as file:
            keys = set(file.keys())
        turns = [r for r in TURNS if f"r{r}/logits" in keys] or [None]
        found += [pytest.param(family, r, id=family if r is None else f"{family}-r{r}") for r in turns]
    return found


@lru_cache
def original(family: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(GOLDEN / f"{family}.public.safetensors", "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, json.loads(file.metadata()["meta"])  # noqa: SIM118


def published(family: str, kind: str) -> dict[str, Tensor]:
    """The original's weights, or their gradients, by its own names."""
    return {k.removeprefix(kind): t for k, t in original(family)[0].items() if k.startswith(kind)}


@lru_cache
def ours(family: str) -> tuple[nn.Module, Blueprint, Settled]:
    """The shipped spec at the original's sizes, with its weights by the spec's import table."""
    meta = original(family)[1]
    config = meta["config"]
    text = (ROOT / f"specs/{SPECS[family]}.toml").read_text()
    dims = tomli.loads(text)["dims"]
    sizes = {dim: config[theirs] for dim, theirs in DIMS.items() if dim in dims and theirs in config}
    sizes |= {"head_dim": config["n_embd"] // config["n_head"]} if type(dims["head_dim"]) is int else {}
    if "attends" in dims:  # the rule behind the published lists
        depth = config["n_layer"]
        sizes["attends"] = [i for i in range(depth) if i % 3 == 1 or i == depth - 1]
    sizes |= {"injection": 0} if config.get("input_injection") == "passthrough" else {}
    compiled = compile_text(text, sizes)
    model = build(compiled.source, compiled.blueprint)
    assert compiled.blueprint["count"] == meta.get("params", compiled.blueprint["count"])
    weights = published(family, "weight/")
    settled, faults = choose(compiled, set(weights), None)
    assert not faults
    assert not hold(settled, {name: Stored(tuple(t.shape), "F32") for name, t in weights.items()})
    model.load_state_dict(fill(settled, weights.__getitem__))
    return model, compiled.blueprint, settled


def at_turns(turns: int | None) -> tuple[str, dict[str, int]]:
    """Where the tensors of a run stand in the file, and the dials it was run at."""
    return ("", {}) if turns is None else (f"r{turns}/", {"r": turns})


def differs(found: Tensor, wanted: Tensor) -> float:
    """The largest difference, of the largest number."""
    return float((found - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize(("family", "turns"), cases())
def test_logits_loss_and_gradients(family: str, turns: int | None):
    (tensors, _), (model, _, settled) = original(family), ours(family)
    run, dials = at_turns(turns)
    model.zero_grad()
    logits = model(tensors["tokens"], Now.start(tensors["tokens"], dials=dials))
    loss = F.cross_entropy(logits.flatten(0, 1), tensors["targets"].flatten(), ignore_index=-1)
    loss.backward()
    assert differs(logits.detach(), tensors[f"{run}logits"]) < 1e-4
    assert abs(float(loss.detach() - tensors[f"{run}loss"])) < 1e-5
    mine = dict(model.named_parameters())
    weights, theirs = published(family, "weight/"), published(family, f"{run}grad/")
    cut = {
        name: torch.zeros_like(weight) for name, weight in weights.items()
    }  # where a loop is cut: no gradient
    gradients = fill(settled, (cut | theirs).__getitem__)  # cut and joined as the weights are
    assert set(gradients) == set(mine)
    for path, wanted in gradients.items():
        found = mine[path].grad
        assert (found is not None) == bool(wanted.any()), path
        assert found is None or differs(found, wanted) < 1e-4, path


@pytest.mark.parametrize(("family", "turns"), cases())
def test_greedy_tokens_by_full_forward_and_by_cached_decoding(family: str, turns: int | None):
    (tensors, _), (model, blueprint, _) = original(family), ours(family)
    run, dials = at_turns(turns)
    wanted = tensors.get(f"{run}greedy", tensors.get("greedy"))[0].tolist()  # type: ignore[index]
    tokens = torch.tensor([wanted[:8]])
    with torch.no_grad():
        while tokens.shape[1] < len(wanted):
            logits = model(tokens, Now.start(tokens, dials=dials))
            tokens = torch.cat((tokens, logits[:, -1].argmax(-1, keepdim=True)), dim=1)
    assert tokens[0].tolist() == wanted
    greedy = Sampling(temperature=0)
    found = generate(
        model, blueprint, wanted[:8], rows=2, tokens=len(wanted) - 8, sampling=greedy, dials=dials
    )
    assert found == [wanted[8:]] * 2


@pytest.mark.parametrize(("family", "turns"), cases())
def test_cached_decoding_is_the_full_forward_past_the_windows(family: str, turns: int | None):
    (tensors, _), (model, blueprint, _) = original(family), ours(family)
    run, dials = at_turns(turns)
    tokens = tensors["tokens"]
    rows, length = tokens.shape
    past = allocate_past(blueprint, rows=rows, capacity=length, dtype=torch.float32, dials=dials)
    logits, place = [], 0
    with torch.no_grad():
        for size in [3, 1, 1, 7, *[1] * length]:  # in chunks, then token by token
            new = tokens[:, place : place + size]
            positions = torch.arange(place, place + new.shape[1])[None]
            logits.append(model(new, Now.start(new, positions=positions, past=past, dials=dials)))
            place += new.shape[1]
            if place == length:
                break
    assert differs(torch.cat(logits, dim=1), tensors[f"{run}logits"]) < 1e-4
