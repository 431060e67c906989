"""Files are whole or not there."""

from pathlib import Path

from runtime import atomic


def test_a_name_holds_the_old_content_until_the_new_is_published(tmp_path: Path):
    path = tmp_path / "a.bin"
    atomic.write_bytes(path, b"old")
    atomic.temporary(path).write_bytes(b"new")
    assert path.read_bytes() == b"old"
    atomic.publish(path)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
