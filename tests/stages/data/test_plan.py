"""What is asked for, as files: the layouts of repositories, and what counts as here."""

from pathlib import Path

import pytest

from nanogen.data import Split, data_set
from nanogen.shelf import shipped
from stages.data.needs import Bundle, Corpus, NamedFile, Rows
from stages.data.plan import HERE, STUCK, Planner, files_of_split
from stages.data.records import Records
from stages.data.transfer import Fact
from tests.stages.folders import GSM8K, numbered, parquet


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-cache"))


MMLU = [
    "README.md",
    "all/auxiliary_train-00000-of-00001.parquet",
    "all/dev-00000-of-00001.parquet",
    "all/test-00000-of-00001.parquet",
    "anatomy/test-00000-of-00001.parquet",
    "auxiliary_train/train-00000-of-00001.parquet",
]
TALK = [f"data/train-{n:05d}-of-00004.parquet" for n in range(4)] + ["data/test-00000-of-00001.parquet"]


@pytest.mark.parametrize(
    ("names", "subset", "split", "found"),
    [
        (MMLU, "all", "test", MMLU[3:4]),
        (MMLU, "all", "auxiliary_train", MMLU[1:2]),
        (TALK, "default", "train", TALK[:4]),
        (TALK, "default", "test", TALK[4:]),
        (TALK[1:], "default", "train", []),  # not all of its parts
        (["train.parquet", "train.jsonl"], "default", "train", ["train.parquet"]),
        (["main/test/0000.parquet", "main/train/0000.parquet"], "main", "test", ["main/test/0000.parquet"]),
        (["main/test.csv"], "main", "test", []),
    ],
)
def test_the_files_of_a_split_in_the_layouts_of_repositories(names, subset: str, split: str, found):
    assert files_of_split(names, Split(subset=subset, name=split)) == found


def state(top: Path, need) -> list[tuple[str, str]]:
    return [(item.file, item.state) for item in Planner(top, silent=True).plan([need])]


def test_rows_in_any_layout_are_here_and_cut_ones_are_not(tmp_path: Path):
    need, split = Rows("gsm8k", "main", "test"), "task_data/openai--gsm8k/main/test"
    assert state(tmp_path, need) == [(f"{split}-*.parquet", STUCK)]
    path = parquet(tmp_path / split, numbered(GSM8K, 5)) / "00000.parquet"
    assert state(tmp_path, need) == [(f"{split}/00000.parquet", HERE)]
    path.write_bytes(path.read_bytes()[:-9])
    assert state(tmp_path, need) == [(f"{split}-*.parquet", STUCK)]


def test_a_recorded_file_is_here_while_it_has_its_size(tmp_path: Path):
    need, path = NamedFile("words_alpha", "words_alpha.txt"), tmp_path / "words_alpha.txt"
    path.write_text("a\nb\n")
    Records(tmp_path).add("words_alpha", "x", None, {"words_alpha.txt": Fact(4, "0" * 64)})
    assert state(tmp_path, need) == [("words_alpha.txt", HERE)]
    path.write_text("a\n")
    assert state(tmp_path, need) == [("words_alpha.txt", STUCK)]


def test_a_file_whose_hash_is_known_is_told_by_it(tmp_path: Path):
    path = tmp_path / "jglue/jcommonsenseqa-v1.3/valid-v1.3.json"
    path.parent.mkdir(parents=True)
    path.write_text("another")
    [item] = Planner(tmp_path, silent=True).plan([Rows("jcommonsenseqa", "default", "valid")])
    assert (item.state, item.size) == (STUCK, 235_633)


def test_a_bundle_is_here_when_all_of_it_is(tmp_path: Path):
    folder = tmp_path / "eval_bundle"
    folder.mkdir()
    for name in ("core.yaml", "eval_meta_data.csv"):
        assert state(tmp_path, Bundle("eval_bundle")) == [("eval_bundle", STUCK)]
        (folder / name).write_text("x")
    assert state(tmp_path, Bundle("eval_bundle")) == [("eval_bundle", HERE)]
    Records(tmp_path).add("eval_bundle", "x", None, {"eval_bundle/eval_data/a.jsonl": Fact(4, "0" * 64)})
    assert state(tmp_path, Bundle("eval_bundle")) == [("eval_bundle", STUCK)]


def test_a_corpus_needs_its_pinned_shard(tmp_path: Path):
    for number in (0, 1):
        folder = parquet(tmp_path / "base_data", [{"text": "x"}], manifest=False)
        (folder / "00000.parquet").rename(folder / f"shard_{number:05d}.parquet")
    assert [s for _, s in state(tmp_path, Corpus("fineweb_edu_100b", 2))] == [HERE, HERE, STUCK]


def test_every_data_set_that_ships_comes_from_somewhere():
    for name in shipped("data"):
        data = data_set(name)
        files = [split.file for split in data.split if split.file] or data.all_files
        assert data.repository or all(data.address(file) for file in files), name


def test_a_record_that_cannot_be_read_counts_for_none(tmp_path: Path):
    for text in ("{", "[]", '{"format": 1, "files": {"a": 3}}', '{"format": 9, "files": {}}'):
        (tmp_path / "fetched").mkdir(exist_ok=True)
        (tmp_path / "fetched/x.json").write_text(text)
        assert Records(tmp_path).fact("x", "a") is None
        assert list(Records(tmp_path).everything()) == []
