"""A folder's manifest: what does not match is refused."""

import json
from pathlib import Path

import pytest

from runtime.faults import Fault
from runtime.manifest import NAME, check_files, read_manifest, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.bin").write_bytes(b"abc")
    (tmp_path / "deep" / "b.txt").write_text("日本")
    write_manifest(tmp_path, {"fact": [1, "zwei"]})
    return tmp_path


def manifest_of(folder: Path) -> dict:
    found = read_manifest(folder)
    assert found is not None
    return found


def test_it_lists_every_file_beside_the_facts(folder: Path):
    found = manifest_of(folder)
    assert found["fact"] == [1, "zwei"]
    assert {name: fact["bytes"] for name, fact in found["files"].items()} == {"a.bin": 3, "deep/b.txt": 6}
    assert found["files"]["a.bin"]["sha256"].startswith("ba7816bf")
    check_files(folder, found)
    assert write_manifest(folder, {"fact": [1, "zwei"]}) == found  # not itself


def test_a_changed_file_is_named(folder: Path):
    (folder / "deep" / "b.txt").write_text("日木")
    with pytest.raises(Fault, match=r"deep/b\.txt` is not the file"):
        check_files(folder, manifest_of(folder))


def test_a_missing_file_is_named(folder: Path):
    (folder / "a.bin").unlink()
    with pytest.raises(Fault, match=r"a\.bin` is missing"):
        check_files(folder, manifest_of(folder))


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", '{"format": 2, "files": {}}', '{"format": 1}', '{"format": 1, "files": []}'),
        *('{"format": 1, "files": {"a.bin": {"bytes": 3}}}', '{"format": 1, "files": {"a.bin": 3}}'),
    ],
)
def test_what_cannot_be_read_is_no_manifest(folder: Path, text: str):
    (folder / NAME).write_text(text)
    assert read_manifest(folder) is None


def test_a_folder_without_one_has_none(tmp_path: Path):
    assert read_manifest(tmp_path) is None
    assert read_manifest(tmp_path / "nowhere") is None


def test_it_is_plain_json_for_people(folder: Path):
    text = (folder / NAME).read_text()
    assert json.loads(text)["format"] == 1
    assert "\n  " in text
