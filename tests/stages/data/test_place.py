"""Finding named data: layouts, what is said of missing and broken pieces, and that nothing is fetched unasked."""

import json
import sys
import types
from pathlib import Path

import pytest

from runtime.faults import Fault
from stages.data import hub
from stages.data import place as places
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


def test_a_single_file_is_read(tmp_path: Path):
    parquet(tmp_path, numbered(GSM8K, 5), manifest=False)
    assert gsm8k(DataPlace(), tmp_path / "00000.parquet") == QUESTIONS
    assert gsm8k(DataPlace(), lines(tmp_path / "a.jsonl", numbered(GSM8K, 5))) == QUESTIONS


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    parquet(tmp_path / "task_data/openai--gsm8k/main/test", numbered(GSM8K, 5))
    monkeypatch.setenv("NANOGEN_DATA", str(tmp_path))
    assert gsm8k(DataPlace.here()) == QUESTIONS
    monkeypatch.delenv("NANOGEN_DATA")
    assert DataPlace.here() == DataPlace(None, False)


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
    assert "`download = true`" in caught.value.help
    with pytest.raises(Fault, match="NANOGEN_DATA is not set"):
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


# -- the Hub, played by stand-ins


class Hub:
    """Stands in for `datasets` and `huggingface_hub`: notes whether it was asked offline."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rows: list | None) -> None:
        self.rows, self.asked = rows, []
        self.config = types.SimpleNamespace(HF_HUB_OFFLINE=False)
        monkeypatch.setitem(sys.modules, "datasets", self)  # type: ignore[arg-type]
        monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(constants=self.config))

    def load_dataset(self, repository: str, subset: str, *, split: str):
        self.asked.append((repository, subset, split, self.config.HF_HUB_OFFLINE))
        if self.rows is None:
            raise ConnectionError("no network\nmore")
        return self.rows


def test_the_hub_is_asked_only_when_the_run_says_so(monkeypatch: pytest.MonkeyPatch):
    stand_in = Hub(monkeypatch, numbered(GSM8K, 5))
    with pytest.raises(Fault):
        gsm8k(DataPlace())
    assert stand_in.asked == []
    assert gsm8k(DataPlace(download=True)) == QUESTIONS
    assert stand_in.asked == [("openai/gsm8k", "main", "test", False)]


def test_the_cache_is_read_without_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stand_in = Hub(monkeypatch, numbered(GSM8K, 5))
    (tmp_path / "hub-cache/datasets/openai___gsm8k").mkdir(parents=True)
    assert gsm8k(DataPlace()) == QUESTIONS
    assert stand_in.asked == [("openai/gsm8k", "main", "test", True)]
    assert stand_in.config.HF_HUB_OFFLINE is False
    stand_in.rows = None
    with pytest.raises(Fault, match="there is no `gsm8k`, split `test` here"):
        gsm8k(DataPlace())


def test_what_does_not_come_is_a_fault_with_its_reason(monkeypatch: pytest.MonkeyPatch):
    Hub(monkeypatch, None)
    with pytest.raises(Fault, match=r"did not come from the Hub: no network$"):
        gsm8k(DataPlace(download=True))
    Hub(monkeypatch, [])
    with pytest.raises(Fault, match="holds no rows"):
        gsm8k(DataPlace(download=True))


def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(Fault, match="`datasets` is not installed") as caught:
        gsm8k(DataPlace(download=True))
    assert caught.value.help == hub.INSTALL
    assert places.VARIABLE == "NANOGEN_DATA"


def test_json_manifests_are_lists(tmp_path: Path):
    folder = parquet(tmp_path / "main/test", numbered(GSM8K, 4), files=2)
    (folder / "manifest.json").write_text(json.dumps(["00001.parquet"]))
    assert gsm8k(DataPlace(), tmp_path) == QUESTIONS[2:4]
