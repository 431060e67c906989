"""Numbers, branches, shapes and units: what is built, what is not, and what is refused."""

from pathlib import Path

import pytest

from nanogen.building.build import MAX_DEPTH, MAX_LAYERS
from nanogen.compiler import compile_file, compile_text
from nanogen.graph import layers_of

GOOD = Path(__file__).parents[1] / "good"


def paths(compiled) -> list[str]:
    return [p["path"] for p in compiled.blueprint["parameters"]]


def value(text: str, name: str = "h"):
    return str(compile_text(text).graph.model.line(name).node.value)


# -- numbers


@pytest.mark.parametrize(
    ("dim", "number"),
    [
        ('"ceil(64 * depth / 128) * 128"', 128),
        ('"max(1, depth // 2)"', 1),
        ('"width / 4"', 2),
        ('"depth if depth > 3 else 100"', 100),
        ('"sizes[1]"', 5),
        ('"sizes[-1] + sizes[depth - 2]"', 9),
        ('"depth in sizes"', False),
        ('"not depth or 3"', True),
        ('"0 < depth < width"', True),
        ("[1, 2]", [1, 2]),
        ('"[depth, 2 * depth]"', [2, 4]),
        ('"none"', None),
        ("true", True),
    ],
)
def test_dims(small, dim, number):
    assert compile_text(small(dims=f"sizes = [4, 5]\nd = {dim}")).graph.dims["d"] == number


def test_dims_in_any_order(small):
    text = small(dims='a = "b + 1"\nb = "c * 2"\nc = "depth"')
    assert compile_text(text).graph.dims["a"] == 5


@pytest.mark.parametrize(
    ("dims", "code", "key"),
    [
        ('a = "b"\nb = "a"', "NG203", "b"),
        ('a = "a + 1"', "NG203", "a"),
        ('a = "mix"', "NG207", "a"),
        ('a = "parameter(3, init=zeros)"', "NG207", "a"),
        ('a = "sizes[2]"\nsizes = [1]', "NG309", "a"),
        ('a = "i"', "NG201", "a"),
        ('a = "tokens"', "NG201", "a"),
        ("a = \"'text'\"", "NG111", "a"),
        ('a = "[1, none]"', "NG111", "a"),
        ('a = "..."', "NG011", "a"),
    ],
)
def test_dims_without_a_number(small, faults, dims, code, key):
    tables = '[module.mix]\ny = "relu(x)"\n'
    assert [(c, k) for c, k, _ in faults(small(dims=dims, tables=tables))] == [(code, key)]


def test_a_division_that_leaves_a_rest_is_a_warning(small):
    text = small(
        dims='heads = 3\nhead = "width // heads"\neven = "width // 2"',
        model='h = "linear(embed, width // 3)"',
        last="h",
    )
    found = [(d.code, d.message, d.help) for d in compile_text(text).warnings if d.code == "NG403"]
    help = "use `/` where it must divide, or `floor(a / b)` where a rest is meant"
    assert found == [("NG403", "8 // 3 leaves a rest of 2", help)]


@pytest.mark.parametrize(("name", "given"), [("vocab", 32.0), ("vocab", "64 / 2"), ("context", "4 ** 2")])
def test_vocab_and_context_come_out_whole(small, name, given):
    found = compile_text(small(), {name: given}).graph.dims[name]
    assert type(found) is int


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"vocab": 0}, "NG303"),
        ({"vocab": 2.5}, "NG303"),
        ({"context": -1}, "NG303"),
        ({"context": True}, "NG111"),
        ({"vocab": [1]}, "NG111"),
        ({"width": -5}, "NG303"),
        ({"width": True}, "NG111"),
        ({"width": [8]}, "NG207"),
        ({"width": "2 *"}, "NG011"),
        ({"width": "gone"}, "NG201"),
        ({"width": 10**18}, "NG404"),
        ({"width": 2**63}, "NG101"),
        ({"width": float("nan")}, "NG101"),
        ({"nothing": 1}, "NG108"),
    ],
)
def test_overrides_that_make_no_model(small, faults, given, code):
    assert [c for c, _, _ in faults(small(), given)] == [code]


def test_a_fault_at_an_override_says_so(small):
    from nanogen.text.diagnostics import Refusal

    with pytest.raises(Refusal) as refusal:
        compile_text(small(), {"vocab": -7})
    assert [d.label for d in refusal.value.diagnostics] == ["`--set` makes it -7"]


# -- values and shapes


