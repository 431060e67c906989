"""`nanogen watch`, `compare` and `track` as people call them: at once, without torch, and with their faults told."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stages.watching.folders import make_open

ROOT = Path(__file__).parents[3]


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "runs"
    make_open(folder / "one", "base", steps=20)
    make_open(folder / "two", "base", steps=10, drop=0.5)
    return folder


def test_where_nothing_can_be_drawn_it_prints_how_the_run_stands(call, runs):
    code, out, err = call("watch", "one", "--runs", str(runs))
    assert (code, err) == (0, "")
    assert "step 20 of 100" in out
    assert "\x1b" not in out
    assert call("watch", str(runs / "one"), "--once")[1].splitlines()[1:] == out.splitlines()[1:]


def test_a_run_that_is_not_there_is_told(call, runs):
    code, out, err = call("watch", "oen", "--runs", str(runs))
    assert (code, out) == (1, "")
    assert "there is no run `oen`" in err
    assert "`one`" in err
    code, _, err = call("watch", "one", "--runs", str(runs), "--hardware", "h100x9")
    assert code == 1
    assert "h100x8" in err


def test_runs_are_compared_and_drawn(call, runs, tmp_path):
    picture = tmp_path / "curves.svg"
    code, out, _ = call("compare", "one", "two", "--runs", str(runs), "--by", "tokens", "-o", str(picture))
    assert code == 0
    assert "two by 0.5000" in out
    assert f"wrote {picture}" in out
    assert picture.read_text().startswith("<?xml")


def test_a_comparison_is_written_only_as_what_it_can_be(call, runs, tmp_path):
    code, _, err = call("compare", "one", "--runs", str(runs), "-o", str(tmp_path / "curves.pdf"))
    assert code == 2
    assert "`-o` ends in one of .svg, .png, .html, .csv" in err
    assert call("compare")[0] == 2


def test_a_log_is_sent_once(call, runs):
    code, out, _ = call("track", "one", "--runs", str(runs), "--to", "tensorboard")
    assert code == 0
    assert "22 lines sent; `tensorboard --logdir" in out
    assert (
        "0 lines sent; it has all of them"
        in call("track", "one", "--runs", str(runs), "--to", "tensorboard")[1]
    )


def test_a_sink_that_fails_is_a_fault_and_the_others_get_all(call, runs, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    code, out, err = call("track", "one", "--runs", str(runs), "--to", "wandb", "--to", "tensorboard")
    assert code == 1
    assert "22 lines sent" in out
    assert "the package `wandb` is not installed" in err


def test_a_log_that_is_being_sent_is_not_sent_by_another(call, runs):
    import fcntl

    (runs / "one" / ".tracking").mkdir()
    with (runs / "one" / ".tracking" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, err = call("track", "one", "--runs", str(runs), "--to", "tensorboard")
    assert code == 1
    assert "is being sent already" in err


@pytest.mark.parametrize(
    "args",
    [("watch", "one"), ("compare", "one", "two"), ("track", "one", "--to", "tensorboard")],
    ids=" ".join,
)
def test_nothing_slow_is_loaded(runs, args):
    """What starting costs, told without a clock."""
    command = [sys.executable, "-X", "importtime", "-m", "nanogen", *args, "--runs", str(runs)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    loaded = set(re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "runtime.metrics" in loaded
    slow = {"torch", "numpy", "matplotlib", "networkx", "aiohttp", "nanogen.compiler", "safetensors"}
    assert slow.isdisjoint(loaded)
