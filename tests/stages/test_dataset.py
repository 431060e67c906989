"""`dataset`: named corpora become corpora whose validation split is one shard, and no document of it is trained on."""

from pathlib import Path

import pytest
from rich.console import Console

from nanogen.structure import structure
from runtime.corpus import read_documents
from runtime.faults import Fault
from stages import dataset
from stages.dataset import Settings
from stages.progress import Reporter
from stages.work import Work
from tests.stages.folders import DATA, parquet, with_data


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    for number in (0, 1, 2, 1822):
        rows = [{"text": f"shard {number} document {n} " * 10, "source": "x"} for n in range(3)]
        folder = parquet(tmp_path / "base_data", rows, manifest=False)
        (folder / "00000.parquet").rename(folder / f"shard_{number:05d}.parquet")
    return tmp_path / "base_data"


def run(folder: Path, settings: Settings) -> Work:
    folder.mkdir(exist_ok=True)
    work = Work("run", "corpus", settings, (), folder, 1, Reporter(Console(quiet=True)))
    dataset.run(work)
    return work


def numbers(folder: Path, split: str) -> set[str]:
    return {text.split()[1] for _, text in read_documents(folder, split)}


@pytest.mark.parametrize(("limit", "linked"), [({}, True), ({"characters": 700}, False)])
def test_the_pinned_shard_validates_and_is_never_trained_on(
    tmp_path: Path, shards: Path, limit: dict, linked: bool
):
    settings = Settings("fineweb_edu_100b", path=str(shards), shards=2, **limit)
    run(tmp_path / "made", settings)
    assert numbers(tmp_path / "made", "train") == {"0", "1"}
    assert numbers(tmp_path / "made", "validation") == {"1822"}
    assert all(p.is_symlink() == linked for p in (tmp_path / "made").glob("*.parquet"))


def test_documents_of_links_are_those_of_the_shards(tmp_path: Path, shards: Path):
    work = run(tmp_path / "made", Settings("fineweb_edu_100b", path=str(shards)))
    texts = [text for _, text in read_documents(work.folder, "train")]
    assert texts == [f"shard {s} document {n} " * 10 for s in range(3) for n in range(3)]
    assert "documents" in (work.folder / "result.json").read_text()
    run(tmp_path / "made", Settings("fineweb_edu_100b", path=str(shards), shards=1))
    assert numbers(tmp_path / "made", "train") == {"0"}, "links of an earlier run are gone"
    assert (shards / "shard_00002.parquet").is_file(), "and the shards are not"


def test_shards_are_looked_for_before_anything_runs(tmp_path: Path, shards: Path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NANOGEN_DATA", str(tmp_path))
    dataset.check(Settings("fineweb_edu_100b", shards=3), None)
    with pytest.raises(Fault, match=r"holds 3 shards .*, and 4 are wanted"):
        dataset.check(Settings("fineweb_edu_100b", shards=4), None)
    monkeypatch.setenv("NANOGEN_DATA", str(tmp_path / "nothing"))
    with pytest.raises(Fault, match="there are no shards of `fineweb_edu_100b` here"):
        dataset.check(Settings("fineweb_edu_100b"), None)
    dataset.check(Settings("fineweb_edu_100b", download=True), None)
    assert dataset.outside(Settings("fineweb_edu_100b", download=True)) == {}


def test_a_validation_shard_that_was_deleted_stops_the_run_before_it_starts(shards: Path):
    (shards / "shard_01822.parquet").unlink()
    with pytest.raises(
        Fault, match=r"validation shard of `fineweb_edu_100b`, `shard_01822.parquet`, is not in"
    ):
        dataset.check(Settings("fineweb_edu_100b", path=str(shards)), None)
    dataset.check(
        Settings("fineweb_edu_100b", path=str(shards), validation_shard="shard_00002.parquet"), None
    )


def test_a_shard_that_is_cut_is_one_message(tmp_path: Path, shards: Path):
    path = shards / "shard_00001.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    for limit in ({}, {"characters": 7000}):
        with pytest.raises(Fault, match=r"`.*shard_00001.parquet` is not a (whole )?parquet file"):
            run(tmp_path / "made", Settings("fineweb_edu_100b", path=str(shards), **limit))


def test_what_a_named_corpus_reads_is_told_by_name_and_size(shards: Path):
    found = dataset.outside(Settings("fineweb_edu_100b", path=str(shards), shards=1))
    assert [name for name, *_ in found["data"]] == ["shard_00000.parquet", "shard_01822.parquet"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"source": "python_docs", "shards": 3}, "`shards` is for a named corpus"),
        ({"source": "python_docs", "validation_shard": "x"}, "`validation_shard` is for a named corpus"),
        ({"source": "text", "path": "x", "download": True}, "`download` is for a named corpus"),
        ({"source": "fineweb_edu_100b", "shards": 0}, "`shards` is above 0"),
        ({"source": "fineweb"}, "`source` is one of"),
        ({"source": "text"}, "needs a `path`"),
        ({"source": "python_docs", "path": "x"}, "has no `path`"),
    ],
)
def test_settings_that_do_nothing_are_refused(table: dict, said: str):
    found, faults = structure(Settings, table, ())
    assert found is None
    assert said in faults[0].message


@with_data
def test_the_sample_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NANOGEN_DATA", str(DATA))
    settings = Settings("fineweb_edu_100b", validation_shard="shard_00004.parquet")
    work = run(tmp_path / "made", settings)
    assert sum(1 for _ in read_documents(work.folder, "train")) == 4 * 864
    assert sum(1 for _ in read_documents(work.folder, "validation")) == 863
