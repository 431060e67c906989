"""`nanogen profile` as people call it."""

import json

import pytest


@pytest.fixture
def run_file(trained_run):
    return ["profile", str(trained_run / "small.toml"), "--runs", str(trained_run / "runs")]


def test_a_table_is_drawn_and_written_beside_its_traces(call, run_file, tmp_path):
    folder = tmp_path / "traces"
    code, out, err = call(*run_file, "--steps", "1", "--how", "eager", "-o", str(folder))
    assert code == 0
    assert "trunk, slc2" in out
    assert "optimizer" in out
    assert "peak unknown" in out
    assert ".pt.trace.json" in err
    (table,) = json.loads((folder / "table.json").read_text())
    assert table["way"] == "eager"
    assert {"trunk, attention", "head and loss"} <= {row["kind"] for row in table["rows"]}


def test_faults_are_told(call, run_file, tmp_path):
    code, _, err = call(*run_file, "--stage", "corpus", "-o", str(tmp_path / "t"))
    assert code == 1
    assert "does not train in `corpus`" in err
    code, _, err = call(*run_file, "--on", "h100x9")
    assert code == 1
    assert "h100x9" in err
