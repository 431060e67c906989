"""Finding named data: layouts, what is said of missing and broken pieces, and that nothing is fetched unasked."""

import json
import sys
from pathlib import Path

import pytest

from runtime.faults import Fault
from stages.data import place as places
from stages.data.needs import Noted, Rows
from stages.data.place import DataPlace, find_rows
from tests.stages.folders import DATA, GSM8K, JCQ, lines, numbered, parquet, with_data


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-cache"))
    for name in ("HF_DATASETS_CACHE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)


def gsm8k(place: DataPlace, path: Path | None = None) -> list[str]:
    rows = find_rows("gsm8k", subset="main", split="test", place=place, path=str(path) if path else None)
    return [rows[i]["question"] for i in range(len(rows))]


QUESTIONS = [f"{n} {GSM8K['question']}" for n in range(5)]


@pytest.mark.parametrize("inside", ["main/test", "test", "."])
def test_a_path_may_hold_subsets_or_splits_or_the_files(tmp_path: Path, inside: str):
    parquet(tmp_path / "x" / inside, numbered(GSM8K, 5), files=3)
    assert gsm8k(DataPlace(), tmp_path / "x") == QUESTIONS


@pytest.mark.parametrize("inside", ["main", "data", "."])
def test_a_copy_of_the_repository_is_read(tmp_path: Path, inside: str):
    folder = parquet(tmp_path / "x" / inside, numbered(GSM8K, 5), files=2, manifest=False)
    for number in range(2):
        (folder / f"{number:05d}.parquet").rename(folder / f"test-{number:05d}-of-00002.parquet")
    assert gsm8k(DataPlace(), tmp_path / "x") == QUESTIONS
    (folder / "test-00000-of-00002.parquet").unlink()
    with pytest.raises(Fault, match="holds 1 of 2 parts"):
        gsm8k(DataPlace(), tmp_path / "x")


def test_a_subset_that_is_called_like_the_split_of_another_is_not_taken_for_it(tmp_path: Path):
    folder = parquet(tmp_path / "main", numbered(GSM8K, 5), manifest=False)
    (folder / "00000.parquet").rename(folder / "test-00000-of-00001.parquet")
    parquet(tmp_path / "test", [{"train": "other rows"}], manifest=False)
    assert gsm8k(DataPlace(), tmp_path) == QUESTIONS


def test_a_single_file_is_read(tmp_path: Path):
    parquet(tmp_path, numbered(GSM8K, 5), manifest=False)
    assert gsm8k(DataPlace(), tmp_path / "00000.parquet") == QUESTIONS
    assert gsm8k(DataPlace(), lines(tmp_path / "a.jsonl", numbered(GSM8K, 5))) == QUESTIONS


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    parquet(tmp_path / "task_data/openai--gsm8k/main/test", numbered(GSM8K, 5))
    monkeypatch.setenv("NANOGEN_DATA", str(tmp_path))
    assert gsm8k(DataPlace.here()) == QUESTIONS
    monkeypatch.delenv("NANOGEN_DATA")
    monkeypatch.setattr(places, "DEFAULT", "~/of-a-user")
    assert DataPlace.here(download=True) == DataPlace(Path.home() / "of-a-user", True)
    monkeypatch.setenv("NANOGEN_OFFLINE", "1")
    assert DataPlace.here(download=True) == DataPlace(Path.home() / "of-a-user", False)


def test_a_file_that_the_manifest_lists_must_be_there(tmp_path: Path):
    folder = parquet(tmp_path / "task_data/openai--gsm8k/main/test", numbered(GSM8K, 5), files=2)
    (folder / "00001.parquet").unlink()
    with pytest.raises(Fault, match=r"00001.parquet` is missing, and its manifest lists it"):
        gsm8k(DataPlace(tmp_path))
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(Fault, match="is no list of files"):
        gsm8k(DataPlace(tmp_path))


def test_a_broken_file_an_empty_one_and_another_one_are_faults(tmp_path: Path):
    folder = parquet(tmp_path, numbered(GSM8K, 5), manifest=False)
    whole = (folder / "00000.parquet").read_bytes()
    (folder / "00000.parquet").write_bytes(whole[:-20])
    with pytest.raises(Fault, match="is not a whole parquet file"):
        gsm8k(DataPlace(), folder)
    parquet(tmp_path, [{"question": "x"}])
    with pytest.raises(Fault, match="has no column `answer`"):
        gsm8k(DataPlace(), folder)
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table({"question": pa.array([], pa.string()), "answer": pa.array([], pa.string())}),
        folder / "00000.parquet",
    )
    with pytest.raises(Fault, match="holds no rows"):
        gsm8k(DataPlace(), folder)


