"""Every primitive keeps its word: what its rules say is what the emitted source does when torch runs it.

Each example is a module of one equation, called by a small model; the call is caught with what it was given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest
import torch
from attrs import frozen
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from nanogen.answers.flops import of_unit
from nanogen.answers.parameters import count_unit
from nanogen.answers.saved import saved
from nanogen.answers.state import elements_per_row
from nanogen.compiler import Compiled, compile_text
from nanogen.graph import Enter, Graph, Unit
from nanogen.load import Load
from nanogen.primitives import PRIMITIVES
from runtime.decoding.past import allocate_past
from runtime.model import build, build_meta, initialize
from runtime.primitives import Now

ROWS, TOKENS, VOCAB = 2, 16, 11
MASKS = {(1, 1, TOKENS, TOKENS), (TOKENS, TOKENS)}
OTHERS = {"arithmetic", "negate", "subscript"}  # written as operators, not by name


@frozen
class Example:
    """A call, the shapes of the names that it reads, and the shape that it gives, as `Value` prints them."""

    call: str
    inputs: str  # "x: B T 8; w: 3 8"
    gives: str
    flops: int | None = None  # by hand a position, where torch's counter sees nothing

    @property
    def shapes(self) -> dict[str, str]:
        pairs = (part.partition(":") for part in self.inputs.split(";") if part.strip())
        return {name.strip(): shape.strip() for name, _, shape in pairs}


POINTWISE = (
    "silu", "relu", "square", "sigmoid", "tanh", "exp", "softplus", "gelu", "gelu_tanh", "softmax",
)  # fmt: skip
EXAMPLES: dict[str, list[Example]] = {
    **{name: [Example(f"{name}(x)", "x: B T 2 6", "B T 2 6")] for name in POINTWISE},
    "log": [Example("log(square(x) + 1)", "x: B T 6", "B T 6")],
    "sqrt": [Example("sqrt(square(x) + 1)", "x: B T 6", "B T 6")],
    "softcap": [Example("softcap(x, 15)", "x: B T 6", "B T 6")],
    "float32": [Example("float32(x)", "x: B T 6", "B T 6")],
    "linear": [
        Example("linear(x, 5)", "x: B T 8", "B T 5"),
        Example("linear(x, 5, bias=true)", "x: B T 2 3 4", "B T 2 3 5"),
        Example("linear(x[:3], 1)", "x: B T 8", "B T 1"),
        Example("linear(w, 4)", "w: 3 6", "3 4"),
    ],
    "embedding": [
        Example("embedding(tokens, 11, 6)", "tokens: ids", "B T 6"),
        Example("embedding(positions, 64, 6)", "positions: ids", "B T 6"),
    ],
    "parameter": [
        Example("parameter(init=0.5)", "", "scalar"),
        Example("parameter(3, init=normal(1))", "", "3"),
        Example("parameter(2, 3, init=normal(1))", "", "2 3"),
        Example("parameter(2, 3, 4, init=normal(1))", "", "2 3 4"),
    ],
    "rms_norm": [
        Example("rms_norm(x)", "x: B T 8", "B T 8"),
        Example("rms_norm(x, eps=1e-5)", "x: B T 2 8", "B T 2 8"),
        Example("rms_norm(x, gain=true)", "x: B T 24", "B T 24"),
        Example("rms_norm(x, gain=true, offset=1)", "x: B T 2 24", "B T 2 24"),
    ],
    "layer_norm": [
        Example("layer_norm(x)", "x: B T 8", "B T 8"),
        Example("layer_norm(x, gain=true)", "x: B T 8", "B T 8"),
        Example("layer_norm(x, bias=true)", "x: B T 2 8", "B T 2 8"),
        Example("layer_norm(x, gain=true, bias=true, eps=1e-6)", "x: B T 8", "B T 8"),
    ],
    "l2_norm": [Example("l2_norm(x)", "x: B T 2 8", "B T 2 8")],
    "rope": [
        Example("rope(x, 10000)", "x: B T 8", "B T 8"),
        Example("rope(x, 10000, direction=-1, table=bfloat16)", "x: B T 2 8", "B T 2 8"),
        Example("rope(x, 500, pairs=neighbours)", "x: B T 2 3 8", "B T 2 3 8"),
        Example("rope(x, 500, fraction=0.5)", "x: B T 2 8", "B T 2 8"),
        Example("rope(x, 500, scaling=linear(factor=8))", "x: B T 8", "B T 8"),
        Example(
            "rope(x, 500, scaling=llama3(factor=8, low=1, high=4, original=32))", "x: B T 2 8", "B T 2 8"
        ),
        Example("rope(x, 500, fraction=0.29, pairs=neighbours)", "x: B T 200", "B T 200"),
    ],
    "split": [
        Example("split(x, 2)", "x: B T 8", "B T 2 4"),
        Example("split(x, 3)", "x: B T 2 6", "B T 2 3 2"),
        Example("split(w, 2)", "w: 8", "2 4"),
    ],
    "flatten": [
        Example("flatten(x)", "x: B T 2 3 4", "B T 24"),
        Example("flatten(x)", "x: B T 4", "B T 4"),
        Example("flatten(w)", "w: 2 3", "6"),
        Example("square(flatten(x[:, :2]))", "x: B T 3 4", "B T 6"),
        Example("square(flatten(repeat(x, 3)))", "x: B T 4", "B T 12"),
    ],
    "outer": [
        Example("outer(a, b)", "a: B T 3; b: B T 4", "B T 3 4"),
        Example("outer(a, b)", "a: B T 2 3; b: B T 4 5", "B T 2 3 4 5"),
        Example("outer(a, b)", "a: B T 2 3; b: B T 4", "B T 2 3 4"),
        Example("outer(a, w)", "a: B T 3; w: 4 5", "B T 3 4 5"),
        Example("outer(w, a)", "a: B T 3 2; w: 4 5", "B T 4 5 3 2"),
        Example("outer(v, w)", "v: 3; w: 4", "3 4"),
    ],
    "concat": [
        Example("concat(a, b)", "a: B T 3; b: B T 4", "B T 7"),
        Example("concat(a, b, a)", "a: B T 2 3; b: B T 2 4", "B T 2 10"),
        Example("concat(v, w)", "v: 3; w: 4", "7"),
    ],
    "repeat": [
        Example("repeat(x, 3)", "x: B T 4", "B T 3 4"),
        Example("repeat(x, 3)", "x: B T 2 4", "B T 3 2 4"),
        Example("repeat(w, 3)", "w: 4", "3 4"),
    ],
    "shift": [
        Example("shift(x, 1)", "x: B T 8", "B T 8"),
        Example("shift(x, 3)", "x: B T 2 4", "B T 2 4"),
        Example("shift(x, 20)", "x: B T 4", "B T 4"),
    ],
    "causal_conv": [
        Example("causal_conv(x, 3)", "x: B T 8", "B T 8", flops=2 * 3 * 8),
        Example("causal_conv(x, 4, bias=true)", "x: B T 2 4", "B T 2 4", flops=2 * 4 * 8),
        Example("causal_conv(x, 1)", "x: B T 8", "B T 8", flops=2 * 8),
    ],
    "attend": [
        Example("attend(q, k, v)", "q: B T 4 8; k: B T 4 8; v: B T 4 8", "B T 4 8"),
        Example("attend(q, k, v)", "q: B T 4 8; k: B T 2 8; v: B T 2 8", "B T 4 8"),
        Example("attend(q, k, v, scale=0.2)", "q: B T 4 8; k: B T 1 8; v: B T 1 6", "B T 4 6"),
        Example("attend(q, k, v, window=5)", "q: B T 4 8; k: B T 2 8; v: B T 2 8", "B T 4 8"),
        Example("attend(q, k, v, window=1)", "q: B T 2 8; k: B T 2 8; v: B T 2 8", "B T 2 8"),
        Example("attend(q, k, v, softcap=2)", "q: B T 4 8; k: B T 2 8; v: B T 2 6", "B T 4 6"),
        Example("attend(q, k, v, sinks=s)", "q: B T 4 8; k: B T 2 8; v: B T 2 8; s: 4", "B T 4 8"),
        Example(
            "attend(q, k, v, sinks=s, softcap=2, scale=0.5, window=5)",
            "q: B T 4 8; k: B T 1 8; v: B T 1 8; s: 4",
            "B T 4 8",
        ),
        Example("attend(q, k, v, sinks=none, window=40)", "q: B T 2 8; k: B T 2 8; v: B T 2 8", "B T 2 8"),
    ],
    "einsum": [
        Example("einsum('nm,nd->md', a, b)", "a: B T 2 3; b: B T 2 4", "B T 3 4"),
        Example("einsum('nd,md->nm', a, w)", "a: B T 3 4; w: 5 4", "B T 3 5"),
        Example("einsum('nd,dm->nm', w, a)", "a: B T 3 4; w: 5 3", "B T 5 4"),
        Example("einsum('i,j->ij', a, b)", "a: B T 3; b: B T 4", "B T 3 4"),
        Example("einsum('bt,bt->', a, b)", "a: B T 3 2; b: B T 3 2", "B T"),
        Example("einsum('ab,->ba', a, s)", "a: B T 3 2; s: B T", "B T 2 3"),
        Example("einsum('ij->j', a)", "a: B T 3 2", "B T 2"),
        Example("einsum('ij->ji', a)", "a: B T 3 2", "B T 2 3"),
        Example("einsum('ij,jk->k', a, b)", "a: B T 3 2; b: B T 2 4", "B T 4"),
        Example("einsum('i,j,j->i', a, b, c)", "a: B T 3; b: B T 2; c: B T 2", "B T 3"),
        Example("einsum('ij,jk,kl->il', a, b, w)", "a: B T 3 2; b: B T 2 4; w: 4 5", "B T 3 5"),
        Example("einsum('ij,jk->ik', v, w)", "v: 3 2; w: 2 4", "3 4"),
        Example("einsum('ij,j->i', a, float32(b))", "a: B T 3 2; b: B T 2", "B T 3"),
    ],
    "noise": [
        Example("x + noise(x, 0.5)", "x: B T 2 6", "B T 2 6"),
        Example("x + noise(2 * x, 0.5, cut=1)", "x: B T 6", "B T 6"),
        Example("square(x) - noise(x, 3)", "x: B T", "B T"),
    ],
    "dropout": [
        Example("dropout(x, 0.3)", "x: B T 2 6", "B T 2 6"),
        Example("dropout(x, 0)", "x: B T", "B T"),
    ],
    "arithmetic": [
        Example("a + b", "a: B T 6; b: B T 6", "B T 6"),
        Example("a * b", "a: B T 2 3; b: B T 3", "B T 2 3"),
        Example("a * b", "a: B T 3; b: B T 2 3", "B T 2 3"),
        Example("a / (square(b) + 1)", "a: B T 1; b: B T 4", "B T 4"),
        Example("2 / (square(a) + 1) - 3", "a: B T 4", "B T 4"),
        Example("square(a) ** 1.5", "a: B T 4", "B T 4"),
        Example("2 ** a", "a: B T 4", "B T 4"),
        Example("(square(a) + 1) ** b", "a: B T 4; b: B T 4", "B T 4"),
        Example("a * s", "a: B T 3 2; s: B T", "B T 3 2"),
        Example("a * w", "a: B T 3; w: 2 3", "B T 2 3"),
        Example("a * w", "a: B T 2 3; w: 3", "B T 2 3"),
        Example("v * w", "v: scalar; w: 3", "3"),
    ],
    "negate": [Example("-x", "x: B T 4", "B T 4"), Example("-w", "w: 3", "3")],
    "subscript": [
        Example("x[:3]", "x: B T 8", "B T 3"),
        Example("x[-2:]", "x: B T 8", "B T 2"),
        Example("x[0]", "x: B T 8", "B T"),
        Example("x[0]", "x: B T 2 8", "B T 8"),
        Example("x[..., 2:5]", "x: B T 2 8", "B T 2 3"),
        Example("x[1, ..., -1]", "x: B T 2 3 4", "B T 3"),
        Example("x[..., None]", "x: B T 4", "B T 4 1"),
        Example("x[0][None]", "x: B T 4", "B T 1"),
        Example("x[None]", "x: B T 4", "B T 1 4"),
        Example("x[:, None, 1]", "x: B T 2 3", "B T 2 1"),
        Example("w[1]", "w: 3", "scalar"),
        Example("w[..., :2]", "w: 3 4", "3 2"),
    ],
}
CASES = [pytest.param(e, id=f"{e.call} {e.inputs}") for examples in EXAMPLES.values() for e in examples]


def test_every_primitive_has_an_example():
    assert set(EXAMPLES) == set(PRIMITIVES) | OTHERS


def line_of(shape: str) -> str:
    """An equation that gives a value of a shape."""
    axes = [int(a) for a in shape.removeprefix("B T").split()] if shape not in ("ids", "scalar") else []
    if shape == "scalar" or not shape.startswith("B T"):
        return f"parameter({''.join(f'{a}, ' for a in axes)}init=normal(1))"
    width = 1
    for a in axes:
        width *= a
    text = f"linear(embed, {width}, init=normal(1))"
    for a in axes[:-1]:
        text = f"split({text}, {a})"
    return text if axes else f"{text}[0]"


def spec_of(example: Example) -> str:
    shapes = example.shapes
    made = {n: line_of(s) for n, s in shapes.items() if s != "ids"}
    inputs = list(shapes) or ["tokens"]
    taken = "probe" if example.gives in ("B T", "scalar") else "flatten(probe)[0]"
    lines = "".join(f'{n}_in = "{text}"\n' for n, text in made.items())
    call = ", ".join(n if s == "ids" else f"{n}_in" for n, s in shapes.items()) or "tokens"
    return f"""
