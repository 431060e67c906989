"""Named corpora: the validation shard is never trained on, and too few shards are a fault."""

import sys
import types
from pathlib import Path

import pytest

from nanogen.data import data_set
from nanogen.shelf import shipped
from runtime.faults import Fault
from stages.data.place import DataPlace
from stages.data.shards import CORPORA, find_shards
from tests.stages.folders import DATA, parquet, with_data


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-cache"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


def shards(top: Path, *numbers: int) -> Path:
    for number in numbers:
        folder = parquet(top / "base_data", [{"text": f"shard {number}"}], manifest=False)
        (folder / "00000.parquet").rename(folder / f"shard_{number:05d}.parquet")
    return top


def names(found) -> list[str]:
    return [path.stem[-2:] for path in (*found.train, found.validation)]


def find(place: DataPlace, count: int | None = None, path: Path | None = None):
    return find_shards("fineweb_edu_100b", count, place, path=str(path) if path else None)


def test_the_pinned_shard_validates_where_it_is_here(tmp_path: Path):
    found = find(DataPlace(shards(tmp_path, 0, 1, 2, 1822)))
    assert (names(found), found.pinned) == (["00", "01", "02", "22"], True)
    assert names(find(DataPlace(tmp_path), 2)) == ["00", "01", "22"]
    assert names(find(DataPlace(shards(tmp_path, 1901)))) == [
        "00",
        "01",
        "02",
        "01",
        "22",
    ]  # though it is not the last


def test_else_the_last_one_does_and_says_so(tmp_path: Path):
    found = find(DataPlace(), 2, shards(tmp_path, 0, 1, 2, 3) / "base_data")
    assert (names(found), found.pinned) == (["00", "01", "03"], False)


def test_too_few_are_a_fault_and_never_fewer(tmp_path: Path):
    with pytest.raises(Fault, match="holds 2 shards of `fineweb_edu_100b` to train on, and 3 are wanted"):
        find(DataPlace(shards(tmp_path, 0, 1, 2)), 3)
    with pytest.raises(Fault, match=r"`shards` is 1,823, and `fineweb_edu_100b` has 1,822 to train on"):
        find(DataPlace(tmp_path), 1823)


def test_one_shard_alone_is_no_corpus(tmp_path: Path):
    with pytest.raises(Fault, match=r"holds 0 shards .* and 1 are wanted"):
        find(DataPlace(shards(tmp_path, 1822)))


def test_none_say_where_they_were_looked_for(tmp_path: Path):
    with pytest.raises(Fault) as caught:
        find(DataPlace(tmp_path))
    assert f"looked in `{tmp_path / 'base_data'}`, the Hub's cache" in caught.value.message
    assert "`download = true`" in caught.value.help
    with pytest.raises(Fault, match="NANOGEN_DATA is not set"):
        find(DataPlace())


def test_the_hub_gives_the_first_shards_and_the_pinned_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def hf_hub_download(repository: str, name: str, *, repo_type: str, local_files_only: bool) -> str:
        asked.append((repository, name, repo_type, local_files_only))
        return str(tmp_path / name)

    stand_in = types.SimpleNamespace(hf_hub_download=hf_hub_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", stand_in)
    found = find(DataPlace(download=True), 2)
    assert names(found) == ["00", "01", "22"]
    assert {(repository, kind, local) for repository, _, kind, local in asked} == {
        ("karpathy/fineweb-edu-100b-shuffle", "dataset", False)
    }
    asked.clear()
    with pytest.raises(Fault):
        find(DataPlace(), 2)
    assert asked == []
    (tmp_path / "hub-cache/hub/datasets--karpathy--fineweb-edu-100b-shuffle").mkdir(parents=True)
    assert names(find(DataPlace(), 2)) == ["00", "01", "22"]
    assert all(local for *_, local in asked)


def test_corpora_are_the_data_sets_that_pin_a_shard():
    assert sorted(CORPORA) == [name for name in shipped("data") if data_set(name).validation is not None]


@with_data
def test_the_sample_is_read_by_name():
    found = find(DataPlace(DATA))
    assert names(found) == ["00", "01", "02", "03", "04"]
    assert names(find_shards("finedataset_13b_jpen", None, DataPlace(DATA))) == ["00", "01", "02"]