@pytest.mark.parametrize(
    ("equation", "shape"),
    [
        ("linear(embed, 3)", "B T 3"),
        ("split(embed, 2)", "B T 2 4"),
        ("flatten(split(embed, 2))", "B T 8"),
        ("split(embed, 2)[1]", "B T 4"),
        ("split(embed, 2)[..., :3]", "B T 2 3"),
        ("split(embed, 2)[:1, 1:3]", "B T 1 2"),
        ("embed[:-2]", "B T 6"),
        ("embed[None]", "B T 1 8"),
        ("embed[..., None]", "B T 8 1"),
        ("outer(embed[:2], embed[:3])", "B T 2 3"),
        ("concat(embed, embed[:1])", "B T 9"),
        ("repeat(embed, 3)", "B T 3 8"),
        ("-embed ** 2 + 1", "B T 8"),
        ("2 * embed / depth", "B T 8"),
        ("embed + parameter(8, init=zeros)", "B T 8"),
        ("parameter(3, 1, init=ones) * embed", "B T 3 8"),
        ("float32(embed)", "B T 8"),
        ("embed if depth == 2 else embed[:1]", "B T 8"),
    ],
)
def test_shapes(small, equation, shape):
    text = small(
        model=f'base = "embedding(tokens, vocab, width)"\nh = "{equation}"\nflat = "flatten(h)"', last="flat"
    )
    assert (
        value(text.replace('embed = "embedding(tokens, vocab, width)"\nbase', 'embed = "relu(base)"\nbase'))
        == shape
    )


@pytest.mark.parametrize(
    ("equation", "code"),
    [
        ("embed + embed[:3]", "NG310"),
        ("embed // 2", "NG204"),
        ("embed + sizes", "NG204"),
        ("embed < 3", "NG111"),
        ("embed in sizes", "NG111"),
        ("embed == none", "NG111"),
        ("not embed", "NG207"),
        ("embed if embed else embed", "NG207"),
        ("max(embed, 0)", "NG207"),
        ("embed[0, 0]", "NG309"),
        ("embed[9]", "NG309"),
        ("embed[3:2]", "NG309"),
        ("embed[embed]", "NG207"),
        ("embed[..., ...]", "NG309"),
        ("width[0]", "NG204"),
        ("embed.y", "NG208"),
        ("tokens + 1", "NG304"),
        ("linear(linear(embed, 3), 3)", "NG205"),
        ("embed(embed)", "NG202"),
        ("mix(embed, embed)", "NG112"),
        ("mix(3)", "NG204"),
        ("mix(embed, k=embed)", "NG207"),
        ("mix(embed, k=1, k=2)", "NG112"),
        ("mix(embed, q=1)", "NG113"),
        ("embed + mix", "NG204"),
        ("repeat(repeat(embed, 10 ** 10), 10 ** 10)", "NG404"),
    ],
)
def test_equations_that_do_not_hold(small, faults, equation, code):
    tables = '[module.mix]\nargs = { k = 1 }\ny = "relu(x) * k"\n'
    found = faults(
        small(dims="sizes = [1]", tables=tables, model=f'h = "{equation}"\nk = "relu(h)"', last="k")
    )
    assert [(c, k) for c, k, _ in found] == [(code, "h")]


def test_logits_have_the_vocabulary_at_every_position(small, faults):
    assert [c for c, _, _ in faults(small().replace("linear(embed, vocab)", "linear(embed, 31)"))] == [
        "NG314"
    ]
    plain = 'kind = "model"\nlanguage = 1\n[dims]\nvocab = 4\ncontext = 2\n[model]\nlogits = "parameter(vocab, init=zeros)"\n'
    assert [c for c, _, _ in faults(plain)] == ["NG314"]
    assert [c for c, _, _ in faults(plain.replace("parameter(vocab, init=zeros)", "tokens"))] == ["NG314"]
    assert [c for c, _, _ in faults(plain.replace('"parameter(vocab, init=zeros)"', "3"))] == ["NG204"]


# -- what is built


def test_what_no_branch_reaches_is_not_built(small):
    tables = '[module.m]\nargs = { valued = 0 }\nv = "linear(x, width)"\nz = "linear(x, 2 * width)"\ny = "z[:width] if valued else v"\n'
    text = small(tables=tables, model='a = "m(embed)"\nb = "m(a, valued=true)"', last="b")
    assert paths(compile_text(text)) == ["embed.weight", "a.v.weight", "b.z.weight", "logits.weight"]


def test_every_call_owns_new_weights_and_alike_units_are_one(small):
    tables = '[stack.t]\nlayers = "depth"\na = "linear(x, width)"\nx = "x + a"\n'
    compiled = compile_text(small(tables=tables, model='one = "t(embed)"\ntwo = "t(one)"', last="two"))
    assert [p for p in paths(compiled) if "." in p[:-7]] == [
        f"{s}.{i}.a.weight" for s in ("one", "two") for i in (0, 1)
    ]
    assert len({layer for _, _, layer in layers_of(compiled.graph)}) == 1