kind = "model"
language = 1
[dims]
vocab = {VOCAB}
context = 64
[module.probe]
inputs = {inputs}
y = "{example.call}"
[model]
embed = "embedding(tokens, vocab, 7)"
{lines}probe = "probe({call})"
head = "linear(embed, vocab)"
logits = "head * {taken}"
"""


@lru_cache
def compiled_of(example: Example) -> Compiled:
    return compile_text(spec_of(example))


@lru_cache
def model_of(example: Example) -> nn.Module:
    compiled = compiled_of(example)
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    return model


def unit_of(example: Example) -> Unit:
    node = compiled_of(example).graph.model.line("probe").node
    assert isinstance(node, Enter)
    return node.unit


def caught(model: nn.Module, device: str = "cpu") -> tuple[Callable[..., Tensor], tuple[Any, ...]]:
    """Run the model once; return the example's call and what it was given."""
    found: list[tuple[Callable[..., Tensor], tuple[Any, ...]]] = []
    namespace: Any = sys.modules[type(model).__module__]
    owner, name = (model.probe, "forward") if hasattr(model, "probe") else (namespace, "Probe")
    plain = getattr(owner, name)

    def spy(*given):
        found.append((plain, given))
        return plain(*given)

    setattr(owner, name, spy)
    tokens = torch.randint(VOCAB, (ROWS, TOKENS), generator=torch.Generator().manual_seed(1)).to(device)
    model(tokens, Now.start(tokens, training=True))
    setattr(owner, name, plain)
    return found[0]


