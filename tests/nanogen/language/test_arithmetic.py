"""Numbers of a spec: exact where they can be, bounded always."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanogen.language import arithmetic
from nanogen.language.arithmetic import FUNCTIONS, LARGEST, binary, compare, function, negate, shown, whole
from nanogen.text.diagnostics import Reject

NUMBERS = st.one_of(st.integers(-LARGEST, LARGEST), st.floats(-1e290, 1e290), st.booleans())


@pytest.mark.parametrize(
    ("op", "left", "right", "result"),
    [
        ("+", 1, 2, 3),
        ("-", 1, 2, -1),
        ("*", 3, 2.5, 7.5),
        ("/", 7, 2, 3.5),
        ("/", 10**17 + 2, 2, 5 * 10**16 + 1),  # exact: a float has 16 digits
        ("//", 7, 2, 3),
        ("%", 7, 2, 1),
        ("**", 2, 10, 1024),
        ("**", 2, -1, 0.5),
        ("**", 4, 0.5, 2.0),
        ("**", 0, 0, 1),
    ],
)
def test_operators(op, left, right, result):
    found = binary(op, left, right)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("op", "left", "right", "message"),
    [
        ("/", 1, 0, "1 / 0 divides by zero"),
        ("//", 1, 0, "1 // 0 divides by zero"),
        ("%", 1.5, 0, "1.5 % 0 divides by zero"),
        ("**", 0, -1, "0 ** -1 divides by zero"),
        ("**", 10, 10**9, "10 ** 1000000000 is too large"),
        ("**", 1e200, 1e200, "1e+200 ** 1e+200 is too large"),
        ("**", 0.5, -(10**18), "0.5 ** -1000000000000000000 is too large"),
        ("**", -8, 0.5, "(-8) ** 0.5 is not a real number"),
        ("*", 2**40, 2**40, f"{2**40} * {2**40} is too large"),
        ("*", 1e200, 1e200, "1e+200 * 1e+200 is too large"),
    ],
)
def test_arithmetic_without_a_result(op, left, right, message):
    with pytest.raises(Reject) as fault:
        binary(op, left, right)
    assert (fault.value.code, str(fault.value)) == ("NG302", message)
    assert fault.value.help


def outcome(compute, *args):
    """The result, or the code of the refusal."""
    try:
        return compute(*args)
    except Reject as fault:
        return fault.code


@settings(deadline=200)
@given(st.sampled_from([*arithmetic._BINARY]), NUMBERS, NUMBERS)
def test_no_operator_runs_away(op, left, right):
    found = outcome(binary, op, left, right)
    if isinstance(found, str):
        assert found == "NG302"
        return
    assert isinstance(found, int | float)
    assert math.isfinite(found)
    assert abs(found) < (LARGEST if isinstance(found, int) else 1e300)


@settings(deadline=200)
@given(st.sampled_from(sorted(FUNCTIONS)), st.lists(NUMBERS, min_size=0, max_size=3))
def test_no_function_runs_away(name, args):
    found = outcome(function, name, args)
    assert found in ("NG111", "NG112", "NG302") if isinstance(found, str) else math.isfinite(found)


def test_functions():
    assert function("ceil", [2.1]) == 3
    assert function("max", [[1, 5, 2]]) == 5
    assert function("min", [4, 3]) == 3
    assert function("max", [7]) == 7
    assert function("round", [2.6]) == 3
    for name, args, code in (
        ("sqrt", [-1], "NG302"),
        ("log", [0], "NG302"),
        ("exp", [1e6], "NG302"),
        ("ceil", [1, 2], "NG112"),
        ("ceil", [], "NG111"),
        ("max", [[]], "NG111"),
        ("floor", [None], "NG111"),
    ):
        with pytest.raises(Reject) as fault:
            function(name, args)
        assert fault.value.code == code


def test_comparisons():
    assert compare("in", 3, [1, 3])
    assert compare("not in", 2, [1, 3])
    assert compare("<", 1, 1.5)
    assert compare("==", None, None)
    assert not compare("==", 3, None)
    for op, left, right in (
        ("in", 3, 3),
        ("in", object(), [1]),
        ("<", None, 1),
        ("==", object(), None),
        ("==", [1], [1]),
    ):
        with pytest.raises(Reject, match="`"):
            compare(op, left, right)


def test_negation():
    assert negate(3) == -3
    with pytest.raises(Reject, match="`-` takes a number, found `none`"):
        negate(None)


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        (2.5, "NG303", "`width` is 2.5, not a whole number"),
        (0, "NG303", "`width` is 0, and a size is at least 1"),
        (-3, "NG303", "`width` is -3, and a size is at least 1"),
        (True, "NG111", "`width` is a whole number, found `true`"),
        ([1], "NG111", "`width` is a whole number, found a list"),
        (None, "NG111", "`width` is a whole number, found `none`"),
        (2**63, "NG302", f"`width` is {2**63}, which is too large"),
    ],
)
def test_sizes_are_whole(value, code, message):
    with pytest.raises(Reject) as fault:
        whole(value, "`width`")
    assert (fault.value.code, str(fault.value)) == (code, message)


def test_a_whole_fraction_is_a_size():
    assert whole(8.0, "n") == 8
    assert type(whole(8.0, "n")) is int


def test_numbers_are_shown_as_a_spec_writes_them():
    values = [None, True, 3, 2.5, 1234567.0, 1 / 3, [1, 2.0, False]]
    assert [shown(v) for v in values] == ["none", "true", "3", "2.5", "1234567", "0.333333", "[1, 2, false]"]
