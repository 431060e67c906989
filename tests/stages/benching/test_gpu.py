"""The call that measures a GPU: what it asks for, in which order, within which time, and what it leaves behind."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu
from stages.benching.samples import Figure
from tests.stages.running.test_parent import alive

RECORD = {"what": "train", "sizes": {"rows": 8}, "figures": {"tokens": Figure.of([5.0], "tokens/s").kept()}}
BESIDE = {"what": "beside", "rows": 8, "times": 1.25, "plain_is": "by hand"}
BESIDE["tokens_per_second"] = {"plain": 4.0, "ours": 5.0}


@pytest.fixture
def asked(monkeypatch):
    """The commands that it gives, and their seconds; each measures something, unless `fails` is in it."""
    commands: list[tuple[list[str], float]] = []

    def run(command: list[str], seconds: float) -> tuple[int, str, str]:
        commands.append((command[2:], seconds))
        found = BESIDE if "benchmarks.beside" in command else RECORD
        failed = any(word in command for word in run.fails)  # pyright: ignore[reportFunctionMemberAccess]
        return (70, "", "a bug") if failed else (0, json.dumps(found) + "\n", "")

    run.fails = []  # pyright: ignore[reportFunctionMemberAccess]
    monkeypatch.setattr(gpu, "run", run)
    monkeypatch.setattr(gpu.subprocess, "run", lambda *_, **__: None)
    return commands, run


def call(monkeypatch, folder: Path, *more: str) -> int:
    monkeypatch.setattr("sys.argv", ["gpu", str(folder), *more])
    return gpu.main()


def kept(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def test_every_model_is_measured_in_every_way_at_both_depths():
    for depth in (12, 20):
        for spec in (gpu.GPT, gpu.IBERIS, gpu.NEWER):
            found = {w for p in gpu.PARTS if (p.spec, p.depth) == (spec, depth) for w in p.what.split(",")}
            assert {"train", "decode", "beside"} <= found
    assert {"compile", "start"} <= {w for p in gpu.PARTS for w in p.what.split(",")}
    assert len(set(gpu.PARTS)) == len(gpu.PARTS)


def test_it_asks_for_each_part_in_its_order_within_its_time(asked, monkeypatch, tmp_path, capsys):
    assert call(monkeypatch, tmp_path, "--minutes", "6") == 0
    commands, _ = asked
    assert len(commands) == len(gpu.PARTS)
    first, second = commands[0][0], commands[1][0]
    assert first[:4] == ["nanogen", "bench", "nanochat_2025", "--set=depth=20"]
    assert {"--only=train", "--only=compile", f"--into={tmp_path}"} <= set(first)
    assert second == ["benchmarks.beside", "nanochat_2025", "--set=depth=20"]
    assert all(0 < seconds <= max(gpu.MOST.values()) + gpu.GRACE for _, seconds in commands)
    iberis = next(command for command, _ in commands if "saint_iberis_d20" in command)
    assert "--set=attends=[1,4,7,10,13,16,19]" in iberis
    assert len(kept(tmp_path, "beside")) == 6
    told = kept(tmp_path, "parts")
    assert [one["part"] for one in told] == [part.name for part in gpu.PARTS]
    assert {one["ended"] for one in told} == {gpu.DONE}
    out = capsys.readouterr().out
    assert "python -m benchmarks.beside nanochat_2025 --set=depth=20" in out
    assert "plain 4, ours 5 tokens/s at 8 rows: 1.250 times (by hand)" in out


def test_a_part_that_fails_costs_no_other_and_is_done_the_next_time(asked, monkeypatch, tmp_path, capsys):
    commands, run = asked
    run.fails = ["saint_iberis_d20"]
    assert call(monkeypatch, tmp_path, "--only", "decode") == 1
    told = {one["part"]: one for one in kept(tmp_path, "parts")}
    assert len(told) == 6
    assert told["d20 saint_iberis_d20 decode"]["ended"] == gpu.FAILED
    assert told["d20 saint_iberis_d20 decode"]["said"] == "a bug"
    assert "not measured: d20 saint_iberis_d20 decode; d12 saint_iberis_d20 decode" in capsys.readouterr().out
    run.fails = []
    commands.clear()
    assert call(monkeypatch, tmp_path, "--only", "decode") == 0
    assert {command[2] for command, _ in commands} == {"saint_iberis_d20"}


def test_figures_that_lack_a_part_are_not_done(asked, monkeypatch, tmp_path):
    monkeypatch.setitem(RECORD, "notes", ["batch 8: left out, its time is over"])
    assert call(monkeypatch, tmp_path, "--only", "d20 nanochat_2025 decode") == 1
    assert kept(tmp_path, "parts")[0]["ended"] == gpu.LATE


def test_its_trial_goes_the_same_way(asked, monkeypatch, tmp_path):
    assert call(monkeypatch, tmp_path, "--small") == 0
    commands, _ = asked
    assert all("--set=depth=2" in command for command, _ in commands)
    wanted = {(p.spec, p.what) for p in gpu.PARTS if p.depth == 20}
    assert {(p.spec, p.what) for p in gpu.SMALL_PARTS} == wanted


def test_where_no_time_is_left_it_says_so(asked, monkeypatch, tmp_path, capsys):
    assert call(monkeypatch, tmp_path, "--minutes", "0") == 1
    assert asked[0] == []
    assert f"not measured: {gpu.PARTS[0].name}; " in capsys.readouterr().out


def test_what_is_not_installed_is_named(asked, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gpu, "NEEDED", ("torch", "cattrs_of_nowhere"))
    assert call(monkeypatch, tmp_path) == 1
    assert "not installed here: cattrs_of_nowhere" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
def test_a_part_that_hangs_is_ended_with_all_that_it_has_started():
    child = "import time; time.sleep(60)"
    code = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {child!r}]); print(p.pid, flush=True); p.wait()"
    ended, out, _ = gpu.run([sys.executable, "-c", code], 1.0)
    assert ended is None
    deadline = time.monotonic() + 10
    while alive(int(out)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
