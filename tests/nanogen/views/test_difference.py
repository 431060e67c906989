"""What sets two models apart: layers, equations, costs, and tensors that fit or do not."""

import pytest

from nanogen.compiler import compile_text
from nanogen.views.difference import Change, as_json, compare, places, tensor_rows, verdicts

SPEC = """
kind = "model"
language = 1
[meta]
name = "small"
[dims]
depth = 3
width = 8
vocab = 11
context = 16
[module.mlp]
args = { inner = 16 }
up = "linear(x, inner)"
y = "linear(relu(up), width, init=zeros)"
[module.conv]
y = "causal_conv(x, 3)"
[stack.trunk]
layers = "depth"
mixer = { mlp = [0, 2], conv = "rest" }
wide = "1 + i"
mix = "mixer(x)"
x = "x + mix / wide"
[model]
e = "embedding(tokens, vocab, width)"
trunk = "trunk(e)"
logits = "linear(trunk, vocab)"
"""


def found(*changes: tuple[str, str], **overrides):
    text = SPEC
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return compare(compile_text(SPEC), compile_text(text, overrides))


def test_a_model_is_equal_to_itself():
    difference = found()
    assert difference.equal
    assert (difference.model, difference.stacks, difference.dims) == ((), (), ())
    assert all(total.before == total.after for total in difference.totals)
    assert verdicts(difference) == [
        "the same model: same source, same parameters, same initial laws and roles"
    ]


def test_another_initial_law_and_role_is_the_same_function():
    difference = found(("linear(trunk, vocab)", "linear(trunk, vocab, init=zeros, role=head)"))
    assert difference.tensors.loads
    assert difference.same_function
    assert not difference.equal
    assert verdicts(difference) == [
        "a checkpoint of small loads as it is: same paths, shapes and dtypes",
        "the same function: the emitted source is the same; 1 tensor of another initial law and 1 tensor of another role",
    ]
    assert next(row[:3] for row in tensor_rows(difference.tensors))[:2] == ("begins", "logits.weight")


def test_another_activation_loads_and_is_another_function():
    difference = found(("linear(relu(up)", "linear(silu(up)"))
    assert difference.tensors.loads
    assert not difference.same_function
    assert verdicts(difference)[1] == "another function: the emitted source differs"
    (trunk,) = difference.stacks
    assert [layer.index for layer in trunk.layers] == [0, 2]
    before, after = "linear(relu(up), 8, init=zeros)", "linear(silu(up), 8, init=zeros)"
    assert trunk.layers[0].changes == (Change("equation", "mix.y", before, after),)


def test_another_module_in_a_layer():
    difference = found(("mlp = [0, 2]", "mlp = [0]"))
    (trunk,) = difference.stacks
    (layer,) = trunk.layers
    assert (layer.index, layer.kind) == (2, "changed")
    assert [c for c in layer.changes if c.what == "module"] == [Change("module", "mixer", "mlp", "conv")]
    assert layer.parameters == (256, 24)
    assert [p.path for p in difference.tensors.left_over] == ["trunk.2.mix.up.weight"]
    assert [b.path for _, b in difference.tensors.reshaped] == ["trunk.2.mix.y.weight"]


def test_layers_beyond_the_other_are_added_or_removed():
    rule = ("mlp = [0, 2]", 'mlp = "i in [0, 2]"')
    difference = found(rule, depth=5)
    assert [(layer.index, layer.kind) for layer in difference.stacks[0].layers] == [
        (3, "added"),
        (4, "added"),
    ]
    assert difference.stacks[0].counts == (3, 5)
    assert difference.dims == (Change("dim", "depth", "3", "5"),)


def test_another_width_has_another_shape():
    difference = found(width=16)
    shapes = {b.path: (a.parameter.shape, b.parameter.shape) for a, b in difference.tensors.reshaped}
    assert shapes["trunk.0.mix.up.weight"] == ((16, 8), (16, 16))
    rows = {row[1]: row for row in tensor_rows(difference.tensors)}
    assert rows["trunk.*.mix.up.weight"][2] == "(16, 8) -> (16, 16)"
    assert places(rows["trunk.*.mix.up.weight"][3]) == "layers 0, 2"
    assert "7 tensors of another shape" in verdicts(difference)[0]
    assert not difference.tensors.laws  # they follow from the shapes


def test_another_fact_and_another_dtype():
    difference = found(
        ("1 + i", "1 + 2 * i"), ("linear(trunk, vocab)", "linear(trunk, vocab, dtype=bfloat16)")
    )
    assert [layer.changes for layer in difference.stacks[0].layers] == [
        (Change("fact", "wide", "2", "3"), Change("equation", "x", "x + mix / 2", "x + mix / 3")),
        (Change("fact", "wide", "3", "5"), Change("equation", "x", "x + mix / 3", "x + mix / 5")),
    ]
    assert "does not load: 1 tensor of another dtype" in verdicts(difference)[0]


def test_a_stack_that_only_one_has():
    difference = found(("linear(trunk, vocab)", "linear(e, vocab)"))
    (trunk,) = difference.stacks
    assert trunk.counts == (3, 0)
    assert {layer.kind for layer in trunk.layers} == {"removed"}
    assert Change("equation", "trunk", "trunk(e)", None) in difference.model


def test_costs_are_of_rows_that_both_can_read():
    difference = found(context=8)
    assert difference.tokens == 8
    assert difference.same_function
    assert not difference.equal
    totals = {total.name: (total.before, total.after) for total in difference.totals}
    assert totals["decoding state of a row"][0] == totals["decoding state of a row"][1]


@pytest.mark.parametrize("changes", [(), (("relu", "silu"),)])
def test_json_is_plain(changes):
    import json

    told = json.loads(json.dumps(as_json(found(*changes))))
    assert told["equal"] is not bool(changes)


def test_a_layer_that_reads_another_layer_is_another_layer():
    reading = ('wide = "1 + i"', 'wide = "1 + i"\nlong = "x + at(x, 0) if i == 2 else x"')
    mixing = ('mix = "mixer(x)"', 'mix = "mixer(long)"')
    text = SPEC.replace(*reading).replace(*mixing)
    difference = compare(compile_text(text), compile_text(text.replace("at(x, 0)", "at(x, i - 1)")))
    assert [(layer.index, layer.changes) for stack in difference.stacks for layer in stack.layers] == [
        (2, (Change("equation", "long", "x + at(x, 0)", "x + at(x, 1)"),))
    ]
