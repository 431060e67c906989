"""TOML to settings: strict, all faults at once, each at its key."""

import pytest
from attrs import field, frozen

from nanogen.structure import Count, structure


@frozen
class Settings:
    steps: int
    rate: float = 0.1
    name: str | None = None
    characters: Count | None = None
    prompts: tuple[str, ...] = ()
    small: int = field(default=1)  # below 10

    @small.validator
    def _check(self, attribute, value):
        if value > 9:
            raise ValueError(f"`small` is below 10, found {value}")


def test_what_fits_is_read():
    found, faults = structure(Settings, {"steps": 3, "rate": 1, "characters": "1.5M", "prompts": ["a"]}, ())
    assert not faults
    assert found == Settings(3, 1.0, None, Count(1_500_000), ("a",))


@pytest.mark.parametrize(
    ("data", "code", "path", "message"),
    [
        ({"steps": "3"}, "NG704", ("steps",), 'expected a whole number, found text "3"'),
        ({"steps": True}, "NG704", ("steps",), "expected a whole number, found true"),
        ({"steps": 3.0}, "NG704", ("steps",), "expected a whole number, found 3.0"),
        ({}, "NG102", (), "the setting `steps` is missing"),
        ({"steps": 1, "stepz": 1}, "NG103", ("stepz",), "there is no setting `stepz` here"),
        ({"steps": 1, "small": 10}, "NG704", ("small",), "`small` is below 10, found 10"),
        ({"steps": 1, "characters": "2X"}, "NG704", ("characters",), 'expected a count such as 5000 or "2G"'),
        ({"steps": 1, "prompts": ["a", 1]}, "NG704", ("prompts",), "expected text, found 1"),
    ],
)
def test_what_does_not_is_told_at_its_key(data, code, path, message):
    found, faults = structure(Settings, data, ("at",))
    assert found is None
    assert [f.code for f in faults] == [code]
    assert faults[0].place.path[: len(path) + 1] == ("at", *path)
    assert message in faults[0].message


@frozen
class Outer:
    inner: Settings
    word: str = "a"


@pytest.mark.parametrize(
    ("data", "code", "path", "help"),
    [
        ({"steps": 1, "small": 10}, "NG704", ("inner", "small"), "left out, it is 1"),
        ({"steps": 1, "nam": "x"}, "NG103", ("inner", "nam"), "did you mean `name`?"),
        ({"steps": 1, "prompts": [2]}, "NG704", ("inner", "prompts"), "it may be left out"),
        ({}, "NG102", ("inner",), "it has no default"),
    ],
)
def test_a_table_in_a_table_is_told_of_in_its_own_words(data, code, path, help):
    found, faults = structure(Outer, {"inner": data}, ())
    assert found is None
    assert [(f.code, f.place.path, f.help) for f in faults] == [(code, path, help)]


def test_all_faults_are_told_at_once():
    _, faults = structure(Settings, {"steps": "x", "rate": "y", "other": 1}, ())
    assert len(faults) == 3


@frozen
class Many:
    items: tuple[Settings, ...] = ()


def test_a_list_of_tables_is_read():
    found, faults = structure(Many, {"items": [{"steps": 1}, {"steps": 2, "rate": 3}]}, ())
    assert not faults
    assert found == Many((Settings(1), Settings(2, 3.0)))


def test_each_fault_of_a_list_of_tables_is_told_at_its_place():
    tables = [{"steps": 1}, {"stepz": 1}, {"steps": 1, "small": 10}, {"steps": 1, "prompts": [1]}]
    found, faults = structure(Many, {"items": tables}, ("at",))
    assert found is None
    assert [(f.code, f.place.path) for f in faults] == [
        ("NG103", ("at", "items", 1, "stepz")),
        ("NG704", ("at", "items", 2, "small")),
        ("NG704", ("at", "items", 3, "prompts")),
    ]
    assert faults[1].help == "left out, it is 1"


def test_a_list_of_tables_that_is_none_is_a_fault():
    for value in ({"steps": 1}, [7]):
        found, faults = structure(Many, {"items": value}, ())
        assert found is None
        assert faults[0].code == "NG704"