def test_modules_see_the_index_of_the_layer_that_calls_them(small):
    tables = (
        '[module.a]\nf = "i + 1"\ny = "linear(x, f)"\n[module.b]\nargs = { g = "a" }\nz = "g(x)"\ny = "linear(z, width)"\n'
        '[stack.inner]\nlayers = 2\nz = "a(x)"\nx = "x + z[0]"\n'
        '[stack.t]\nlayers = "depth"\nb = "b(x, g=a)"\nx = "inner(b)"\n'
    )
    compiled = compile_text(small(tables=tables, model='t = "t(embed)"', last="t"))
    shapes = {
        p["path"]: p["shape"][0] for p in compiled.blueprint["parameters"] if p["path"].endswith("y.weight")
    }
    widths = {path: n for path, n in shapes.items() if ".z." in path}
    assert widths == {
        "t.0.b.z.y.weight": 1, "t.0.x.0.z.y.weight": 1, "t.0.x.1.z.y.weight": 2,
        "t.1.b.z.y.weight": 2, "t.1.x.0.z.y.weight": 1, "t.1.x.1.z.y.weight": 2,
    }  # fmt: skip


def test_facts_are_numbers_of_a_layer(small):
    tables = '[stack.t]\nlayers = 3\nn = "width if i == 2 else 2 * width"\na = "linear(x, n)"\nb = "linear(a, width)"\nx = "x + b"\n'
    graph = compile_text(small(tables=tables, model='t = "t(embed)"', last="t")).graph
    assert [layer.numbers["n"] for _, _, layer in layers_of(graph)] == [16, 16, 8]


def test_a_layer_takes_what_the_layer_before_left(small):
    """A stack that leaves float32 enters its second layer wide."""
    tables = '[stack.t]\nlayers = 3\nx = "float32(x)"\n'
    graph = compile_text(small(tables=tables, model='t = "t(embed)"', last="t")).graph
    assert [dict(layer.inputs)["x"].dtype for _, _, layer in layers_of(graph)] == [
        "run",
        "float32",
        "float32",
    ]
    assert graph.model.line("t").node.value.dtype == "float32"


def test_several_values_are_carried(small):
    tables = '[stack.t]\ninputs = ["x", "s", "x0"]\nlayers = 2\ns = "s + x"\nx = "x + s + x0"\n'
    graph = compile_text(small(tables=tables, model='t = "t(embed, embed, embed)"', last="t")).graph
    (_, _, layer), _ = layers_of(graph)
    assert layer.results == ("x", "s")
    assert [line.name for line in layer.lines] == ["s", "x"]


@pytest.mark.parametrize(
    ("stack", "code"),
    [
        ('layers = 0\nx = "relu(x)"', "NG303"),
        ('layers = -2\nx = "relu(x)"', "NG303"),
        ('layers = 2.5\nx = "relu(x)"', "NG303"),
        ('layers = true\nx = "relu(x)"', "NG111"),
        ('layers = "i"\nx = "relu(x)"', "NG201"),
        (f'layers = {MAX_LAYERS + 1}\nx = "relu(x)"', "NG404"),
        ('layers = 1000000000\nx = "relu(x)"', "NG404"),
        ('layers = 2\nx = "linear(x, 9)"', "NG313"),
        ('layers = 2\nx = "t(x)"', "NG203"),
        ('layers = 2\nx = "up(x)"', "NG203"),
        ('layers = 2\ny = "relu(x)"', "NG206"),
        ("layers = 2\nx = 3", "NG204"),
        ('layers = 2\na = "b"\nb = "a"\nx = "a + x"', "NG203"),
        ('layers = 2\na = "x + a"\nx = "a"', "NG203"),
        ('layers = 2\nx = "relu(x, y)"', "NG201"),
    ],
)
def test_stacks_that_do_not_hold(small, faults, stack, code):
    tables = f'[stack.t]\n{stack}\n[module.up]\ny = "t(x)"\n'
    found = faults(small(tables=tables, model='t = "t(embed)"', last="t"))
    assert [c for c, _, _ in found if c != "NG402"] == [code]


def test_circles_name_their_way(small, faults):
    tables = '[module.a]\ny = "b(x)"\n[module.b]\ny = "a(x)"\n'
    found = faults(small(tables=tables, model='h = "a(embed)"', last="h"))
    assert [m for _, _, m in found] == ["[module.a] calls itself: a -> b -> a"]
    chain = "\n".join(f'h{k} = "h{k + 1}"' for k in range(50)) + '\nh50 = "h0"'
    assert [m for _, _, m in faults(small(model=chain, last="h0"))] == [
        "equations in a circle: h0 -> h1 -> h2 -> h3 -> .. -> h49 -> h50 -> h0"
    ]


def test_a_module_that_calls_itself_through_an_argument(small, faults):
    tables = '[module.a]\nargs = { f = "a" }\ny = "f(x)"\n'
    assert [c for c, _, _ in faults(small(tables=tables, model='h = "a(embed)"', last="h"))] == ["NG203"]


