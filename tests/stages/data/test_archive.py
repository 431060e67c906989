"""Archives: whole or not at all, and no path of theirs leads out."""

import io
import stat
import zipfile
from pathlib import Path

import pytest

from stages.data.archive import check_archive, unpack, unpacked_bytes
from stages.data.transfer import Altered


def archive(path: Path, *names: str, link: bool = False) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            member = zipfile.ZipInfo(name)
            if link:
                member.external_attr = (stat.S_IFLNK | 0o777) << 16
            file.writestr(member, f"text of {name}")
    return path


def test_a_folder_is_replaced_by_what_the_archive_holds(tmp_path: Path):
    made = archive(tmp_path / "a.zip", "top/core.yaml", "top/rows/a.jsonl", "__MACOSX/top/._a")
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "old").write_text("old")
    check_archive(made)
    facts = unpack(made, folder)
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == set(facts)
    assert set(facts) == {"core.yaml", "rows/a.jsonl"}
    assert (folder / "core.yaml").read_text() == "text of top/core.yaml"
    assert unpacked_bytes(made) == sum(fact.size for fact in facts.values())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "bundle"]


def test_an_archive_without_a_folder_of_its_own_is_its_content(tmp_path: Path):
    facts = unpack(archive(tmp_path / "a.zip", "core.yaml", "rows/a.jsonl"), tmp_path / "bundle")
    assert set(facts) == {"core.yaml", "rows/a.jsonl"}


@pytest.mark.parametrize("name", ["../out", "top/../../out", "/out", "C:/out", "..\\out"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str):
    with pytest.raises(Altered, match="outside its folder"):
        check_archive(archive(tmp_path / "a.zip", "top/a", name))


def test_a_link_is_refused(tmp_path: Path):
    with pytest.raises(Altered, match="outside its folder"):
        check_archive(archive(tmp_path / "a.zip", "top/a", link=True))


def test_what_is_broken_or_empty_or_no_archive_is_refused(tmp_path: Path):
    path = archive(tmp_path / "a.zip", "top/a")
    whole = path.read_bytes()
    place = whole.index(b"text of")
    path.write_bytes(whole[:place] + b"T" + whole[place + 1 :])
    with pytest.raises(Altered, match="`top/a` in it is broken"):
        check_archive(path)
    for content in (whole[:40], b"<html>", b""):
        path.write_bytes(content)
        with pytest.raises(Altered, match="no whole archive"):
            check_archive(path)
    out = io.BytesIO()
    zipfile.ZipFile(out, "w").close()
    path.write_bytes(out.getvalue())
    with pytest.raises(Altered, match="holds no files"):
        check_archive(path)


def test_an_unpacking_that_was_cut_off_leaves_nothing_behind(tmp_path: Path):
    (tmp_path / "bundle.partial").mkdir()
    (tmp_path / "bundle.partial/half").write_text("x")
    facts = unpack(archive(tmp_path / "a.zip", "top/a"), tmp_path / "bundle")
    assert set(facts) == {"a"}
    assert not (tmp_path / "bundle/half").exists()
