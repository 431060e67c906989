"""`einsum` against numpy's, and what its joins cost: from left to right, two at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from nanogen.load import Flops, Load, Saved, Value
from nanogen.primitives.base import Site
from nanogen.primitives.einsum import MOST_LETTERS, Einsum
from nanogen.text.diagnostics import Reject
from tests.nanogen.running import compiled_of, run

ROWS, TOKENS = 2, 3
SIZES = dict(zip("abijnt", (2, 3, 4, 5, 2, 3), strict=True))
LOAD = Load(ROWS, TOKENS)


def source_of(pattern: str, *values: Value) -> str:
    einsum = Einsum(pattern)
    names = tuple("pqrs"[: len(values)])
    return einsum.source(Site(names, values, einsum.shape(*values)))


@st.composite
def patterns(draw: st.DrawFn) -> tuple[str, tuple[bool, ...]]:
    """A pattern, and which of its values have time."""
    terms = draw(
        st.lists(st.lists(st.sampled_from("abijnt"), max_size=3, unique=True), min_size=1, max_size=4)
    )
    letters = sorted(set().union(*terms))
    result = draw(st.permutations(letters))[: draw(st.integers(0, len(letters)))]
    timed = draw(st.tuples(*(st.booleans() for _ in terms)))
    return ",".join("".join(t) for t in terms) + "->" + "".join(result), timed


@settings(max_examples=150, deadline=None, derandomize=True)
@given(patterns())
def test_einsum_is_numpys_and_its_matmuls_are_those_of_a_trace(drawn: tuple[str, tuple[bool, ...]]):
    pattern, timed = drawn
    terms, result = pattern.split("->")[0].split(","), pattern.split("->")[1]
    values = tuple(Value(tuple(SIZES[n] for n in t), timed=w) for t, w in zip(terms, timed, strict=True))
    numbers = np.random.default_rng(0)
    arrays = [numbers.normal(size=((ROWS, TOKENS) if v.timed else ()) + v.axes) for v in values]
    named = ",".join(("YZ" if v.timed else "") + t for v, t in zip(values, terms, strict=True))
    wanted = np.einsum(f"{named}->{'YZ' if any(timed) else ''}{result}", *arrays)
    tensors = dict(zip("pqrs", map(torch.from_numpy, arrays), strict=False))
    with FlopCounterMode(display=False) as counter:
        found = eval(source_of(pattern, *values), {"torch": torch, **tensors})
    assert np.allclose(found.numpy(), wanted)
    out = Einsum(pattern).shape(*values)
    assert found.shape == ((ROWS, TOKENS) if out.timed else ()) + out.axes
    flops = Einsum(pattern).flops(LOAD, out, *values)
    assert flops.weights == counter.get_total_flops()
    assert flops.pairs == 0


def test_one_join_is_twice_the_product_of_all_letters():
    a, b, w = Value((2, 3)), Value((2, 4)), Value((3, 5), timed=False)
    each = ROWS * TOKENS
    assert Einsum("nm,nd->md").flops(LOAD, Value((3, 4)), a, b) == Flops(weights=2 * 2 * 3 * 4 * each)
    assert Einsum("nm,md->nd").flops(LOAD, Value((2, 5)), a, w) == Flops(weights=2 * 2 * 3 * 5 * each)
    assert Einsum("nm,nd->nmd").flops(LOAD, Value((2, 3, 4)), a, b) == Flops(vector=2 * 3 * 4 * each)
    assert Einsum("mk,ml->kl").flops(LOAD, Value((3, 3), timed=False), w, w) == Flops(weights=2 * 3 * 5 * 5)


def test_a_letter_of_one_value_alone_is_summed_before():
    a, b = Value((2, 3)), Value((3, 4))
    flops = Einsum("nm,md->d").flops(LOAD, Value((4,)), a, b)
    assert flops == Flops(weights=2 * 3 * 4 * 6, vector=2 * 3 * 6)
    assert Einsum("nm->m").flops(LOAD, Value((3,)), a) == Flops(vector=2 * 3 * 6)
    assert Einsum("nm->mn").flops(LOAD, Value((3, 2)), a) == Flops()


def test_several_values_are_joined_from_left_to_right():
    a, b, c = Value((2, 3)), Value((3, 4)), Value((4, 5))
    flops = Einsum("ij,jk,kl->il").flops(LOAD, Value((2, 5)), a, b, c)
    assert flops == Flops(weights=2 * 6 * (2 * 3 * 4 + 2 * 4 * 5))
    other = Einsum("kl,jk,ij->il").flops(LOAD, Value((2, 5)), c, b, a)
    assert other == Flops(weights=2 * 6 * (3 * 4 * 5 + 2 * 3 * 5))
    assert source_of("ij,jk,kl->il", a, b, c) == (
        'torch.einsum("btik,btkl->btil", torch.einsum("btij,btjk->btik", p, q), r)'
    )


def test_what_is_kept_is_both_sides_of_each_join():
    a, b, c, w = Value((2, 3)), Value((3, 4)), Value((4, 5)), Value((3, 5), timed=False)
    assert Einsum("ij,jk->ik").saved(LOAD, Value((2, 4)), a, b) == Saved(inputs=(0, 1))
    assert Einsum("ij,jk,kl->il").saved(LOAD, Value((2, 5)), a, b, c) == Saved((0, 1, 2), run=6 * 2 * 4)
    assert Einsum("ij,jk->k").saved(LOAD, Value((4,)), a, b) == Saved((1,), run=6 * 3)
    assert Einsum("ij,jk->k").saved(LOAD, Value((5,)), a, w) == Saved((1,), run=6 * 3)
    assert Einsum("ij->j").saved(LOAD, Value((3,)), a) == Saved()


def test_batch_and_time_have_letters_that_the_pattern_has_not():
    a, b, w = Value((2, 3)), Value((2, 4)), Value((2, 3), timed=False)
    assert source_of("nm,nd->md", a, b) == 'torch.einsum("btnm,btnd->btmd", p, q)'
    assert source_of("bt,bd->td", a, b) == 'torch.einsum("acbt,acbd->actd", p, q)'
    assert source_of("ac,at->ct", a, b) == 'torch.einsum("bdac,bdat->bdct", p, q)'
    assert source_of(" n m , n d -> m d ", w, b) == 'torch.einsum("nm,btnd->btmd", p, q)'
    assert source_of("nm->m", w) == 'torch.einsum("nm->m", p)'


def test_the_narrow_are_widened_beside_the_wide():
    a, b = Value((2, 3)), Value((2, 4), "float32")
    assert Einsum("nm,nd->md").shape(a, b) == Value((3, 4), "float32")
    assert source_of("nm,nd->md", a, b) == 'torch.einsum("btnm,btnd->btmd", p.float(), q)'
    source = Einsum("n,n->").source(Site(("p + 1", "q"), (Value((2,)), Value((2,), "float32")), Value(())))
    assert "(p + 1)" not in source  # the result is narrow: nothing is widened
    wide = Site(("p + 1", "q"), (Value((2,)), Value((2,), "float32")), Value((), "float32"))
    assert "(p + 1).float(), q" in Einsum("n,n->").source(wide)


@pytest.mark.parametrize(
    ("pattern", "code", "blame", "message"),
    [
        ("nm,nd", "NG315", "pattern", "`nm,nd` is no pattern"),
        ("n1,nd->d", "NG315", "pattern", "`n1,nd->d` is no pattern"),
        ("...m,nd->d", "NG315", "pattern", "`...m,nd->d` is no pattern"),
        ("nm->m", "NG112", "pattern", "the pattern has 1 value, and 2 are given"),
        ("nm,nd,d->m", "NG112", "pattern", "the pattern has 3 values, and 2 are given"),
        ("nm,nn->m", "NG315", "pattern", "`n` stands twice in `nn`"),
        ("nm,nd->mm", "NG315", "pattern", "`m` stands twice in `mm`"),
        ("nm,nd->mz", "NG315", "pattern", "`z` stands in the result and in no value"),
        ("nm,nde->me", "NG315", 1, "`nde` names 3 feature axes of a value of shape B T 2 4"),
        ("nm,md->nd", "NG315", 1, "`m` is an axis of 3 and an axis of 2"),
    ],
)
def test_patterns_that_do_not_fit(pattern: str, code: str, blame: str | int, message: str):
    with pytest.raises(Reject) as refused:
        Einsum(pattern).shape(Value((2, 3)), Value((2, 4)))
    assert (refused.value.code, refused.value.blame, refused.value.message) == (code, blame, message)
    assert refused.value.help


def test_a_pattern_leaves_two_letters_for_batch_and_time():
    letters = "".join(chr(65 + n) for n in range(26)) + "".join(chr(97 + n) for n in range(26))
    fits, over = letters[:MOST_LETTERS], letters[: MOST_LETTERS + 1]
    assert source_of(f"{fits}->", Value((1,) * MOST_LETTERS)).startswith('torch.einsum("yz')
    with pytest.raises(Reject, match="more than 50 letters"):
        Einsum(f"{over}->").shape(Value((1,) * len(over)))


def test_einsum_in_a_model_decodes_and_reads_what_is_before_it():
    body = """
[module.mixed]
w = "parameter(2, 2, init=normal(1))"
two = "split(x, 2)"
y = "flatten(einsum('nm,kn->km', two + shift(two, 1), w)) * einsum('nm,nm->', two, two)[..., None]"
[stack.trunk]
layers = 2
m = "mixed(rms_norm(x))"
x = "x + m"
[model]
embed = "embedding(tokens, vocab, width)"
trunk = "trunk(embed)"
logits = "linear(trunk, vocab)"
"""
    run(body)
    assert 'torch.einsum("btnm,kn->btkm", two + shift(two, 1, now["y"]), w)' in compiled_of(body).source
