"""`nanogen status`, `clean`, `verify` and the options of `run` as people call them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def here(trained_run: Path, tmp_path: Path, monkeypatch) -> Path:
    """A run file beside what it made."""
    shutil.copytree(trained_run / "runs", tmp_path / "runs")
    shutil.copy(trained_run / "small.toml", tmp_path / "small.toml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def change(here: Path, old: str, new: str) -> None:
    text = (here / "small.toml").read_text()
    assert old in text
    (here / "small.toml").write_text(text.replace(old, new))


def test_status_shows_what_stands(call, here):
    code, out, err = call("status", "small.toml")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "small in runs/small"
    assert [line.split()[2] for line in lines[2:]] == ["done"] * 5
    assert re.search(r"base +pretrain +done +[\d.]+ KiB +\d+ s +20\d\d-", out)


def test_status_says_why_and_where(call, here):
    change(here, "vocab = 300", "vocab = 310")
    code, out, _ = call("status", "small.toml")
    assert code == 0
    lines = out.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("tokenizer"))
    assert " stale " in lines[at]
    assert lines[at + 1] == "  because `vocab` 300 -> 310 (small.toml:7)"
    found = json.loads(call("status", "small.toml", "--json")[1])
    assert [one["state"] for one in found] == ["done", "stale", "stale", "stale", "stale"]
    assert found[1]["reasons"] == ["`vocab` 300 -> 310 (small.toml:7)"]


def test_status_of_a_run_that_was_never_begun(call, here):
    code, out, _ = call("status", "small.toml", "--runs", "elsewhere")
    assert code == 0
    assert [line.split()[2] for line in out.splitlines()[2:]] == ["missing"] * 5
    assert not (here / "elsewhere").exists()


def test_a_dry_run_does_nothing(call, here):
    change(here, "tokens = 4", "tokens = 5")
    before = {p: p.stat().st_mtime_ns for p in (here / "runs").rglob("*")}
    code, out, _ = call("run", "small.toml", "--dry-run")
    assert code == 0
    would = [
        line.split()[-1] for line in out.splitlines()[1:] if line[0] != " " and "nothing was" not in line
    ]
    assert would == ["skip", "skip", "skip", "again", "again"]
    assert before == {p: p.stat().st_mtime_ns for p in (here / "runs").rglob("*")}


def test_a_finished_run_is_done_without_loading_torch(here):
    command = [sys.executable, "-X", "importtime", "-m", "nanogen", "run", "small.toml"]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=here, env=env, capture_output=True, text=True, check=True)
    assert "nothing to do" in done.stdout
    assert not re.search(r"\| +torch$", done.stderr, re.MULTILINE)


def test_clean_asks_and_removes_what_is_old_alone(call, here):
    change(here, "tokens = 4", "tokens = 5")
    code, out, _ = call("clean", "small.toml", "--yes")
    assert code == 0
    assert re.search(r"runs/small/evaluation +[\d.]+ KiB +stale", out)
    assert not (here / "runs/small/evaluation").exists()
    assert (here / "runs/small/base/weights.safetensors").is_file()
    assert "keeps nothing" in call("clean", "small.toml")[1]


def test_from_and_only_are_not_given_together(call, here):
    code, _, err = call("run", "small.toml", "--from", "base", "--only", "base")
    assert code == 1
    assert "give one of the two" in err


def test_a_stage_that_is_not_there_is_told_with_the_nearest(call, here):
    code, _, err = call("run", "small.toml", "--from", "bas")
    assert code == 1
    assert "no stage `bas`" in err
    assert "`base`" in err


def test_going_on_after_a_kill_is_proven(call, here):
    code, out, err = call("verify", "resume", "small.toml", "--runs", "proof")
    assert code == 0, out + err
    assert "base, killed after step 4: " in out
    assert "proven: killed in 1 stages, the run ends with the same bits" in out
    assert not (here / "proof" / ".verify").exists()


def test_a_difference_is_no_proof(call, here, monkeypatch):
    from stages.running import verification

    plain = verification._to_the_end

    def spoiled(run, runs, full):
        plain(run, runs, full)
        if runs.name == "killed":
            path = runs / run.name / "base" / "metrics.jsonl"
            path.write_text(path.read_text().replace('"step": 5', '"step": 7'))

    monkeypatch.setattr(verification, "_to_the_end", spoiled)
    code, out, err = call("verify", "resume", "small.toml", "--runs", "proof")
    assert code == 1
    assert "base, killed after step 4: " in out
    assert "`base/metrics.jsonl`: line" in out
    assert "not proven" in err
