"""Settings of primitives, as equations and `[defaults]` give them."""

import pytest

from nanogen.compiler import compile_text
from nanogen.language.settings import kind_of_setting, settings_of, signature
from nanogen.primitives import PRIMITIVES


def node(text: str, name: str = "h"):
    return compile_text(text).graph.model.line(name).node


def test_signatures():
    assert signature("softcap") == "softcap(x, cap)"
    assert signature("linear") == "linear(x, n, bias=false, init=none, role=matrix, dtype=none)"
    assert signature("concat") == "concat(a, b, ..)"
    assert signature("einsum") == "einsum(pattern, a, ..)"
    assert signature("attend") == "attend(q, k, v, window=none, scale=none, softcap=none, sinks=none)"
    assert signature("parameter") == "parameter(axes..., init=none, role=, dtype=none)"


@pytest.mark.parametrize("name", PRIMITIVES)
def test_every_setting_has_a_kind_and_a_help(name):
    for setting in settings_of(name).values():
        assert setting.metadata["help"]
        assert kind_of_setting(name, setting.name) in {
            *("size", "sizes", "number", "window", "flag", "choice", "stored", "init", "role"),
            *("text", "value", "variant"),
        }


def test_what_is_no_setting_has_no_kind():
    assert kind_of_setting("linear", "gain") is None
    assert kind_of_setting("nothing", "gain") is None


def test_settings_by_position_by_name_and_by_default(small):
    text = small(
        dims="[defaults]\nlinear = { bias = true, init = 'normal(0.02)', role = 'mine' }",
        model='h = "linear(embed, n=4)"',
    )
    linear = node(
        text.replace("{last}", "embed").replace(
            "linear(embed, vocab)", "linear(h, vocab, bias=false, init=zeros)"
        )
    ).primitive
    assert (linear.n, linear.bias, linear.init, linear.role) == (4, True, ("normal", 0.02), "mine")
    logits = node(
        text.replace("linear(embed, vocab)", "linear(h, vocab, bias=false, init=zeros)"), "logits"
    ).primitive
    assert (logits.n, logits.bias, logits.init, logits.role) == (32, False, ("zeros",), "mine")


@pytest.mark.parametrize(
    ("law", "read"),
    [
        ("zeros", ("zeros",)),
        ("0.5", 0.5),
        ("normal(0.8)", ("normal", 0.8)),
        ("uniform(-1, 1)", ("uniform", -1, 1)),
        ("log(uniform(1, 16))", ("log", ("uniform", 1, 16))),
        ("2 * ones - 1", ("-", ("*", 2, ("ones",)), 1)),
        ("1 - c / fan_in", ("-", 1, ("/", ("c",), ("fan_in",)))),
        ("-normal(1)", ("-", ("normal", 1))),
        ("depth ** 0.5", 2**0.5),
        ("normal(1 / sqrt(fan_in))", ("normal", ("/", 1, ("sqrt", ("fan_in",))))),
    ],
)
def test_initial_laws(small, law, read):
    assert node(small(model=f'h = "linear(embed, width, init={law})"', last="h")).primitive.init == read


@pytest.mark.parametrize(
    ("law", "code"),
    [
        ("normal", "NG115"),
        ("uniform(1, 0)", "NG115"),
        ("normal(1, 2)", "NG115"),
        ("normal(std=1)", "NG115"),
        ("normal(-0.1)", "NG115"),
        ("trunc(0.02, 0)", "NG115"),
        ("zeros > 1", "NG115"),
        ("embed", "NG207"),
        ("none", "NG207"),
        ("'zeros'", "NG111"),
        ("zeros / 0", "NG302"),
        ("1 / 0", "NG302"),
    ],
)
def test_what_is_no_law(small, faults, law, code):
    assert [
        c
        for c, _, _ in faults(small(model=f'h = "linear(embed, width, init={law})"', last="h"))
        if c != "NG402"
    ] == [code]


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        ("linear(embed)", "NG112", "`linear` lacks `n`"),
        ("linear()", "NG112", "`linear` takes 1 value, found 0"),
        ("attend(embed, embed)", "NG112", "`attend` takes 3 values, found 2"),
        ("linear(embed, 8, 9)", "NG112", "`linear` takes no further argument by position"),
        ("linear(embed, 8, n=8)", "NG112", "`n` is given twice"),
        ("linear(8, 8)", "NG204", "a value is needed here, found the number 8"),
        ("linear(embed, embed)", "NG207", "a number is needed here, found a value"),
        ("linear(embed, none)", "NG207", "a number is needed here, found `none`"),
        ("linear(embed, 8, gain=true)", "NG113", "`linear` has no setting `gain`"),
        ("relu(embed, gain=true)", "NG113", "`relu` has no setting `gain`"),
        ("linear(embed, 8, bias=2)", "NG114", "`bias` is true or false, found the number 2"),
        ("linear(embed, 8, role=3)", "NG114", "a role is a word"),
        ("linear(embed, 8, dtype=float64)", "NG114", "`float64` is no `dtype`"),
        ("rope(embed, 10000, pairs=3)", "NG114", "`this` is no `pairs`"),
        (
            "linear(embed, 8, weights=embed)",
            "NG316",
            "`weight` of `embed` is 32 by 8, and this call needs 8 by 8",
        ),
        ("concat(embed)", "NG112", "`concat` takes 2 values or more, found 1"),
        ("softcap(embed, embed)", "NG207", "a number is needed here, found a value"),
        ("split(embed, 3)", "NG301", "8 channels do not split into 3 equal parts"),
        ("split(embed, 2.5)", "NG303", "`n` is 2.5, not a whole number"),
    ],
)
def test_calls_that_do_not_fit(small, faults, call, code, message):
    found = [(c, m) for c, _, m in faults(small(model=f'h = "{call}"', last="h")) if c != "NG402"]
    assert found == [(code, message)]


def test_a_default_is_judged_where_it_stands(small, faults):
    text = small(
        dims="[defaults]\nrope = { base = 0, fration = 1 }\nrelu = { a = 1, b = 2 }\nrop = {}",
        model='h = "rope(embed)"',
        last="h",
    )
    assert [(c, k) for c, k, _ in faults(text)] == [
        ("NG306", "rope"),
        ("NG113", "rope"),
        ("NG113", "relu"),
        ("NG202", "rop"),
    ]


def test_flags_are_conditions(small):
    assert node(small(model='h = "rms_norm(embed, gain=depth > 1)"', last="h")).primitive.gain is True
    assert node(small(model='h = "rms_norm(embed, gain=0)"', last="h")).primitive.gain is False