# -- many faults, each once


def test_all_faults_of_independent_equations_are_told(small, faults):
    model = 'a = "split(embed, 3)"\nb = "embed[:9]"\nc = "linear(embed, 0)"\nsum = "flatten(a) + b + c"'
    assert [(c, k) for c, k, _ in faults(small(model=model, last="sum"))] == [
        ("NG301", "a"),
        ("NG309", "b"),
        ("NG303", "c"),
    ]


def test_what_follows_from_a_fault_is_silent(small, faults):
    model = 'a = "split(embed, 3)"\nb = "flatten(a) + a"\nc = "b[0, 0, 0]"'
    assert [c for c, _, _ in faults(small(model=model, last="c"))] == ["NG301"]


def test_faults_of_every_module_of_a_choice_are_told(small, faults):
    tables = (
        '[module.a]\ny = "split(x, 3)"\n[module.b]\ny = "x[:9]"\n'
        '[stack.t]\nlayers = 2\nm = { a = [0], b = "rest" }\nx = "m(x)"\n'
    )
    found = faults(small(tables=tables, model='t = "t(embed)"', last="t"))
    assert [c for c, _, _ in found] == ["NG301", "NG309"]


def test_a_module_that_is_wrong_in_many_places_is_told_once(small, faults):
    tables = '[module.m]\nargs = { n = 3 }\nq = "split(x, n)"\ny = "flatten(q)"\n'
    model = "\n".join(f'h{k} = "m(embed, n={k})"' for k in (3, 5, 7)) + '\nsum = "h3 + h5 + h7"'
    assert [c for c, _, _ in faults(small(tables=tables, model=model, last="sum"))] == ["NG301"]


# -- names that collide with the source's


@pytest.mark.parametrize(
    "name", ["now", "rope", "attend", "torch", "F", "layer", "self", "enumerate", "Linear", "embed_"]
)
def test_values_may_have_any_name_that_is_free(small, name):
    compiled = compile_text(small(model=f'{name} = "linear(embed, width)"\nh = "{name} + 1"', last="h"))
    assert f"{name}.weight" in paths(compiled)
    compile(compiled.source, "model.py", "exec")


@pytest.mark.parametrize("name", ["i", "tokens", "forward", "lambda", "width"])
def test_values_may_not_have_a_name_that_is_taken(small, faults, name):
    found = [c for c, _, _ in faults(small(model=f'{name} = "linear(embed, width)"'))]
    assert found in (["NG106"], ["NG107"])


# -- larger specs


def test_gpt2_compiles_clean():
    compiled = compile_file(GOOD / "gpt2.toml")
    layer = 12 * 48 * 48 + 13 * 48
    assert compiled.blueprint["count"] == 2 * 96 * 48 + 32 * 48 + 3 * layer + 2 * 48
    assert compiled.warnings == ()


def test_hybrid_compiles_clean():
    compiled = compile_file(GOOD / "hybrid.toml")
    assert compiled.warnings == ()
    found = paths(compiled)
    assert "first.3.deep.y.1.step.weight" in found
    assert "again.5.mix.table.weight" in found
    assert "first.2.mix.table.weight" not in found


def test_calls_in_calls_have_an_end(small, faults):
    """Who follows a graph, and Python when it runs the source, goes one deeper with each call."""
    deep = [f'[module.m{k}]\ny = "m{k - 1}(x)"\n' for k in range(1, MAX_DEPTH + 1)]
    tables = '[module.m0]\ny = "relu(x)"\n' + "".join(deep)
    assert not faults(small(tables=tables, model=f'h = "m{MAX_DEPTH - 1}(embed)"', last="h"))[1:]
    found = faults(small(tables=tables, model=f'h = "m{MAX_DEPTH}(embed)"', last="h"))
    message = f"[module.m{MAX_DEPTH}] is {MAX_DEPTH + 1} calls deep, more than {MAX_DEPTH}"
    assert [(code, text) for code, _, text in found] == [("NG404", message)]


def test_loops_in_loops_have_an_end(small, faults):
    tables = "".join(f'[loop.l{k}]\ntimes = 128\nx = "l{k + 1}(x)"\n' for k in range(2))
    tables += '[loop.l2]\ntimes = 65\nx = "x / 2"\n'
    fits = faults(small(tables=tables.replace("65", "64"), model='h = "l0(embed)"', last="h"))
    assert [code for code, _, _ in fits] == ["NG402"]  # `depth`
    found = faults(small(tables=tables, model='h = "l0(embed)"', last="h"))
    message = "loops in loops turn a body 1,064,960 times, more than 1,048,576"
    assert [(code, text) for code, _, text in found] == [("NG404", message)]
