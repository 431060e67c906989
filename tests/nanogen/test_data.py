"""Data files: those that ship are whole, and a mistake in one is told at its key."""

from pathlib import Path

import pytest

from nanogen.data import data_set, expand, load_data_set
from nanogen.shelf import shipped
from nanogen.text.diagnostics import Refusal

GOOD = 'kind = "data"\nabout = "x"\nlicence = "MIT"\nfolder = "x"\nrepository = "a/b"\n'
WANTED = {
    "fineweb_edu_100b", "climbmix_400b", "finedataset_13b_jpen", "smoltalk", "smoltalk_jp", "mmlu", "gsm8k",
    "arc", "humaneval", "jcommonsenseqa", "eval_bundle", "identity", "words_alpha",
}  # fmt: skip


def test_those_that_ship():
    assert set(shipped("data")) == WANTED
    for name in WANTED:
        found = data_set(name)
        assert found.about
        assert found.licence
        assert found.source
        assert found.split or found.files, "what it holds"


@pytest.mark.parametrize(
    ("name", "files", "last"),
    [
        ("fineweb_edu_100b", 1823, "shard_01822.parquet"),
        ("climbmix_400b", 6543, "shard_06542.parquet"),
        ("finedataset_13b_jpen", 56, "data/train-00055-of-00056.parquet"),
    ],
)
def test_the_last_shard_of_a_corpus_is_pinned(name: str, files: int, last: str):
    found = data_set(name)
    assert len(set(found.all_files)) == files
    assert found.all_files[-1] == found.validation == last


def test_ranges_are_written_out():
    assert expand("a_{08..10}.txt") == ["a_08.txt", "a_09.txt", "a_10.txt"]
    assert expand("a.txt") == ["a.txt"]


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (("kind", "knd"), "NG102", "opens with"),
        (('"data"', '"model"'), "NG102", "of kind `model`, not data"),
        (("licence", "license"), "NG103", "no setting `license`"),
        (("repository", "columns"), "NG704", "expected a list"),
        (('repository = "a/b"', ""), "NG704", "a `repository` or a `url`"),
        (('folder = "x"', 'folder = "x"\nvalidation = "z"'), "NG704", "none of the files"),
        (
            ('folder = "x"', 'folder = "x"\nsplit = [{ name = "a" }, { name = "b", rows = 0 }]'),
            "NG704",
            "above 0",
        ),
        (('folder = "x"', 'folder = "x"\nhash = [{ file = "a", sha256 = "12" }]'), "NG704", "64 hexadecimal"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, change: tuple[str, str], code: str, said: str):
    path = tmp_path / "x.toml"
    path.write_text(GOOD.replace(*change))
    with pytest.raises(Refusal) as caught:
        load_data_set(path)
    told = [d for d in caught.value.diagnostics if said in d.message]
    assert told, caught.value
    assert told[0].code == code


def test_a_mistake_in_a_list_is_told_at_its_place(tmp_path: Path):
    path = tmp_path / "x.toml"
    path.write_text(GOOD + 'split = [{ name = "a" }, { nme = "b" }, { name = "c", rows = -1 }]\n')
    with pytest.raises(Refusal) as caught:
        load_data_set(path)
    places = {d.place.path for d in caught.value.diagnostics}
    assert {("split", 1, "nme"), ("split", 2, "rows")} <= places


def test_an_unknown_name_is_answered_by_the_nearest():
    with pytest.raises(Refusal) as caught:
        data_set("gms8k")
    assert caught.value.diagnostics[0].help == "did you mean `gsm8k`?"
