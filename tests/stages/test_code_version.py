"""Two checkouts are told apart by their source, and by nothing else."""

from pathlib import Path

from stages.code_version import HOME, code_version, source_digest


def checkout(top: Path, text: str = "x = 1\n") -> Path:
    (top / "stages" / "deep").mkdir(parents=True)
    (top / "stages" / "deep" / "a.py").write_text(text)
    (top / "tests").mkdir()
    return top


def test_source_counts_and_place_does_not(tmp_path: Path):
    one, same = checkout(tmp_path / "one"), checkout(tmp_path / "same")
    (same / "tests" / "test_a.py").write_text("")
    (same / "stages" / "notes.txt").write_text("")
    assert source_digest(one) == source_digest(same)
    assert source_digest(checkout(tmp_path / "other", "x = 2\n")) != source_digest(one)
    (moved := checkout(tmp_path / "moved") / "stages" / "deep" / "a.py").rename(moved.with_name("b.py"))
    assert source_digest(tmp_path / "moved") != source_digest(one)


def test_it_is_of_the_code_that_runs():
    found = code_version()
    assert found["source_sha256"] == source_digest(HOME)
    assert found["nanogen"]
    assert (HOME / "stages" / "code_version.py").is_file()