def meta_of(example: Example) -> nn.Module:
    return build_meta(compiled_of(example).source, "meta")


@pytest.mark.parametrize("example", CASES)
def test_the_shape_is_the_one_that_runs(example: Example):
    value = unit_of(example).line("y").node.value
    assert str(value) == example.gives
    for model, device in ((model_of(example), "cpu"), (meta_of(example), "meta")):
        call, given = caught(model, device)
        wanted = ((ROWS, TOKENS) if value.timed else ()) + value.axes
        assert tuple(torch.broadcast_to(call(*given), wanted).shape) == tuple(call(*given).shape) == wanted


@pytest.mark.parametrize("example", CASES)
def test_the_parameters_counted_are_those_built(example: Example):
    model = model_of(example)
    built = sum(p.numel() for n, p in model.named_parameters() if n.startswith("probe"))
    assert built == count_unit(unit_of(example))
    for path, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all(), path


@pytest.mark.parametrize("example", CASES)
def test_the_matmul_flops_are_those_of_a_trace(example: Example):
    if "attend" in example.call:
        return  # `test_attention_flops_are_the_causal_part_of_the_square`
    call, given = caught(meta_of(example), "meta")
    with FlopCounterMode(display=False) as counter:
        call(*given)
    counted = of_unit(unit_of(example), Load(ROWS, TOKENS)).matmul
    if example.flops is not None:
        assert counter.get_total_flops() == 0
        assert counted == example.flops * ROWS * TOKENS
    else:
        assert counted == counter.get_total_flops()


