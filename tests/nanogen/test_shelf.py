"""Specs by path and by the name they ship under; whatever the name, a path or one refusal."""

import pytest

from nanogen.shelf import absent, find, shelf, shipped
from nanogen.text.diagnostics import Refusal


def test_shipped_specs_are_found_by_name():
    assert {"saint_iberis_d20", "nanochat_2025", "llama3_8b"} <= set(shipped("model"))
    for kind in ("model", "run", "hardware"):
        for name in shipped(kind):
            assert find(name, kind).is_relative_to(shelf())
    assert find("saint_iberis_d20.toml", "model") == shelf() / "saint_iberis_d20.toml"
    assert find("llama3_8b", "model") == find("zoo/llama3_8b.toml", "model") == shelf() / "zoo/llama3_8b.toml"


def test_a_file_of_ones_own_comes_first(tmp_path, monkeypatch):
    own = tmp_path / "nanochat_2025.toml"
    own.write_text("")
    assert find("nanochat_2025", "model", beside=tmp_path) == own
    monkeypatch.chdir(tmp_path)
    assert find("nanochat_2025", "model").resolve() == own.resolve()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "~nobody/x", "x" * 5000, "a\0b", "specs/", "no such", "a/b/c.toml"]
)
def test_names_that_are_no_file(name):
    with pytest.raises(Refusal) as refusal:
        find(name, "model")
    (found,) = refusal.value.diagnostics
    assert found.code == "NG001"
    assert found.help


def test_the_nearest_name_is_offered():
    found = absent("nanochat_205", "model", "run").diagnostics[0]
    assert (found.message[:40], found.help) == (
        "there is no model or run `nanochat_205`:",
        "did you mean `nanochat_2025`?",
    )


def test_a_folder_is_told_from_a_file(tmp_path):
    assert absent(str(tmp_path), "run").diagnostics[0].message == f"`{tmp_path}` is a folder, not a run"


@pytest.mark.parametrize("written", ["mien.toml", "mien"])
def test_a_slip_of_a_path_is_answered_by_the_file_beside_it(tmp_path, written):
    (tmp_path / "mine.toml").write_text("")
    with pytest.raises(Refusal) as refusal:
        find(str(tmp_path / written), "run")
    assert refusal.value.diagnostics[0].help == f"did you mean `{tmp_path / 'mine.toml'}`?"
