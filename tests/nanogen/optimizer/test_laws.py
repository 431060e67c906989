"""Laws are read from an allow-list and computed as arithmetic; what they cannot mean is told at its characters."""

import math

import pytest

from nanogen.optimizer.laws import Scope, check_law, read_law
from nanogen.text.diagnostics import Stop

NUMBERS = {"width": 3072, "step": 3, "steps": 10}


def number(value, **laws):
    scope = Scope(NUMBERS, {name: read_law(text, (name,)) for name, text in laws.items()})
    return scope.compute(read_law(value, ("rate",)))


@pytest.mark.parametrize(
    ("law", "wanted"),
    [
        (0.02, 0.02),
        (-1, -1),
        ("0.2 * (width / 768) ** -0.5", 0.1),
        ("min(1, (step + 1) / 40) if steps > 5 else 0", 0.1),
        ("0 if step < 3 or not steps else 7", 7),
        ("1 if 0 <= step < 3 and true else 2", 2),
        ("cos(pi)", -1),
        ("2 ** round(log2(width))", 4096),
        ("sqrt(16) + log(exp(2)) + floor(2.5) + ceil(2.5)", 11),
    ],
)
def test_numbers(law, wanted):
    assert number(law) == pytest.approx(wanted)


def test_laws_read_each_other_in_any_order():
    assert number("double * 2", double="half * 4", half="width / 2") == 12288


@pytest.mark.parametrize(
    ("law", "code", "part"),
    [
        ("0.2 * widht", "NG201", "widht"),
        ("sin(width)", "NG202", "sin(width)"),
        ("max(a=1)", "NG112", "max(a=1)"),
        ("[1, 2]", "NG011", "[1, 2]"),
        ("width.real", "NG011", "width.real"),
        ("'a'", "NG011", "'a'"),
        ("width[0]", "NG011", "width[0]"),
        ("__import__('os')", "NG202", "__import__('os')"),
    ],
)
def test_what_a_law_cannot_mean_is_told_at_its_characters(law, code, part):
    [fault] = [f for f in check_law(read_law(law, ("rate",)), NUMBERS) if f.code == code][:1]
    start, end = fault.place.span
    assert law[start:end] == part


@pytest.mark.parametrize(
    ("law", "code"),
    [
        ("1 / (width - 3072)", "NG302"),
        ("log2(0)", "NG302"),
        ("(-1) ** 0.5", "NG302"),
        ("10 ** width", "NG302"),
        ("cos(1, 2)", "NG112"),
        ("later", "NG201"),
        ("a", "NG203"),
    ],
)
def test_what_has_no_number_is_told(law, code):
    with pytest.raises(Stop) as stop:
        number(law, a="b + 1", b="a - 1")
    assert stop.value.diagnostic.code == code


@pytest.mark.parametrize("value", ["0.2 *", "", "lambda: 1", True, [1], math.nan, {"a": 1}])
def test_what_is_no_law_is_refused(value):
    with pytest.raises(Stop) as stop:
        read_law(value, ("rate",))
    assert stop.value.diagnostic.place.path == ("rate",)