def test_what_is_not_here_says_where_it_was_looked_for_and_how_to_get_it(tmp_path: Path):
    with pytest.raises(Fault) as caught:
        gsm8k(DataPlace(tmp_path))
    looked = tmp_path / "task_data/openai--gsm8k/main/test"
    assert (
        caught.value.message
        == f"there is no `gsm8k`, split `test` here: looked in `{looked}`, the Hub's cache"
    )
    assert caught.value.help == "`nanogen fetch RUN` gets it from openai/gsm8k, or set NANOGEN_DATA"
    with pytest.raises(Fault, match="looked in no folder, the Hub's cache"):
        gsm8k(DataPlace())
    with pytest.raises(Fault, match="there is no `gsm8k`, split `test` in"):
        gsm8k(DataPlace(None, download=True), tmp_path)


def test_a_known_file_that_is_another_is_refused(tmp_path: Path):
    folder = tmp_path / "jglue/jcommonsenseqa-v1.3"
    lines(folder / "valid-v1.3.json", [JCQ])

    def rows(path: str | None):
        return find_rows(
            "jcommonsenseqa", subset="default", split="valid", place=DataPlace(tmp_path), path=path
        )

    with pytest.raises(Fault, match="is not the file that is known"):
        rows(None)
    assert len(rows(str(folder))) == 1, "what the user names is what the user wants"


@with_data
def test_known_files_are_what_they_are_known_as():
    place = DataPlace(DATA)
    assert len(find_rows("jcommonsenseqa", subset="default", split="valid", place=place)) == 1119
    assert len(find_rows("identity", subset="default", split="train", place=place)) == 996


# -- the Hub's cache


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """Where the Hub's cache has the files of GSM8K, as its packages put them there."""
    top = tmp_path / "hub-cache/hub/datasets--openai--gsm8k"
    (top / "refs").mkdir(parents=True)
    (top / "refs/main").write_text("abc")
    folder = parquet(top / "snapshots/abc/main", numbered(GSM8K, 5), files=2, manifest=False)
    for number in range(2):
        (folder / f"{number:05d}.parquet").rename(folder / f"test-{number:05d}-of-00002.parquet")
    return folder


def test_the_cache_of_the_hub_is_read_without_its_packages(snapshot: Path, monkeypatch: pytest.MonkeyPatch):
    for package in ("datasets", "huggingface_hub"):
        monkeypatch.setitem(sys.modules, package, None)
    assert gsm8k(DataPlace()) == QUESTIONS


def test_a_part_of_a_split_in_the_cache_counts_for_nothing(snapshot: Path):
    (snapshot / "test-00001-of-00002.parquet").unlink()
    with pytest.raises(Fault, match="there is no `gsm8k`, split `test` here"):
        gsm8k(DataPlace())


def test_what_is_in_the_folder_of_data_comes_before_the_cache(snapshot: Path, tmp_path: Path):
    parquet(tmp_path / "task_data/openai--gsm8k/main/test", numbered(GSM8K, 2))
    assert gsm8k(DataPlace(tmp_path)) == QUESTIONS[:2]


def test_a_finder_that_notes_looks_for_nothing():
    notes: list = []
    with pytest.raises(Noted):
        gsm8k(DataPlace(notes=notes))
    assert notes == [Rows("gsm8k", "main", "test")]


def test_json_manifests_are_lists(tmp_path: Path):
    folder = parquet(tmp_path / "main/test", numbered(GSM8K, 4), files=2)
    (folder / "manifest.json").write_text(json.dumps(["00001.parquet"]))
    assert gsm8k(DataPlace(), tmp_path) == QUESTIONS[2:4]
