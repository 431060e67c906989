"""A model's card: every number from the graph."""

from pathlib import Path

from nanogen.compiler import compile_file, compile_text
from nanogen.views.card import card
from runtime import optimizer_memory

SPECS = Path(__file__).parents[3] / "specs"


def test_the_card_of_saint_iberis():
    shown = card(compile_file(SPECS / "saint_iberis_d20.toml"), optimizer_memory)
    for wanted in (
        "saint_iberis_d20",
        "542,035,200",
        "2,969,095,680",
        "weights 2.02 GiB, gradients 2.02 GiB, optimizer 2.64 GiB",  # 4 bytes; 4 for matrices, 8 for the rest
        "trunk: attention at 1, 4, 7, 10, 13, 16, 19; slc2 at the other 13",
    ):
        assert wanted in shown


def test_layers_that_are_all_alike(small):
    tables = '[stack.t]\nlayers = "depth"\nx = "relu(x)"\n'
    compiled = compile_text(small(tables=tables, model='t = "t(embed)"', last="t"))
    assert "t: all alike" in card(compiled, optimizer_memory)


def test_each_call_of_a_stack_is_told_and_one_inside_layers_once(small):
    tables = '[stack.t]\nlayers = 3\nlow = "u(x)"\nx = "x + low"\n[stack.u]\nlayers = 2\nx = "relu(x)"\n'
    compiled = compile_text(small(tables=tables, model='a = "t(embed)"\nb = "t(a)"', last="b"))
    shown = card(compiled, optimizer_memory)
    for wanted in ("a: all alike", "a.0.low: all alike", "b: all alike"):
        assert shown.count(wanted) == 1, shown