@pytest.mark.parametrize("example", EXAMPLES["attend"], ids=lambda e: f"{e.call} {e.inputs}")
def test_attention_flops_are_the_causal_part_of_the_square(example: Example):
    call, given = caught(meta_of(example), "meta")
    with FlopCounterMode(display=False) as counter:
        call(*given)
    heads, channels = given[0].shape[2], given[0].shape[3] + given[2].shape[3]
    assert (
        counter.get_total_flops() == 2 * ROWS * TOKENS * TOKENS * heads * channels
    )  # torch counts the square
    window = int(example.call.rstrip(")").partition("window=")[2] or TOKENS)
    pairs = sum(min(query + 1, window) for query in range(TOKENS))
    counted = of_unit(unit_of(example), Load(ROWS, TOKENS))
    assert counted.matmul == counted.pairs == 2 * ROWS * pairs * heads * channels


def fresh(given: Any) -> Any:
    """A leaf of its own, where a tensor was given."""
    if not isinstance(given, Tensor):
        return given
    return given.detach().clone().requires_grad_(given.is_floating_point())


def storage(tensor: Tensor) -> tuple[int, int]:
    return tensor.untyped_storage().data_ptr(), tensor.untyped_storage().nbytes()


@pytest.mark.parametrize("example", CASES)
def test_the_bytes_saved_are_those_that_autograd_keeps(example: Example):
    call, given = caught(model_of(example))
    given = tuple(map(fresh, given))
    fixed = {storage(p) for p in model_of(example).parameters()}  # weights, and what stands for them
    fixed |= {storage(g) for g in given if isinstance(g, Tensor) and g.shape[:2] != (ROWS, TOKENS)}
    fixed |= {storage(t) for g in given if isinstance(g, Now) for table in g.tables.values() for t in table}
    kept: set[tuple[int, int]] = set()
    alive: list[Tensor] = []  # so that no storage is reused

    def pack(tensor: Tensor) -> Tensor:
        alive.append(tensor)
        if tensor.shape not in MASKS:  # of a window, which are not counted
            kept.add(storage(tensor))
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        result = call(*given)
    found = sum(size for pointer, size in kept - fixed)
    value = unit_of(example).line("y").node.value
    counted = saved(Graph("probe", unit_of(example), {}), Load(ROWS, TOKENS)).bytes(4)
    assert result.requires_grad
    unfused = "v: B T 1 6" in example.inputs or "softcap=" in example.call or "sinks=s" in example.call
    if unfused:  # the scores are kept, where a fused kernel keeps its output and their log-sum-exps
        instead = result.numel() + ROWS * 4 * TOKENS
        assert found > counted + 4 * (ROWS * 4 * TOKENS**2 - instead)
    elif value.timed:
        from_weights = 4 * 24 if example.call.startswith("rms_norm(x, gain") else 0  # offset + gain
        assert counted + from_weights == found, f"{counted} counted, {found} kept"
    else:
        assert counted == 0


