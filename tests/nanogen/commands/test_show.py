"""`nanogen show` as people call it: tables that are whole, plain in a pipe, and JSON with the same numbers."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from nanogen.commands.show import print_model
from nanogen.compiler import compile_file
from nanogen.views.show import lay_open

GOOD = Path(__file__).parents[1] / "good"


def test_every_layer_has_a_row(call):
    code, out, err = call("show", "saint_iberis_d20")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    layers = [row for row in rows if row and row[0].isdecimal()]
    assert [int(row[0]) for row in layers] == list(range(20))
    assert [row[0] for row in layers if row[1] == "attention"] == ["1", "4", "7", "10", "13", "16", "19"]
    assert ["total", "542,035,200", "2,859,048,960", "989,698,560", "70.1", "MiB"] in rows
    assert "\x1b" not in out


def test_runs_of_equal_layers_are_folded_when_asked_for(call):
    out = call("show", "nanochat_2025", "--fold")[1]
    assert out.count("19,660,800") == 1
    assert "0 to 19  " in out
    assert "a row of several layers has the numbers of each" in out
    assert "2, 3 " in call("show", "saint_iberis_d20", "--fold")[1]


def test_facts_that_differ_are_columns(call):
    out = call("show", str(GOOD / "hybrid.toml"))[1]
    head = next(line for line in out.splitlines() if line.startswith("layer"))
    assert head.split()[:4] == ["layer", "mixer", "hidden", "window"]
    last = next(line for line in out.splitlines() if line.startswith("5 "))
    assert last.split()[:4] == ["5", "attention", "narrow", "none"]


def test_a_layer_from_within(call):
    code, out, _ = call("show", "saint_iberis_d20", "--layer", "3")
    assert code == 0
    assert out.startswith("trunk.3  stack trunk, mixer = slc2\n")
    assert "trunk.3.mix.conv.weight (1280, 1, 3), uniform(-0.57735, 0.57735), conv" in out
    assert "= causal_conv(gate * v, 3)" in out
    assert out == call("show", "saint_iberis_d20", "--layer", "trunk.3")[1]


def test_json_is_the_same_numbers(call):
    found = json.loads(call("show", "saint_iberis_d20", "--json")[1])
    (trunk,) = found["stacks"]
    assert found["total"]["parameters"] == 542_035_200
    assert trunk["layers"][1]["modules"] == {"mixer": "attention"}
    assert trunk["layers"][1]["training_flops_per_token"] == 133_701_120
    inside = json.loads(call("show", "saint_iberis_d20", "--layer", "3", "--json")[1])
    assert inside["equations"][0]["inside"][0]["owns"][0]["shape"] == [10, 1280]


@pytest.mark.parametrize(
    ("path", "message", "help"),
    [
        ("20", "there is no layer `20` in `trunk`", "layers count from 0 to 19: `trunk.19`"),
        ("trunk", "`trunk` is a stack of layers", "`trunk.19`"),
        ("trnk.3", "the model has no equation `trnk`", "did you mean `trunk`?"),
        ("trunk.3.h", "`trunk.3.h` calls no module and no stack", ""),
        ("trunk.x", "there is no layer `x` in `trunk`", ""),
        ("", "the model has no equation ``", "known here: `trunk`"),
    ],
)
def test_a_path_to_nothing_says_what_to_do(call, path, message, help):
    code, out, err = call("show", "saint_iberis_d20", "--layer", path)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}\n")
    assert help in err


def test_a_bare_number_needs_one_stack(call):
    code, _, err = call("show", str(GOOD / "hybrid.toml"), "--layer", "3")
    assert code == 1
    assert "there are 4 stacks to have a layer 3" in err
    assert "`first.0`" in err


def test_fold_and_layer_do_not_go_together(call):
    assert call("show", "saint_iberis_d20", "--layer", "3", "--fold")[0] == 2


def test_a_faulty_spec_is_not_shown(call):
    code, out, err = call("show", str(GOOD.parent / "bad" / "NG201-unknown-name.toml"))
    assert (code, out) == (1, "")
    assert "nothing was compiled\n" in err


@pytest.mark.parametrize("width", [40, 100])
def test_no_number_breaks_however_narrow_the_terminal(width):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, color_system=None)
    print_model(console, lay_open(compile_file(GOOD / "hybrid.toml").graph), fold=False)
    text = out.getvalue()
    for number in ("114,888", "681,552", "235,360", "10.8 KiB", "5.38 KiB"):
        assert number in text
    if width == 100:
        assert max(map(len, text.splitlines())) <= width
