"""Named corpora: the validation shard is never trained on, and too few shards are a fault."""

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


def test_without_the_pinned_shard_no_other_takes_its_place(tmp_path: Path):
    shards(tmp_path, 0, 1, 2, 3)
    for place, path in ((DataPlace(tmp_path), None), (DataPlace(), tmp_path / "base_data")):
        with pytest.raises(
            Fault, match=r"`shard_01822.parquet`, is not in .* no other takes its place"
        ) as caught:
            find(place, 2, path)
        assert "`nanogen fetch RUN`" in caught.value.help
        assert '`validation_shard = "shard_00003.parquet"`' in caught.value.help


def test_a_run_may_name_the_shard_to_validate_on(tmp_path: Path):
    place = DataPlace(shards(tmp_path, 0, 1, 2, 3))
    found = find_shards("fineweb_edu_100b", 2, place, validation="shard_00000.parquet")
    assert (names(found), found.pinned) == (["01", "02", "00"], False)
    with pytest.raises(Fault, match=r"`validation_shard` names `shard_9\.parquet`"):
        find_shards("fineweb_edu_100b", 2, place, validation="shard_9.parquet")


def test_of_shards_with_names_of_their_own_the_last_validates(tmp_path: Path):
    shards(tmp_path, 4001, 4002, 4003)
    found = find(DataPlace(), None, tmp_path / "base_data")
    assert (names(found), found.pinned) == (["01", "02", "03"], False)
    with pytest.raises(Fault, match="no other takes its place"):
        find(DataPlace(tmp_path))


def test_the_validation_shard_under_a_second_name_is_not_trained_on(tmp_path: Path):
    folder = shards(tmp_path, 0, 1, 1822) / "base_data"
    (folder / "shard_00005.parquet").symlink_to(folder / "shard_01822.parquet")
    assert names(find(DataPlace(tmp_path))) == ["00", "01", "22"]


def test_too_few_are_a_fault_and_never_fewer(tmp_path: Path):
    with pytest.raises(Fault, match="holds 2 shards of `fineweb_edu_100b` to train on, and 3 are wanted"):
        find(DataPlace(shards(tmp_path, 0, 1, 1822)), 3)
    with pytest.raises(
        Fault, match=r"`shards` is 1,823, and `karpathy/fineweb-edu-100b-shuffle` has 1,822 to train on"
    ):
        find(DataPlace(tmp_path), 1823)


def test_one_shard_alone_is_no_corpus(tmp_path: Path):
    with pytest.raises(Fault, match=r"holds 0 shards .* and 1 are wanted"):
        find(DataPlace(shards(tmp_path, 1822)))


def test_none_say_where_they_were_looked_for(tmp_path: Path):
    with pytest.raises(Fault) as caught:
        find(DataPlace(tmp_path))
    assert f"looked in `{tmp_path / 'base_data'}`, the Hub's cache" in caught.value.message
    assert caught.value.help.startswith("`nanogen fetch RUN` gets it from karpathy/fineweb-edu")
    with pytest.raises(Fault, match="looked in no folder, the Hub's cache"):
        find(DataPlace())


def test_the_cache_of_the_hub_has_the_pinned_shard_or_counts_for_nothing(tmp_path: Path):
    top = tmp_path / "hub-cache/hub/datasets--karpathy--fineweb-edu-100b-shuffle"
    (top / "refs").mkdir(parents=True)
    (top / "refs/main").write_text("abc")
    shards(tmp_path, 0, 1, 1822)
    (top / "snapshots").mkdir()
    (tmp_path / "base_data").rename(top / "snapshots/abc")
    assert names(find(DataPlace(), 2)) == ["00", "01", "22"]
    assert find(DataPlace(), 2).pinned
    (top / "snapshots/abc/shard_01822.parquet").unlink()
    with pytest.raises(Fault, match="there are no shards"):
        find(DataPlace(), 2)


def test_corpora_are_the_data_sets_that_pin_a_shard():
    assert sorted(CORPORA) == [name for name in shipped("data") if data_set(name).validation is not None]


@with_data
def test_a_sample_is_read_where_the_run_names_its_validation_shard():
    """It lacks the pinned one."""
    with pytest.raises(Fault, match="no other takes its place"):
        find(DataPlace(DATA))
    for name, last, train in (("fineweb_edu_100b", 4, 4), ("finedataset_13b_jpen", 2, 2)):
        found = find_shards(name, None, DataPlace(DATA), validation=f"shard_{last:05d}.parquet")
        assert names(found) == [f"{n:02d}" for n in (*range(train), last)]
    assert names(find_shards("finedataset_13b_jpen", None, DataPlace(), path=str(DATA / "base_data_ja"))) == [
        "00",
        "01",
        "02",
    ]
