"""A folder's manifest: what does not match is refused, and it guards itself."""

import json
import os
from pathlib import Path

import pytest

from runtime import manifest
from runtime.faults import Fault
from runtime.manifest import (
    FORMAT,
    FORMATS,
    NAME,
    Checking,
    check_files,
    content,
    known_digest,
    read_manifest,
    to_json,
    whole_manifest,
    write_manifest,
)


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
    assert json.loads(text)["format"] == FORMAT == max(FORMATS)
    assert "\n  " in text


# -- itself


def test_no_byte_of_it_can_turn(folder: Path):
    whole = (folder / NAME).read_bytes()
    for place in range(len(whole)):
        for bit in (1, 2, 4, 32):
            turned = whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]
            (folder / NAME).write_bytes(turned)
            with pytest.raises(Fault):
                whole_manifest(folder)
    (folder / NAME).write_bytes(whole)
    assert whole_manifest(folder)["fact"] == [1, "zwei"]


def test_another_spelling_of_the_same_facts_is_not_as_it_was_written(folder: Path):
    (folder / NAME).write_bytes(json.dumps(manifest_of(folder)).encode())
    with pytest.raises(Fault, match=r"is not as it was written: [0-9a-f]{12} found, [0-9a-f]{12} written"):
        whole_manifest(folder)
    assert read_manifest(folder) is None


def test_an_edited_one_names_both_hashes(folder: Path):
    (folder / NAME).write_bytes(to_json({**manifest_of(folder), "fact": 7}))
    with pytest.raises(Fault, match=r"it is [0-9a-f]{12}, and says [0-9a-f]{12}"):
        whole_manifest(folder)


def test_a_newer_format_is_named_and_is_not_nothing(folder: Path):
    (folder / NAME).write_bytes(to_json({"format": FORMAT + 1, "files": {}, "more": True}))
    for read in (read_manifest, whole_manifest, content):
        with pytest.raises(
            Fault, match=f"a newer nanogen: format {FORMAT + 1}; this one reads up to {FORMAT}"
        ):
            read(folder)


def test_the_first_format_is_read_as_it_was(folder: Path):
    found = {name: fact for name, fact in manifest_of(folder).items() if name != "digest"}
    (folder / NAME).write_text(json.dumps({**found, "format": 1}))
    assert content(folder) is not None
    check_files(folder, manifest_of(folder))


@pytest.mark.parametrize("name", ["../a.bin", "/etc/passwd", "deep/../a.bin", "deep//b.txt", "..\\a", ""])
def test_a_file_elsewhere_is_none_of_it(folder: Path, name: str):
    facts = {"format": 1, "files": {name: {"bytes": 3, "sha256": "0" * 64}}}
    (folder / NAME).write_bytes(to_json(facts))
    with pytest.raises(Fault, match="is not a manifest of any format"):
        whole_manifest(folder)


# -- what is beside


def test_what_is_not_listed_is_told_of_and_a_pickle_is_refused(folder: Path):
    told: list[str] = []
    (folder / "notes.txt").write_text("mine")
    (folder / "saves").mkdir()
    (folder / "saves" / "state.json").write_text("{}")
    check_files(folder, manifest_of(folder), Checking(tell=told.append))
    assert [text for text in told if "notes.txt" in text] == told != []
    (folder / "deep" / "extra.pt").write_bytes(b"anything")
    with pytest.raises(Fault, match=r"extra\.pt` is not listed in the manifest, and is a pickle"):
        check_files(folder, manifest_of(folder))
    (folder / "deep" / "extra.pt").rename(folder / "deep" / "extra.txt")
    (folder / "deep" / "extra.txt").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(Fault, match=r"extra\.txt` is not listed"):
        check_files(folder, manifest_of(folder))


def test_a_pickle_is_refused_though_it_is_listed(folder: Path):
    (folder / "a.bin").write_bytes(b"\x80\x02K\x01.")
    write_manifest(folder, {})
    with pytest.raises(Fault, match=r"a\.bin` is a pickle of protocol 2, where `a\.bin` as it was written"):
        check_files(folder, manifest_of(folder))


# -- once


def aged(path: Path) -> None:
    os.utime(path, ns=(10**18, 10**18))


def test_a_file_that_stands_unchanged_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch):
    path, read = folder / "a.bin", []
    plain = manifest.digest

    def digest(path: Path, *rest):
        read.append(path)
        return plain(path, *rest)

    monkeypatch.setattr(manifest, "digest", digest)
    monkeypatch.setattr(manifest, "_SETTLED", -(10**18))  # as if it had been written long ago
    first = known_digest(path)
    assert known_digest(path) == first
    assert len(read) == 1
    path.write_bytes(b"abd")
    aged(path)  # what is told of its change is not believed alone
    assert known_digest(path) != first
    assert len(read) == 2


def test_a_file_that_was_just_written_is_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Two changes within one tick of the file system's clock look alike; a clock that was set back is no older."""
    path = folder / "a.bin"
    first = known_digest(path)
    stands = path.stat()
    path.write_bytes(b"abd")
    os.utime(path, ns=(stands.st_atime_ns, stands.st_mtime_ns))
    assert known_digest(path) != first


def test_progress_is_told_in_bytes(folder: Path):
    done: list[int] = []
    check_files(folder, manifest_of(folder), Checking(progress=done.append))
    assert done == sorted(done)
    assert done[-1] == 9
