"""Dials as a document has them: defaults, bounds, draws, and what each refuses."""

from __future__ import annotations

import pytest

from nanogen.compiler import compile_text
from nanogen.language.dials import MOST, Dial, Draw

SPEC = """\
kind = "model"
language = 1
[dims]
width = 8
vocab = 32
context = 16
{dial}
[loop.think]
inputs = ["s"]
times = "r"
s = "silu(s)"
[model]
embed = "embedding(tokens, vocab, width)"
out = "think(embed)"
logits = "linear(out, vocab)"
"""

READ = {
    "default = 4": Dial("r", 4),
    "default = 4\nmin = 2\nmax = 9": Dial("r", 4, 2, 9),
    'default = 4\ntrain = { draw = "fixed" }': Dial("r", 4, train=Draw("fixed")),
    'default = 4\nmax = 9\ntrain = { draw = "lognormal_poisson", mean = 4 }': Dial(
        "r", 4, 1, 9, Draw("lognormal_poisson", 4, 0.5, 9)
    ),
    'default = 4\ntrain = { draw = "lognormal_poisson", mean = 2.5, sigma = 0, max = 16 }': Dial(
        "r", 4, 1, MOST, Draw("lognormal_poisson", 2.5, 0, 16)
    ),
}


@pytest.mark.parametrize("keys", READ)
def test_dials_are_read(keys: str):
    assert compile_text(SPEC.format(dial=f"[dial.r]\n{keys}")).graph.dials == {"r": READ[keys]}


def test_set_moves_a_dial():
    text = SPEC.format(dial="[dial.r]\ndefault = 4\nmax = 9")
    assert compile_text(text, {"r": 7}).graph.dials["r"].default == 7


REFUSED = {
    "": ("NG102", "the key `default` is missing"),
    "default = 0": ("NG101", "`default` is a whole number from 1 to 1,024, found the number 0"),
    "default = true": ("NG101", "`default` is a whole number from 1 to 1,024, found true"),
    "default = 4\nmax = 3": ("NG306", "the default is 4, and the dial goes from 1 to 3"),
    "default = 4\nmin = 6\nmax = 3": ("NG306", "`min` is 6, above `max`, 3"),
    "default = 4\ndefalt = 3": ("NG103", "a dial has no `defalt`"),
    "default = 4\ntrain = 3": ("NG101", "`train` is a table, found the number 3"),
    "default = 4\ntrain = { mean = 3 }": ("NG102", "the key `draw` is missing"),
    'default = 4\ntrain = { draw = "poisson" }': ("NG114", '"poisson" is no `draw`'),
    'default = 4\ntrain = { draw = "fixed", mean = 3 }': ("NG103", "a fixed draw has no `mean`"),
    'default = 4\ntrain = { draw = "lognormal_poisson" }': ("NG102", "the key `mean` is missing"),
    'default = 4\ntrain = { draw = "lognormal_poisson", mean = 0 }': (
        "NG101",
        "`mean` is a number above 0 and up to 1,024, found the number 0",
    ),
    'default = 4\ntrain = { draw = "lognormal_poisson", mean = 3, sigma = "x" }': (
        "NG101",
        '`sigma` is a number from 0 up to 1,024, found "x"',
    ),
    'default = 4\nmax = 8\ntrain = { draw = "lognormal_poisson", mean = 3, max = 9 }': (
        "NG306",
        "training draws up to 9, and the dial goes to 8",
    ),
}


@pytest.mark.parametrize("keys", REFUSED)
def test_dials_that_are_none(keys: str, faults):
    found = faults(SPEC.format(dial=f"[dial.r]\n{keys}"))
    assert [(code, message) for code, _, message in found] == [REFUSED[keys]]


def test_set_keeps_the_bounds(faults):
    found = faults(SPEC.format(dial="[dial.r]\ndefault = 4\nmax = 9"), {"r": 12})
    assert found == [("NG306", "default", "the default is 12, and the dial goes from 1 to 9")]


def test_a_dial_is_a_table(faults):
    assert faults(SPEC.format(dial="[dial]\nr = 3")) == [
        ("NG101", "r", "`dial.r` is a table, found the number 3")
    ]


@pytest.mark.parametrize(("name", "meaning"), [("width", "a dim"), ("think", "a loop")])
def test_a_dial_has_a_name_of_its_own(name: str, meaning: str, faults):
    found = faults(SPEC.format(dial=f"[dial.r]\ndefault = 4\n[dial.{name}]\ndefault = 2"))
    assert ("NG107", f"[dial.{name}]", f"`{name}` is a dial and {meaning}") in found


def test_a_slip_in_times_finds_the_dial():
    from nanogen.text.diagnostics import Refusal

    with pytest.raises(Refusal) as refused:
        compile_text(SPEC.format(dial="[dial.rr]\ndefault = 4"))
    assert [(d.message, d.help) for d in refused.value.diagnostics] == [
        ("nothing is called `r` here", "did you mean `rr`?")
    ]
