"""No program gets out of the sandbox, and none passes that does not answer rightly: by each way that this machine has."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from stages.sandbox.box import run_in_box
from stages.sandbox.inside.syscalls import HOSTILE, known_machine, number
from stages.sandbox.isolation import WAYS, fault_of, isolation
from stages.sandbox.program import Limits, Program, Verdict
from tests.stages.sandbox.hostile import ACT, ENDLESS, FORGERY, HARM

TEST = "def check(candidate):\n    assert candidate(3) == 4\n    assert candidate(5) == 6\n"
LIMITS = Limits(seconds=30)
SHORT = Limits(seconds=0.25)
NUMBERS = {name: number(name) for name in HOSTILE} if known_machine() else {}


@pytest.fixture(scope="module", params=WAYS)
def way(request) -> str:
    fault = fault_of(request.param) if isolation().enough else isolation().why_not
    if fault:
        pytest.skip(fault)
    return request.param


@pytest.fixture(scope="module")
def best_way() -> str:
    if not isolation().enough:
        pytest.skip(isolation().why_not)
    return isolation().way


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """What programs go for: a folder, a port, a socket without a file and a process; all unharmed in the end."""
    home = tmp_path_factory.mktemp("home")
    keep = home / "keep"
    keep.write_text("kept")
    before = keep.stat()
    command = [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"]
    with socket.create_server(("127.0.0.1", 0)) as door, subprocess.Popen(command, stdin=-1) as victim:
        port = door.getsockname()[1]
        with socket.socket(socket.AF_UNIX) as abstract:
            abstract.bind(f"\0{port}")
            abstract.listen()
            yield {"home": home, "port": port, "victim": victim.pid, "number": NUMBERS}
            for listening in (door, abstract):
                listening.setblocking(False)
                with pytest.raises(BlockingIOError):
                    listening.accept()
        assert victim.poll() is None
        victim.communicate()
    after = keep.stat()
    assert [path.name for path in home.iterdir()] == ["keep"]
    assert keep.read_text() == "kept"
    assert (before.st_mode, before.st_mtime, before.st_nlink) == (
        after.st_mode,
        after.st_mtime,
        after.st_nlink,
    )
    assert not Path("/tmp/sandbox-was-here").exists()


def tried(code: str, outside: dict, way: str, limits: Limits = LIMITS) -> Verdict:
    program = Program(code.format(**outside), TEST, "f")
    return run_in_box(program, limits, namespaces=way == "namespaces")


def test_a_right_answer_passes(way, outside):
    assert tried("def f(x): return x + 1", outside, way) == Verdict("passed")


@pytest.mark.parametrize("name", HARM)
def test_no_harm_is_done(name, outside, way):
    verdict = tried(HARM[name] + ACT, outside, way)
    assert verdict.outcome in ("failed", "refused", "memory", "killed"), verdict


@pytest.mark.parametrize("name", ENDLESS)
def test_time_ends(name, outside, best_way):
    assert tried(ENDLESS[name] + ACT, outside, best_way, SHORT).outcome == "timeout"


@pytest.mark.parametrize("name", FORGERY)
def test_no_pass_is_forged(name, outside, best_way):
    """What decides is the same by each way, so one is enough."""
    verdict = tried(FORGERY[name], outside, best_way)
    assert verdict.outcome in ("failed", "killed"), verdict


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("tcp", "refused"),
        ("fork bomb", "refused"),
        ("mount", "refused"),
        ("ptrace", "refused"),
        ("memory", "memory"),
        ("endless output", "killed"),
        ("recursion in C", "killed"),
        ("recursion", "failed"),
    ],
)
def test_the_verdict_says_what_happened(name, outcome, outside, best_way):
    verdict = tried(HARM[name] + ACT, outside, best_way)
    assert verdict.outcome == outcome
    assert verdict.reason


def processes(mark: bytes) -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes())
    return [line for line in found if mark in line]


def test_nothing_is_left_behind(way, outside):
    """Processes of a sandbox whose time is up go; its limit on time is the mark by which they are found."""
    seconds = 0.3 + os.getpid() / 1e9
    verdict = tried(ENDLESS["deaf to signals"] + ACT, outside, way, Limits(seconds=seconds))
    assert verdict.outcome == "timeout"
    for _ in range(500):  # the kernel takes them away when it comes to it
        if not processes(str(seconds).encode()):
            return
        time.sleep(0.02)
    raise AssertionError(processes(str(seconds).encode()))


def test_there_are_enough_of_them():
    assert len(HARM) + len(ENDLESS) + len(FORGERY) >= 36
