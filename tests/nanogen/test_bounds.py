"""Validators of settings: what they let pass, and the words of their refusals."""

import pytest
from attrs import field, frozen

from nanogen.bounds import OutOfBounds, at_least, one_of, positive, share


@frozen
class Settings:
    kind: str = field(default="a", validator=one_of("a", "b"))
    part: float = field(default=0.5, validator=share)
    steps: int | None = field(default=None, validator=at_least(2))
    rate: float | None = field(default=None, validator=positive)


def test_what_is_within_bounds_passes():
    assert Settings("b", 0.01, 2, 1e-9) == Settings(kind="b", part=0.01, steps=2, rate=1e-9)
    assert Settings().steps is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "c"}, "`kind` is one of a, b, found `c`"),
        ({"part": 0}, "`part` is a share between 0 and 1, found 0"),
        ({"part": 1}, "`part` is a share between 0 and 1, found 1"),
        ({"steps": 1}, "`steps` is at least 2, found 1"),
        ({"rate": 0}, "`rate` is above 0, found 0"),
    ],
)
def test_what_is_not_is_told(settings: dict, message: str):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 the message is compared below
        Settings(**settings)
    assert str(refused.value) == message


def test_a_word_that_is_none_is_answered_by_the_nearest():
    class Source:
        name = "source"

    with pytest.raises(OutOfBounds) as refused:
        one_of("python_docs", "text")(None, Source, "txt")
    assert refused.value.help == "did you mean `text`?"
    with pytest.raises(OutOfBounds) as refused:
        at_least(2)(None, Source, 1)
    assert refused.value.help == ""
