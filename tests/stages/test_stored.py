"""A model of each version of the format, kept since its time, still says what it said."""

import json
from pathlib import Path

import pytest

from runtime.manifest import FORMATS, read_manifest
from tests.stages.making_stored import STORED, WRITTEN, answers, make

SAID = json.loads((STORED / WRITTEN).read_text())


def test_there_is_one_of_every_version():
    assert sorted(SAID) == [f"format_{version}" for version in FORMATS]
    assert sorted(p.name for p in STORED.iterdir() if p.is_dir()) == sorted(SAID)
    assert sum(p.stat().st_size for p in STORED.rglob("*")) < 100_000 * len(SAID)


@pytest.mark.parametrize("version", FORMATS)
def test_it_is_read_and_says_what_it_said(version: int):
    folder = STORED / f"format_{version}"
    manifest = read_manifest(folder)
    assert manifest
    assert manifest["format"] == version
    said, now = SAID[folder.name], answers(folder)
    assert now["greedy"] == said["greedy"]
    assert now["logits"] == pytest.approx(said["logits"], abs=1e-4)
    assert len(set(said["logits"])) > 20  # else any model would do


def test_a_new_one_can_be_made(tmp_path: Path):
    folder = make(tmp_path)
    assert json.loads((tmp_path / WRITTEN).read_text()) == {folder.name: answers(folder)}
    assert {p.name for p in folder.iterdir()} == {p.name for p in (STORED / folder.name).iterdir()}
