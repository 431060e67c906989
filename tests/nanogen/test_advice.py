"""Advice is given where a person slipped, and nowhere else: published models are silent."""

from pathlib import Path

import pytest
import torch

from nanogen.compiler import compile_file, compile_text
from runtime.model import build, initialize

ROOT = Path(__file__).parents[2]
SPECS = sorted([*(ROOT / "specs").glob("*.toml"), *(Path(__file__).parent / "good").glob("*.toml")])

LAYER = """
[module.mlp]
up = "linear(x, 16)"
y  = "linear(relu(up), width{init})"
[stack.trunk]
layers = {layers}
{body}
"""


@pytest.fixture
def codes(small, faults):
    """A function from parts of a small spec to the codes found in it; dims that no part reads are left out."""

    def found(given: dict | None = None, **parts: str) -> list[str]:
        return [code for code, key, _ in faults(small(**parts), given) if key not in ("depth", "embed")]

    return found


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_published_specs_are_silent(path):
    assert compile_file(path).warnings == ()


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("nanochat_2025", {"depth": 4, "context": 64}),
        ("saint_iberis_tiny", {"depth": 2, "width": 64, "vocab": 300}),
    ],
)
def test_published_specs_are_silent_at_other_sizes(path, given):
    assert compile_file(ROOT / f"specs/{path}.toml", given).warnings == ()


ATTEND = 'h = "split(embed, 2)"\nmix = "attend(h, h, h, window={window})"\nf = "flatten(mix)"'


@pytest.mark.parametrize(("window", "expected"), [("none", []), (16, []), (17, []), (18, ["NG601"])])
def test_a_window_may_have_one_key_more_than_the_context(codes, window, expected):
    assert codes(model=ATTEND.format(window=window), last="f") == expected


def test_a_context_cut_short_for_a_trial_is_no_slip_of_the_spec(codes):
    assert codes({"context": 4}, model=ATTEND.format(window=16), last="f") == []


@pytest.mark.parametrize(
    ("equation", "expected"),
    [
        ('h = "causal_conv(embed, context)"', []),
        ('h = "causal_conv(embed, context + 1)"', ["NG601"]),
        ('h = "shift(embed, context - 1)"', []),
        ('h = "shift(embed, context)"', ["NG601"]),
    ],
)
def test_kernels_and_shifts_reach_no_further_than_a_row(codes, equation, expected):
    assert codes(model=equation, last="h") == expected


ZEROS = {
    "a matrix of zeros after one of zeros": ('a = "linear(embed, 8, init=zeros)"\nh = "linear(silu(a), 8, init=zeros)"', True),
    "a number is a law too": ('a = "linear(embed, 8, init=0)"\nh = "linear(a, 8, init=0.0)"', True),
    "through shapes and products": (
        'a = "linear(embed, 8, init=zeros)"\nb = "flatten(split(a, 2)) * embed / 2"\nh = "linear(b, 8, init=zeros)"',
        True,
    ),
    "values of attention": (
        's = "split(embed, 2)"\nv = "linear(embed, 8, init=zeros)"\nm = "attend(s, s, split(v, 2))"\nh = "linear(flatten(m), 8, init=zeros)"',
        True,
    ),
    "a gate on a branch": ('g = "parameter(8, init=zeros)"\na = "linear(embed, 8, init=zeros)"\nh = "embed + g * a"', True),
    "the table and the head": ('a = "embedding(tokens, vocab, 8, init=zeros)"\nh = "linear(a, 8, init=zeros)"', True),
    "only the last": ('a = "linear(embed, 8)"\nh = "linear(a, 8, init=zeros)"', False),
    "only the first": ('a = "linear(embed, 8, init=zeros)"\nh = "linear(a, 8)"', False),
    "read elsewhere too": (
        'a = "linear(embed, 8, init=zeros)"\nb = "linear(a, 8, init=zeros)"\nh = "a + b"',
        False,
    ),
    "a sum with what is not zero": ('a = "linear(embed, 8, init=zeros)"\nh = "linear(embed + a, 8, init=zeros)"', False),
    "a function that is not zero at zero": (
        'a = "linear(embed, 8, init=zeros)"\nh = "linear(sigmoid(a), 8, init=zeros)"',
        False,
    ),
    "a gate on what is not zero": ('g = "parameter(8, init=zeros)"\na = "linear(embed, 8)"\nh = "g * a"', False),
}  # fmt: skip


@pytest.mark.parametrize("case", ZEROS)
def test_zeros_behind_zeros_never_learn(codes, case):
    model, dead = ZEROS[case]
    assert codes(model=model, last="h") == (["NG604"] if dead else [])


@pytest.mark.parametrize("case", [case for case in ZEROS if case != "read elsewhere too"])
def test_what_is_called_dead_has_no_gradient(small, case):
    """The claim itself, on the emitted source: of two zeros, neither gets a gradient; otherwise one does."""
    model_text, dead = ZEROS[case]
    compiled = compile_text(small(model=model_text, last="h"))
    model = build(compiled.source, compiled.blueprint)
    initialize(model, compiled.blueprint, seed=0)
    logits = model(torch.arange(12)[None])
    (logits * torch.randn(logits.shape)).sum().backward()
    zeros = [p for p in model.parameters() if not p.any()]
    assert zeros
    assert dead == all(p.grad is None or not p.grad.any() for p in zeros)


@pytest.mark.parametrize(
    ("equations", "expected"),
    [
        ('a = "linear(embed, 8, init=zeros)"\nh = "rms_norm(a)"', ["NG605"]),
        ('a = "linear(embed, 8, init=zeros)"\nh = "layer_norm(a + embed)"', []),
        ('h = "l2_norm(embed, eps=0)"', ["NG606"]),
        ('h = "rms_norm(embed, eps=0.5)"', ["NG606"]),
        ('h = "rms_norm(embed, eps=0.01)"', []),
    ],
)
def test_norms(codes, equations, expected):
    assert codes(model=equations, last="h") == expected


