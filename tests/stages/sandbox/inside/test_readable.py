"""What may be read are libraries, each once."""

import os
import sys

from stages.sandbox.inside.readable import hidden, linked, readable


def test_the_library_can_be_read_and_homes_cannot():
    paths = [path for path in readable() if not linked(path)]
    assert any(os.__file__.startswith(f"{path}/") for path in paths)
    assert not [
        path for path in paths if path in ("/", "/usr", "/etc", "/home", "/root", os.path.expanduser("~"))
    ]


def test_no_path_lies_in_another(monkeypatch):
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(sys, "path", ["/usr/lib/python3", "/nowhere", os.path.dirname(os.__file__)])
    paths = readable()
    assert not [(a, b) for a in paths for b in paths if a.startswith(f"{b}/")]
    assert "/nowhere" not in paths


def test_installed_packages_are_hidden(tmp_path, monkeypatch):
    (tmp_path / "site-packages").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert f"{tmp_path}/site-packages" in hidden()
