"""Arithmetic of equations against numpy's: order, brackets, and axes that are left out."""

from __future__ import annotations

import re
import sys

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nanogen.compiler import Compiled, compile_text
from runtime.model import build

HEAD = """
kind = "model"
language = 1
[dims]
width = 6
vocab = 11
context = 32
"""


def compiled_of(body: str) -> Compiled:
    return compile_text(HEAD + body)


AXES = {
    "a": (3,),
    "b": (2, 3),
    "c": (2, 1),
    "s": (),
    "p": (3,),
    "r": (2, 3),
    "z": (),
}  # p, r and z have no time
ARITHMETIC = """
[module.probe]
inputs = ["a", "b", "c", "s", "p", "r", "z"]
y = "{text}"
[model]
embed = "embedding(tokens, vocab, width)"
a = "embed[:3]"
b = "split(embed, 2)"
c = "b[:, :1]"
s = "embed[0]"
p = "parameter(3, init=normal(1))"
r = "parameter(2, 3, init=normal(1))"
z = "parameter(init=0.7)"
probe = "probe(a, b, c, s, p, r, z)"
head = "linear(embed, vocab)"
logits = "head * {taken}"
"""


def operands() -> st.SearchStrategy[str]:
    return st.sampled_from([*AXES, "2", "0.5", "-3", "1.5"])


def extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner)
    bare = pair.map(lambda p: f"{p[0]} {p[1]} {p[2]}")
    bracketed = pair.map(lambda p: f"({p[0]} {p[1]} {p[2]})")
    power = st.tuples(inner, st.sampled_from(["2", "3", "1"])).map(lambda p: f"({p[0]}) ** {p[1]}")
    loose = st.sampled_from([*AXES]).map(lambda name: f"-{name} ** 2")
    base = inner.map(lambda text: f"(-2) ** (0 * ({text}) + 2) - 2 ** ({text})")
    return st.one_of(bare, bracketed, power, loose, base, inner.map(lambda text: f"-({text})"))


@example("a - (b - c)")
@example("a - (b + c) - (s - p)")
@example("a / (b * c) / (p / z)")
@example("2 - (a - 3) * -(z - 1)")
@example("(a ** 2) ** 3 - -a ** 2")
@example("a * (b / (c * 3)) * 2")
@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.recursive(operands(), extend, max_leaves=6).filter(lambda t: any(n in t for n in AXES)))
def test_arithmetic_is_numpys(text: str):
    with np.errstate(all="ignore"):
        draw = np.random.default_rng(0)
        timed = {n for n in AXES if n not in "prz"}
        values = {n: draw.normal(size=((2, 4) if n in timed else ()) + axes) for n, axes in AXES.items()}
        aligned = dict(values)
        for n in timed:  # batch and time stand before the feature axes
            aligned[n] = values[n].reshape((2, 4) + (1,) * (2 - len(AXES[n])) + AXES[n])
        wanted = eval(text, {"__builtins__": {}}, aligned)
    used = [n for n in AXES if re.search(rf"\b{n}\b", text)]
    axes = np.broadcast_shapes(*(AXES[n] for n in used))
    lead = (2, 4) if timed & set(used) else ()
    compiled = compiled_of(ARITHMETIC.format(text=text, taken="flatten(probe)[0]" if axes else "probe"))
    model = build(compiled.source, compiled.blueprint)
    function = vars(sys.modules[type(model).__module__])["Probe"]
    found = function(*(torch.from_numpy(np.asarray(values[n])) for n in AXES))
    assert found.shape == (*lead, *axes)
    assert np.allclose(found.numpy(), np.asarray(wanted).reshape((*lead, *axes)), rtol=1e-9, equal_nan=True)


def test_a_wide_scalar_widens_what_it_meets():
    text = "float32(z) * a + float32(z) * s - z"
    compiled = compiled_of(ARITHMETIC.format(text=text, taken="flatten(probe)[0]"))
    model = build(compiled.source, compiled.blueprint)
    function = vars(sys.modules[type(model).__module__])["Probe"]
    values = [
        torch.ones(((2, 4) if n not in "prz" else ()) + axes, dtype=torch.bfloat16)
        for n, axes in AXES.items()
    ]
    assert function(*values).dtype == torch.float32
    assert str(compiled.graph.model.line("probe").node.value) == "B T 3"
    assert compiled.graph.model.line("probe").node.value.dtype == "float32"
