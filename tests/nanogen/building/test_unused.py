"""What nothing reads is a warning; what is read inside a call, or lends its weights, is read."""

from nanogen.compiler import compile_text


def unused(text: str) -> list[str]:
    return sorted(d.message for d in compile_text(text).warnings if d.code == "NG402")


def test_unused_things(small):
    tables = (
        '[module.mix]\ninputs = ["x", "z"]\nargs = { kernel = 3 }\nh = "silu(x)"\ny = "relu(x)"\n'
        '[module.spare]\ny = "relu(x)"\n'
    )
    text = small(dims="heads = 4", tables=tables, model='h = "mix(embed, embed)"', last="h")
    assert unused(text) == [
        "[module.mix] never reads its argument `kernel`",
        "[module.mix] never reads its input `z`",
        "no result of [module.mix] reads `h`",
        "nothing calls [module.spare]",
        "nothing reads the dim `depth`",
        "nothing reads the dim `heads`",
    ]


def test_an_equation_that_only_another_branch_reads_is_used(small):
    assert unused(small(model='h = "relu(embed)"\nk = "h if depth > 3 else embed"', last="k")) == []


def test_alternatives_share_a_signature(small):
    tables = (
        '[module.a]\ninputs = ["x", "tokens"]\nargs = { k = 1 }\ny = "relu(x) * k + embedding(tokens, vocab, 1)"\n'
        '[module.b]\ninputs = ["x", "tokens"]\nargs = { k = 1 }\ny = "relu(x)"\n'
        '[stack.t]\ninputs = ["x", "tokens"]\nlayers = "depth"\nm = { a = [0], b = "rest" }\nx = "m(x, tokens, k=2)"\n'
    )
    assert unused(small(tables=tables, model='t = "t(embed, tokens)"', last="t")) == []


ATTENTION = """
[module.attention]
v = "linear(x, width)"
w = "linear(x, width)"
y = "silu(v)"
[module.block]
attn = "attention(x)"
z = "silu(x)"
y = "attn"
"""


def test_what_is_read_inside_is_used(small):
    text = small(tables=ATTENTION, model='b = "block(embed)"', last="b + b.z + b.attn.w")
    assert unused(text) == ["nothing reads the dim `depth`"]


def test_another_table_with_an_equation_of_that_name_is_not_read(small):
    """`w` is read in `attention`, not in `other`."""
    other = '[module.other]\nw = "linear(x, width)"\ny = "silu(x)"\n'
    text = small(
        tables=ATTENTION + other, model='b = "block(embed)"\no = "other(b)"', last="o + b.z + b.attn.w"
    )
    assert unused(text) == ["no result of [module.other] reads `w`", "nothing reads the dim `depth`"]


def test_reads_of_layers_through_choices_and_arguments_are_seen(small):
    tables = """
[module.attention]
v = "linear(x, width)"
w = "linear(x, width)"
y = "silu(x)"
[module.mlp]
y = "silu(x)"
[module.layer]
args = { mixer = "mlp" }
mix = "mixer(x)"
y = "x + mix"
[stack.trunk]
layers = 4
mixer = { attention = [0], mlp = "rest" }
mix = "mixer(x)"
l = "layer(mix, mixer=attention)"
first = "at(mix.v, 0) if i else x"
x = "x + l + first"
"""
    text = small(tables=tables, model='t = "trunk(embed)"', last="t + at(t.l.mix.w, 1)")
    assert unused(text) == ["nothing reads the dim `depth`"]


def test_weights_that_are_borrowed_are_used(small):
    tables = '[module.m]\ny = "linear(x, width, weights=model.w)"\n'
    text = small(tables=tables, model='w = "linear(embed, width)"\na = "m(embed)"', last="a")
    assert unused(text) == ["nothing reads the dim `depth`"]


def test_a_dial_that_turns_nothing(small):
    assert "no loop turns by the dial `r`" in unused(small(tables="[dial.r]\ndefault = 3"))


def test_reads_inside_of_a_dim_are_left_to_others(small, faults):
    assert [code for code, _, _ in faults(small(dims='heads = "a.b"'))] == ["NG201"]
