"""Values come through as they were; nothing of the sender's code comes with them; noise is no value."""

import math

import pytest

from stages.sandbox.inside.values import NotPlain, decode, encode, from_bytes, to_bytes

VALUES = [
    None, True, False, 0, -1, 2**62, 2**63, -(2**64), 0.1, -0.0, math.inf, 1e-320, "", "é\ud800\0", b"\0x",
    2 - 3j, [], (), set(), {}, [1, (2, [3])], {"a": [1], (1, 2): {3}, None: frozenset({4})}, ["l", 1], [["d"]],
]  # fmt: skip


def through(value):
    return decode(from_bytes(to_bytes(encode(value))))


@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_there_and_back(value):
    found = through(value)
    assert found == value
    assert repr(found) == repr(value)  # 1, 1.0 and True are equal


def test_an_integer_may_be_longer_than_python_writes_out():
    assert through(-(7**9000)) == -(7**9000)


def test_not_a_number_stays_one():
    assert math.isnan(through(math.nan))


class Yes:
    def __eq__(self, other):
        return True

    __hash__ = None  # type: ignore[assignment]


class YesInt(Yes, int):
    pass


class YesList(Yes, list):
    pass


class YesText(Yes, str):
    pass


@pytest.mark.parametrize(("value", "plain"), [(YesInt(3), 3), (YesList([1]), [1]), (YesText("ab"), "ab")])
def test_subclasses_lose_their_manners(value, plain):
    found = through(value)
    assert type(found) is type(plain)
    assert found == plain


@pytest.mark.parametrize("value", [Yes(), [Yes()], {1: Yes()}, iter([]), print, int, range(3), object()])
def test_what_is_not_plain_is_refused(value):
    with pytest.raises(NotPlain):
        encode(value)


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b"[]",
        b'["x"]',
        b'["i"]',
        b'["i", 1]',
        b'["c", "a", 0]',
        b'["d", 1]',
        b'["s", ["l"]]',
        b'["b", "x"]',
    ],
)
def test_noise_is_no_value(raw):
    with pytest.raises((ValueError, TypeError)):
        decode(from_bytes(raw))
