"""Any stage's folder is checked before it is read: a corpus, a tokenizer, a model."""

import shutil
from pathlib import Path

import pytest

from runtime import manifest
from runtime.faults import Fault
from runtime.manifest import read_manifest
from stages.models import checked
from stages.models.checked import check_input


@pytest.fixture
def run(trained_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_run / "runs" / "small", tmp_path / "small"))


STAGES = ("corpus", "tokenizer", "base", "evaluation", "report")


@pytest.mark.parametrize("stage", STAGES)
def test_a_whole_folder_gives_its_manifest(run: Path, stage: str, told):
    assert check_input(run / stage, told[0]) == read_manifest(run / stage)
    assert told[1].getvalue() == ""


@pytest.mark.parametrize("stage", STAGES)
def test_a_flipped_byte_in_any_file_of_any_stage_is_refused(run: Path, stage: str):
    for path in sorted(p for p in (run / stage).rglob("*") if p.is_file()):
        whole = path.read_bytes()
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        with pytest.raises(Fault, match=path.name):
            check_input(run / stage)
        path.write_bytes(whole)
    check_input(run / stage)


def test_a_truncated_parquet_is_named_with_both_hashes(run: Path):
    path = run / "corpus" / "train_00000.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        Fault, match=r"train_00000\.parquet` is not the file of its manifest: \w{12} found, \w{12}"
    ):
        check_input(run / "corpus")


def test_a_folder_that_is_not_finished_is_said_to_be(run: Path):
    (run / "corpus" / "manifest.json").unlink()
    with pytest.raises(Fault, match="is not finished: it has no manifest"):
        check_input(run / "corpus")
    with pytest.raises(Fault, match="is not finished"):
        check_input(run / "nowhere")


def test_the_second_time_costs_nothing(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(manifest, "_SETTLED", -(10**18))  # as if all had been written long ago
    check_input(run / "corpus")
    monkeypatch.setattr(manifest, "digest", lambda *_: pytest.fail("a file was read again"))
    check_input(run / "corpus")


def test_a_large_folder_shows_how_far_it_is(run: Path, told, monkeypatch: pytest.MonkeyPatch):
    check_input(run / "corpus", told[0])
    assert "checking" not in told[1].getvalue()
    monkeypatch.setattr(checked, "SHOWN", 0)
    monkeypatch.setattr(checked, "MB", 1)
    check_input(run / "corpus", told[0])
    assert "checking corpus, MB" in told[1].getvalue()
