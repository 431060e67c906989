"""Which layer has which module: every layer exactly once, and what is said where that does not hold."""

import pytest

from nanogen.building.layers import ranges
from nanogen.compiler import compile_text

MODULES = '[module.one]\ny = "relu(x)"\n[module.two]\ny = "silu(x)"\n[module.three]\ny = "tanh(x)"\n'


@pytest.fixture
def stack(small):
    def write(choice: str, layers: str = '"2 * depth"', dims: str = "") -> str:
        tables = f'{MODULES}[stack.t]\nlayers = {layers}\nm = {choice}\nx = "m(x)"\n'
        return small(dims=dims, tables=tables, model='t = "t(embed)"', last="t")

    return write


def chosen(text: str, given: dict | None = None) -> list[str]:
    climb = compile_text(text, given).graph.model.line("t").node
    return [layer.modules["m"] for layer in climb.layers]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("choice", "modules"),
    [
        ('{ one = [0, 2], two = "rest" }', ["one", "two", "one", "two"]),
        ('{ one = "i % 2 == 0", two = "rest" }', ["one", "two", "one", "two"]),
        ('{ one = "i in attn", two = "i not in attn" }', ["two", "one", "two", "one"]),
        ('{ one = "attn", two = "rest" }', ["two", "one", "two", "one"]),
        ('{ two = "rest", one = "i == 2 * depth - 1", three = [0] }', ["three", "two", "two", "one"]),
        ('{ one = "[0, depth]", two = "rest" }', ["one", "two", "one", "two"]),
        ('{ one = "rest" }', ["one"] * 4),
    ],
)
def test_layers_are_claimed(stack, choice, modules):
    assert chosen(stack(choice, dims="attn = [1, 3]")) == modules


@pytest.mark.parametrize(
    ("choice", "code", "message"),
    [
        ('{ one = [0, 1], two = "i > 0" }', "NG321", "layer 1 is claimed by `one` and by `two`"),
        ('{ one = "rest", two = "rest" }', "NG321", '`"rest"` is claimed twice'),
        ('{ one = [1, 1], two = "rest" }', "NG321", "layer 1 stands twice in the list of `one`"),
        ("{ one = [0, 1], two = [3] }", "NG322", "`m` has no module in layer 2"),
        ("{ one = [1] }", "NG322", "`m` has no module in layers 0, 2, 3"),
        ('{ one = [4], two = "rest" }', "NG323", "there is no layer 4: the stack has 4"),
        ('{ one = [-1], two = "rest" }', "NG323", "there is no layer -1: the stack has 4"),
        (
            '{ one = 1, two = "rest" }',
            "NG101",
            "layers are claimed by a list, a rule in `i` or the rest, found the number 1",
        ),
        (
            '{ one = [0.5], two = "rest" }',
            "NG101",
            "layers are claimed by a list, a rule in `i` or the rest, found a list",
        ),
        ('{ one = "i > 7", two = "rest" }', "NG402", "no layer follows this rule of `one`"),
        ('{ one = "i >= 0", two = "rest" }', "NG402", '`two = "rest"` is left with no layer'),
        ("{}", "NG102", "the choice `m` names no module"),
        ('{ one = "1 +", two = [0] }', "NG011", "this equation stops too early"),
        ('{ one = "i / 0", two = [0] }', "NG302", "0 / 0 divides by zero"),
    ],
)
def test_faults_of_a_choice(stack, faults, choice, code, message):
    found = [(c, m) for c, _, m in faults(stack(choice)) if "nothing calls" not in m]
    assert found == [(code, message)]


def test_a_literal_list_holds_for_the_file_as_written(stack, faults):
    listed, ruled = (
        stack('{ one = [0, 2], two = "rest" }'),
        stack('{ one = "i in attn", two = "rest" }', dims="attn = [0]"),
    )
    assert [c for c, _, _ in faults(listed, {"depth": 3})] == ["NG324"]
    assert chosen(listed, {"width": 16}) == ["one", "two", "one", "two"]
    assert chosen(ruled, {"depth": 1, "attn": [1]}) == ["two", "one"]
    assert [m for _, _, m in faults(ruled, {"depth": 1})] == [
        "`attn` lists layers of a stack that has another number of them than 2"
    ]
    assert [c for c, _, _ in faults(stack('{ one = "attn", two = "rest" }', dims="attn = [9]"))] == ["NG323"]


def test_an_unknown_number_of_layers_says_nothing_of_the_list(stack, faults):
    assert [c for c, _, _ in faults(stack('{ one = [0, 99], two = "rest" }', layers='"gone"'))] == ["NG201"]


def test_a_choice_may_stand_for_a_dim(small):
    tables = '[stack.t]\nlayers = 3\nn = { narrow = [0], wide = "rest" }\nh = "linear(x, n)"\nx = "linear(h, width)"\n'
    text = small(dims="narrow = 4\nwide = 12", tables=tables, model='t = "t(embed)"', last="t")
    compiled = compile_text(text)
    shapes = [p["shape"] for p in compiled.blueprint["parameters"] if p["path"].endswith("h.weight")]
    assert shapes == [[4, 8], [12, 8], [12, 8]]
    assert {w.message for w in compiled.warnings} == {"nothing reads the dim `depth`"}


def test_ranges_of_layers():
    assert [ranges(r) for r in ([3], [0, 1], [0, 1, 2, 5], [1, 3, 4])] == [
        "3",
        "0, 1",
        "0 to 2, 5",
        "1, 3, 4",
    ]
