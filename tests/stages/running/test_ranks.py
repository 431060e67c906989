"""A run on several ranks: one is killed, the others say so and end, and any number goes on; tuning is that of one."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from runtime.checkpoint import newest_save
from runtime.faults import Fault
from runtime.ranks import NEEDED, join, launched
from runtime.stopping import AGAIN
from stages.progress import Reporter
from stages.rl import Question
from stages.runfile.load import Run, load_run
from stages.running.launching import Launcher, launch
from stages.running.runner import execute
from tests.conftest import RUN, TEXT
from tests.stages.running.rewarding import reward

ROOT = Path(__file__).parents[3]
CLOSE = 1e-5
KILLED_AFTER = 10  # steps
TUNED = """
[stage.sft]
uses = "sft"
needs = ["base"]
with = {{ tasks = [{{ task = "arithmetic", rows = 24, digits = 1 }}], validation = [{{ task = "arithmetic", split = "test", rows = 6, digits = 1 }}], batch_tokens = 384, rows = 2, evaluate_every = 3, dtype = "float32", compile = "no" }}
[stage.rl]
uses = "rl"
needs = ["sft"]
with = {{ tasks = [{{ task = "arithmetic", rows = 9, digits = 1 }}], validation = [{{ task = "arithmetic", split = "test", rows = 3, digits = 1 }}], questions = 3, samples = 3, tokens = 12, evaluate_samples = 2, evaluate_every = 2, dtype = "float32" }}
"""


def write_run(folder: Path) -> Run:
    """The small run without its evaluation and report, tuned afterwards."""
    (folder / "texts.txt").write_text(TEXT)
    text = (RUN.split("[stage.evaluation]")[0] + TUNED).format(path=folder / "texts.txt")
    for old, new in (
        ("context = 16", "context = 64"),
        ("steps = 6", "steps = 60"),
        ("evaluate_every = 3, evaluate_tokens", f"evaluate_every = {KILLED_AFTER}, evaluate_tokens"),
        ("batch_tokens = 64, rows = 2", "batch_tokens = 128, rows = 1, length = 64"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    (folder / "small.toml").write_text(text)
    return load_run(folder / "small.toml")


def begin(run: Run, runs: Path, ranks: int, *more: str) -> subprocess.Popen:
    where = ["--runs", str(runs), "--ranks", str(ranks)]
    command = [sys.executable, "-m", "nanogen", "run", str(run.path), *where, *more]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def process_of(launcher: subprocess.Popen, rank: int) -> int:
    """The process of a rank, by its environment."""
    for child in Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split():
        if f"\0RANK={rank}\0".encode() in b"\0" + Path(f"/proc/{child}/environ").read_bytes():
            return int(child)
    raise AssertionError(f"there is no rank {rank}")


def done(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    return out


def logged(folder: Path, stage: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / stage / "metrics.jsonl").read_text().splitlines()]


def same(folder: Path, other: Path, stage: str) -> None:
    """The same events with the same figures, to 1e-5."""
    mine, others = logged(folder, stage), logged(other, stage)
    assert [(e["kind"], e.get("step")) for e in mine] == [(e["kind"], e.get("step")) for e in others]
    for event, wanted in zip(mine, others, strict=True):
        if (
            stage == "rl" and event["kind"] != "begin"
        ):  # answers are filled up to the longest of those at hand
            assert bool(event.pop("flops")) == bool(wanted.pop("flops"))
        assert event == pytest.approx(wanted, abs=CLOSE)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """The run by one process."""
    folder = tmp_path_factory.mktemp("ranked")
    run, tell = write_run(folder), Reporter(Console(file=io.StringIO()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Question, "reward", reward)
        return run, execute(run, folder / "straight", tell)


@pytest.fixture(scope="module")
def killed(straight) -> tuple[Path, int, str, float]:
    """What two ranks left when one of them was killed: the folder of runs, exit code, message, seconds until the end."""
    run, folder = straight
    runs = folder.parent.parent / "killed"
    process = begin(run, runs, 2)
    save = runs / run.name / "base" / "saves" / f"step_{KILLED_AFTER:06d}"
    while not save.is_dir():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    at = time.monotonic()
    os.kill(process_of(process, 1), signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    return runs, process.returncode, err, time.monotonic() - at


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
def test_a_rank_that_is_killed_ends_the_run_with_one_message(killed, straight):
    runs, code, err, seconds = killed
    assert code == 1
    assert seconds < 60
    assert err.count("error") == 1, err
    assert "error: rank 1 of 2 is gone" in err
    assert "what was saved before is intact" in err
    assert "Traceback" not in err
    assert not (runs / straight[0].name / "base" / "result.json").exists()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_any_number_of_ranks_goes_on_to_the_same_end(killed, straight, ranks):
    (run, folder), runs = straight, straight[1].parent.parent / f"again_{ranks}"
    shutil.copytree(killed[0], runs)
    out = done(begin(run, runs, ranks, "--only", "base"))
    assert "going on from the save at step" in out
    same(runs / run.name, folder, "base")


def test_two_ranks_tune_as_one_process_does(straight, tmp_path, capfd):
    """Conversations and answers are shared out; losses and rewards are those of all."""
    run, folder = straight
    shutil.copytree(folder, tmp_path / run.name)
    for stage in ("sft", "rl"):
        shutil.rmtree(tmp_path / run.name / stage)
    module = "tests.stages.running.rewarding"
    assert launch([sys.executable, "-m", module, "run", str(run.path), "--runs", str(tmp_path)], 2) == 0
    assert capfd.readouterr().err == ""
    for stage in ("sft", "rl"):
        same(tmp_path / run.name, folder, stage)
    steps = [event for event in logged(folder, "rl") if event["kind"] == "step"]
    assert all(0 < event["reward"] < 1 and event["loss"] for event in steps)


def test_a_fault_of_a_rank_ends_all_and_is_told_by_it(straight, tmp_path, capfd, monkeypatch):
    run, folder = straight
    shutil.copytree(folder, tmp_path / run.name)
    shutil.rmtree(tmp_path / run.name / "rl")
    monkeypatch.setenv("FAILING_RANK", "1")
    module = "tests.stages.running.rewarding"
    assert launch([sys.executable, "-m", module, "run", str(run.path), "--runs", str(tmp_path)], 2) == 1
    assert capfd.readouterr().err.splitlines() == [
        "error: rank 1 of 2: `rl`: there is no reward here",
        " = help: ask another rank",
    ]


def test_a_signal_is_handed_on_and_all_save_at_one_step(straight, tmp_path):
    run, _ = straight
    process = begin(run, tmp_path, 2)
    while not (tmp_path / run.name / "base" / "metrics.jsonl").is_file():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    out, err = process.communicate(timeout=120)
    assert process.returncode == AGAIN, out + err
    assert err == "stopped by SIGUSR1: give the same command again, and it goes on\n"
    if saved := re.search(r"saved at step (\d+) of 60", out):  # it may come before the first step
        assert newest_save(tmp_path / run.name / "base" / "saves", pytest.fail).step == int(saved[1])


def test_a_fault_before_any_rank_trains_is_told_once(straight, tmp_path):
    run, _ = straight
    (tmp_path / "bad.toml").write_text(run.path.read_text().replace("texts.txt", "nowhere.txt"))
    process = begin(load_run(tmp_path / "bad.toml", looking=False), tmp_path / "runs", 2)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.count("error[NG704]") == 1, err
    assert "of 2" not in err
    assert "Traceback" not in err


def test_alone_there_is_nobody_to_join(monkeypatch):
    for name in NEEDED:
        monkeypatch.delenv(name, raising=False)
    assert not launched()
    assert join().count == 1
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(Fault, match="`MASTER_ADDR`, `MASTER_PORT` is not"):
        join()


def test_ranks_that_are_all_killed_are_told_of_by_who_started_them():
    launcher = Launcher()
    launcher.start([sys.executable, "-c", "import time; time.sleep(60)"], 2, 1)
    for process in launcher.processes:
        process.kill()
    with pytest.raises(Fault, match="rank 0 of 2 was killed by SIGKILL, and no other is left"):
        launcher.wait()


def test_the_exit_code_is_that_of_the_rank_that_told():
    launcher = Launcher()
    say = "import os, sys; sys.exit(75 if os.environ['RANK'] == '1' else 0)"
    launcher.start([sys.executable, "-c", say], 2, 1)
    assert launcher.wait() == 75
