"""The packages that a run imports, told without importing them."""

from pathlib import Path

import pytest
import tomli

from stages.doctor import packages as looking
from stages.doctor.packages import EXTRAS, NEEDED, packages

PROJECT = tomli.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
IMPORTED_AS = {"pyyaml": "yaml", "torch-tb-profiler": "torch_tb_profiler"}


def names(requirements: list[str]) -> set[str]:
    plain = {requirement.partition(">")[0].partition("=")[0] for requirement in requirements}
    return {IMPORTED_AS.get(name, name) for name in plain}


def test_the_packages_are_those_of_the_project():
    assert set(NEEDED) == names(PROJECT["dependencies"])
    for extra, wanted in EXTRAS.items():
        assert set(wanted) == names(PROJECT["optional-dependencies"][extra])


def test_where_all_are_here_none_is_missing():
    found = {one.about: one for one in packages()}
    assert found["python"].state == found["packages"].state == "ok"


@pytest.mark.parametrize(("absent", "stops"), [("rustbpe", True), ("wandb", False)])
def test_what_is_absent_is_named(monkeypatch, absent, stops):
    monkeypatch.setattr(looking, "find_spec", lambda name: None if name == absent else object())
    (told,) = [one for one in packages() if absent in one.said]
    assert told.stops is stops
    assert "pip install" in told.help


def test_an_old_python_stops(monkeypatch):
    monkeypatch.setattr(looking.sys, "version_info", (3, 9, 1))
    assert next(iter(packages())).stops