ROPE = 's = "split(embed, 2)"\n{equations}\nh = "flatten(mix)"'


@pytest.mark.parametrize(
    ("equations", "expected"),
    [
        ('mix = "attend(s, s, s)"', []),
        ('mix = "attend(rope(s, 100), rope(s, 100), s)"', []),
        ('mix = "attend(rope(s, 100), s, s)"', ["NG607"]),
        ('mix = "attend(rope(s, 100), rope(s, 200), s)"', ["NG607"]),
        ('q = "rms_norm(rope(s, 100))"\nmix = "attend(q, s * 2, s)"', ["NG607"]),
        # a part of the channels is turned, in both
        ('q = "concat(s, rope(s, 100))"\nk = "concat(rope(s, 100), s)"\nmix = "attend(q, k, s)"', []),
    ],
)
def test_queries_and_keys_are_turned_alike(codes, equations, expected):
    assert codes(model=ROPE.format(equations=equations), last="h") == expected


def test_keys_that_come_from_elsewhere_are_not_judged(codes):
    tables = '[module.a]\ninputs = ["x", "k"]\nq = "rope(split(x, 2), 100)"\nm = "attend(q, k, k)"\ny = "flatten(m)"\n'
    assert codes(tables=tables, model='s = "split(embed, 2)"\nh = "a(embed, rope(s, 100))"', last="h") == []


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("split(rope(embed, 100), 2)", ["NG608"]),
        ("split(rms_norm(rope(embed, 100)), 2)", ["NG608"]),
        ("split(rope(embed, 100, pairs=neighbours), 2)", []),
        ("split(rope(embed, 100), 1)", []),
        ("rope(split(embed, 2), 100)", []),
    ],
)
def test_heads_are_split_before_they_are_turned(codes, q, expected):
    assert codes(model=f'q = "{q}"\nmix = "attend(q, q, q)"\nh = "flatten(mix)"', last="h") == expected


WAYS = {
    "a sum": ('m = "mlp(rms_norm(x))"\nx = "x + m"', []),
    "a sum under a norm": ('m = "mlp(x)"\nx = "rms_norm(x + m, gain=true)"', []),
    "a gate": ('m = "mlp(x)"\ng = "parameter(width, init=0.5)"\nx = "g * x + (1 - g) * m"', []),
    "none": ('x = "mlp(rms_norm(x))"', ["NG609"]),
    "a sum that is not read": ('a = "mlp(x)"\nh = "x + a"\nx = "mlp(h)"', ["NG609"]),
    "through attention": ('s = "split(x, 2)"\nm = "attend(s, s, s)"\na = "mlp(x)"\nx = "flatten(m) + a"', ["NG609"]),
    "inside a module": ('x = "around(x)"', []),
    "no weights": ('x = "relu(x)"', []),
}  # fmt: skip
AROUND = '[module.around]\nm = "mlp(x)"\ny = "x + m"\n'


@pytest.mark.parametrize("case", WAYS)
def test_a_deep_stack_has_a_way_around_its_weights(codes, case):
    body, expected = WAYS[case]
    around = AROUND if "around" in body else ""
    for layers, told in ((4, expected), (3, [])):
        tables = LAYER.format(layers=layers, body=body, init="") + around
        tables = tables if "mlp" in body + around else tables[tables.index("[stack") :]
        assert codes(tables=tables, model='h = "trunk(embed)"', last="h") == told


def test_modules_that_double_are_followed_once(codes):
    modules = '[module.m0]\ny = "x + 1"\n' + "".join(
        f'[module.m{k}]\ny = "m{k - 1}(m{k - 1}(x))"\n' for k in range(1, 13)
    )
    body = '[stack.t]\nlayers = 4\na = "linear(x, width)"\nx = "m12(x) + a"\n'
    assert codes(tables=modules + body, model='h = "t(embed)"', last="h") == []


LARGE = {
    "dims": "heads = {heads}",
    "model": 's = "split(embed, heads)"\nm = "attend(s, s, s)"\nf = "flatten(m)"',
}


@pytest.mark.parametrize(
    ("width", "heads", "vocab", "expected"),
    [
        (768, 12, 50257, []),  # the vocabulary is the tokenizer's
        (768, 96, 4096, ["NG602"]),
        (800, 8, 4096, ["NG602"]),
        (770, 11, 4096, ["NG603", "NG602"]),
        (770, 11, 64, []),  # a toy
    ],
)
def test_sizes_that_matrix_units_dislike(codes, width, heads, vocab, expected):
    given = {"width": width, "vocab": vocab}
    parts = {k: v.format(heads=heads) for k, v in LARGE.items()}
    assert codes(given, **parts, last="f") == expected


def test_published_sizes_are_meant(codes):
    parts = {k: v.format(heads=11) for k, v in LARGE.items()}
    parts["dims"] += "\n[expect]\nparameters = 6307840"
    text = {"width": 770, "vocab": 4096}
    assert codes(text, **parts, last="f") == ["NG603", "NG602"]  # not where `--set` makes the sizes


def test_a_size_is_told_once_at_its_dim(small, faults):
    model = 'a = "linear(embed, 4 * width)"\nb = "linear(a, width)"'
    found = faults(small(model=model, last="b"), {"width": 770, "vocab": 4096})
    wide = [row for row in found if "770" in row[2]]
    assert [row[:2] for row in wide] == [("NG603", "width")]
    assert "of 3 equations" in wide[0][2]
