"""`nanogen bench` as people call it: a table, JSON lines, the last time beside it, and faults before anything runs."""

import json

import pytest

SIZE = [
    "--set",
    "depth=2",
    "--set",
    "width=64",
    "--set",
    "heads=1",
    "--set",
    "vocab=64",
    "--set",
    "context=64",
]


def test_starting_is_measured_and_held_against_the_last_time(call, tmp_path):
    code, out, err = call("bench", "nanochat_2025", *SIZE, "--only", "start", "--into", str(tmp_path))
    assert code == 0
    assert "nanogen check" in out
    assert "new" in out
    assert "starting `nanogen compile`" in err
    code, out, _ = call("bench", "nanochat_2025", *SIZE, "--only", "start", "--into", str(tmp_path), "--json")
    assert code == 0
    told = json.loads(out)
    assert set(told["figures"]) == {"check", "compile"}
    assert told["dims"]["depth"] == 2
    assert (tmp_path / "start.jsonl").read_text().count("\n") == 2


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
