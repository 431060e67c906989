"""`nanogen bench` as people call it: a table, JSON lines, the last time beside it, and faults before anything runs."""

import json

import pytest

from stages.benching import bench

SETS = ["--set depth=2", "--set width=64", "--set heads=1", "--set vocab=64", "--set context=64"]
SIZE = [word for option in SETS for word in option.split()]


@pytest.fixture
def called(monkeypatch) -> list[list[str]]:
    """What would have been started; each takes half a second, and one of ten more."""
    commands: list[list[str]] = []

    def timed(arguments: list[str]) -> tuple[float, float]:
        commands.append(list(arguments))
        return (0.5 if len(commands) % 10 else 0.6), 0.4

    monkeypatch.setattr(bench, "timed", timed)
    return commands


def test_starting_is_measured_and_held_against_the_last_time(call, called, tmp_path):
    code, out, err = call("bench", "nanochat_2025", *SIZE, "--only", "start", "--into", str(tmp_path))
    assert code == 0
    assert "nanogen check" in out
    assert "0.50 s" in out
    assert "new" in out
    assert "starting `nanogen compile`" in err
    compiled = [arguments for arguments in called if arguments[0] == "compile"]
    assert compiled[0][2:] == [option.replace("--set ", "--set=") for option in SETS]
    code, out, _ = call("bench", "nanochat_2025", *SIZE, "--only", "start", "--into", str(tmp_path))
    assert code == 0
    assert "same" in out
    assert (tmp_path / "start.jsonl").read_text().count("\n") == 2


def test_as_json_a_record_is_a_line(call, called, tmp_path):
    code, out, _ = call("bench", "nanochat_2025", *SIZE, "--only", "start", "--into", str(tmp_path), "--json")
    assert code == 0
    told = json.loads(out)
    assert set(told["figures"]) == {"check", "compile"}
    assert told["dims"]["depth"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_spec"], "no_such_spec"),
        (["--on", "h100x9"], "h100x9"),
        (["--optimizer", "muon"], "there is no optimizer `muon`"),
        (["nanochat_2025", "--set", "depht=2"], "depht"),
    ],
)
def test_faults_are_told_before_anything_is_measured(call, tmp_path, arguments, message):
    code, out, err = call("bench", *arguments, "--into", str(tmp_path / "records"))
    assert (code, out) == (1, "")
    assert message in err
    assert not (tmp_path / "records").exists()
