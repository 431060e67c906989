"""The whole of it: in order, and going on past what cannot be looked at."""

import sys

from stages.doctor import examine as looking
from stages.doctor.examine import examine, sandbox, tensors
from stages.sandbox import isolation
from stages.sandbox.isolation import Isolation


def test_nothing_is_written_where_runs_would_stand(tmp_path):
    found = list(examine(tmp_path / "runs"))
    assert found[0].about == "python"
    assert found[-1].about == "sandbox"
    assert list(tmp_path.iterdir()) == []


def test_without_torch_the_rest_is_still_told(monkeypatch):
    monkeypatch.setattr(looking, "find_spec", lambda name: None)
    assert [one.state for one in tensors()] == ["not tried"]


def test_a_torch_that_does_not_load_stops(monkeypatch):
    monkeypatch.setattr(looking, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "torch", None)
    (told,) = tensors()
    assert told.stops
    assert "does not load" in told.said


def test_a_sandbox_that_is_not_there_is_a_warning(monkeypatch):
    monkeypatch.setattr(isolation, "isolation", lambda: Isolation(missing=("landlock: too old",)))
    assert sandbox().state == "warning"
    assert "too old" in sandbox().said
    monkeypatch.setattr(isolation, "isolation", lambda: Isolation("landlock"))
    assert sandbox().said == "HumanEval can be run, by landlock"