@pytest.mark.parametrize("example", CASES)
def test_decoding_in_any_pieces_is_the_full_forward(example: Example):
    compiled, model = compiled_of(example), model_of(example)
    draw = torch.Generator().manual_seed(2)
    tokens = torch.randint(VOCAB, (ROWS, TOKENS), generator=draw)
    with torch.inference_mode():
        whole = model(tokens)
        for pieces in ([1] * TOKENS, [7, 1, 5, 3], [TOKENS]):
            past = allocate_past(compiled.blueprint, rows=ROWS, capacity=TOKENS, dtype=torch.float32)
            assert bytes_of(past) == ROWS * elements_per_row(compiled.graph, TOKENS) * 4
            place, logits = 0, []
            for size in pieces:
                positions = torch.arange(place, place + size)[None]
                piece = tokens[:, place : place + size]
                logits.append(model(piece, Now.start(piece, torch.float32, positions, past)))
                place += size
            assert torch.allclose(
                torch.cat(logits, dim=1), whole, atol=1e-4 * float(whole.abs().max()), rtol=0
            )


def bytes_of(tree: Any) -> int:
    if isinstance(tree, Tensor):
        return tree.numel() * tree.element_size()
    branches = tree.values() if isinstance(tree, dict) else tree
    return sum(bytes_of(branch) for branch in branches)


@pytest.mark.parametrize("example", CASES)
def test_the_source_keeps_the_runs_dtype_and_wide_stays_wide(example: Example):
    value = unit_of(example).line("y").node.value
    call, given = caught(model_of(example))
    narrow = []
    for g in given:
        narrow.append(g.to(torch.bfloat16) if isinstance(g, Tensor) and g.is_floating_point() else g)
        if isinstance(g, Now):
            narrow[-1] = Now(g.positions, torch.bfloat16, g.tables, g.past, g.dials, place=g.place)
    wanted = torch.float32 if value.dtype == "float32" else torch.bfloat16
    assert call(*narrow).dtype == wanted
