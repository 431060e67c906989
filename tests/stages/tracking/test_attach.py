"""Tracking beside a run: whatever a sink does, the run goes on, its log is whole, and its end is not held up."""

import json
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest

from runtime.manifest import write_manifest
from stages.tracking import attach
from stages.tracking.attach import tracking
from tests.stages.tracking.event_file import points
from tests.stages.tracking.test_tensorboard import file_of
from tests.stages.watching.folders import make_open

ROOT = Path(__file__).parents[3]
FAKES = {
    "raises": "raise RuntimeError('broken \\x1b[31m inside')",
    "raises_at_init": "def init(**_):\n    raise ValueError('api_key not configured (no-tty)')",
    "exits": "import sys\nsys.exit(3)",
    "asks": "def init(**_):\n    return input('your key? ')",
    "hangs": "import time\ntime.sleep(3600)",
    "prints": "import sys, os\nprint('noise', flush=True)\nos.write(2, b'noise')\nraise RuntimeError('after noise')",
}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put a package `wandb` of a few lines where the process beside the run finds it."""

    def put(text: str) -> None:
        (tmp_path / "packages").mkdir()
        (tmp_path / "packages" / "wandb.py").write_text(textwrap.dedent(text))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))

    return put


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (
            "raises",
            "wandb: RuntimeError: broken \N{REPLACEMENT CHARACTER}[31m inside; the run goes on without it",
        ),
        ("raises_at_init", "wandb: ValueError: api_key not configured (no-tty); the run goes on without it"),
        ("exits", "wandb: SystemExit: 3; the run goes on without it"),
        ("asks", "wandb: EOFError: EOF when reading a line; the run goes on without it"),
        ("prints", "wandb: RuntimeError: after noise; the run goes on without it"),
    ],
)
def test_a_sink_that_fails_is_told_of_in_a_line_and_the_other_gets_all(tmp_path, fake, capfd, kind, told):
    fake(FAKES[kind])
    said, run = [], tmp_path / "run"
    with tracking(run, ("wandb", "tensorboard"), said.append, patience=60):
        make_open(run, "base", steps=3)
    assert told in said
    assert [line for line in said if line.startswith("wandb")] == [told]
    assert len({step for step, tag, _ in points(file_of(run)) if tag == "train/loss"}) == 3
    assert capfd.readouterr() == ("", "")


def test_a_sink_that_hangs_holds_up_neither_the_run_nor_the_other_sink(tmp_path, fake):
    fake(FAKES["hangs"])
    said, run = [], tmp_path / "run"
    with tracking(run, ("wandb", "tensorboard"), said.append, patience=3):
        make_open(run, "base", steps=3)
        wait_until(lambda: any("tensorboard" in line for line in said))
    assert points(file_of(run))
    assert any(
        "not all was sent in 3 s" in line and f"nanogen track {run} --to wandb" in line for line in said
    )


def test_a_sink_whose_package_is_not_there_is_told_of(tmp_path, fake):
    fake("raise ImportError('no such package')")
    said, run = [], tmp_path / "run"
    with tracking(run, ("wandb",), said.append, patience=60):
        make_open(run, "base", steps=1)
    assert said == [
        "wandb: the package `wandb` is not installed: `pip install 'nanogen[track]'`; the run goes on without it"
    ]


def test_a_run_that_fails_fails_as_it_did_and_what_it_logged_is_sent(tmp_path):
    run = tmp_path / "run"
    with suppress(ZeroDivisionError):
        with tracking(run, ("tensorboard",), lambda text: None, patience=60):
            make_open(run, "base", steps=2)
            raise ZeroDivisionError
        pytest.fail("what the run raised was swallowed")
    assert points(file_of(run))


def test_where_no_process_can_be_started_the_run_goes_on(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(attach.sys, "executable", str(tmp_path / "nothing"))
    with tracking(tmp_path / "run", ("tensorboard",), said.append):
        pass
    assert said == ["tracking: No such file or directory; the run goes on without it"]


def test_without_sinks_nothing_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(attach.subprocess, "Popen", None)
    with tracking(tmp_path / "run", (), print):
        pass
    assert not (tmp_path / "run").exists()


def test_a_run_that_cannot_be_written_to_is_told_of(tmp_path):
    """A file stands where `tracking.json` is to be written."""
    run, said = tmp_path / "run", []
    make_open(run, "base", steps=1)
    (run / "tracking.json.partial").mkdir()
    with tracking(run, ("tensorboard",), said.append, patience=60):
        pass
    assert len(said) == 1
    assert said[0].startswith("tensorboard: IsADirectoryError")


KILLED = """
import sys, time
from pathlib import Path
from stages.tracking.attach import tracking
from tests.stages.watching.folders import make_open
run = Path(sys.argv[1])
with tracking(run, ("tensorboard",), lambda text: print(text, flush=True)):
    make_open(run, "base", steps=4)
    time.sleep(600)
"""


def test_a_run_that_is_killed_leaves_no_process_and_goes_on_in_the_same_file(tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, "-c", KILLED, str(run)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("tensorboard: ")
        process.send_signal(signal.SIGKILL)
    before = points(file_of(run))
    stage = run / "base"
    with tracking(run, ("tensorboard",), lambda text: None, patience=60):  # waits for the lock of the first
        with (stage / "metrics.jsonl").open("a") as file:
            file.write('{"kind": "step", "step": 4, "loss": 2.0}\n')
        write_manifest(stage, {"identity": "abc", "needs": {}})
    found = points(file_of(run))
    assert found[: len(before)] == before
    assert found[len(before) :] == [(4, "train/loss", 2.0)]
    assert json.loads((run / "tracking.json").read_text())["sinks"]["tensorboard"][0]["ended"]


def wait_until(found) -> None:
    while not found():
        time.sleep(0.05)
