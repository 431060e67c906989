"""A way counts when its walls hold; the first that does is taken, and where none does the reasons are told."""

import subprocess
import sys
from pathlib import Path

import pytest

from runtime.faults import Fault
from stages.sandbox import isolation as module
from stages.sandbox.inside.syscalls import known_machine
from stages.sandbox.isolation import Isolation, best, fault_of, isolation
from stages.sandbox.program import Verdict

ROOT = Path(__file__).parents[3]


def test_the_first_way_that_holds_is_taken():
    found = best(("namespaces", "landlock"), {"namespaces": "unshare: no", "landlock": ""}.__getitem__)
    assert (found.way, found.enough, found.missing) == ("landlock", True, ("namespaces: unshare: no",))
    assert any("library can be read" in layer for layer in found.layers)
    assert best(("namespaces", "landlock"), lambda way: "").way == "namespaces"


def test_no_way_is_no_isolation():
    found = best(("namespaces", "landlock"), lambda way: "no")
    assert not found.enough
    assert found.why_not == "namespaces: no; landlock: no"


def test_a_program_that_got_out_closes_a_way(monkeypatch):
    monkeypatch.setattr(module, "run_in_box", lambda *a, **k: Verdict("failed", "this did not hold"))
    assert fault_of("namespaces") == "a trial of it failed: this did not hold"


def test_walls_that_cannot_be_built_close_a_way(monkeypatch):
    def refuse(*args, **kwargs):
        raise Fault("the sandbox did not run: unshare: Operation not permitted")

    monkeypatch.setattr(module, "run_in_box", refuse)
    assert "unshare" in fault_of("namespaces")


def test_other_systems_have_none(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    found = isolation.__wrapped__()
    assert not found.enough
    assert "this is darwin" in found.why_not


def test_other_processors_have_none(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(module, "known_machine", lambda: False)
    assert isolation.__wrapped__() == Isolation(missing=isolation.__wrapped__().missing)


@pytest.mark.parametrize("escape", ["files to read", "files to write", "memory"])
def test_the_probe_sees_an_open_door(escape, tmp_path):
    """Run here, where there are no walls, a try that only touches a file of its own gets through."""
    file = tmp_path / "file"
    file.touch()
    space: dict = {}
    exec(module.ESCAPES.format(file=str(file), memory=1 << 10), space)
    attempts = dict(space["tries"]())
    space["tries"] = lambda: [(escape, attempts[escape])]
    assert space["escapes"]() == [escape]


# -- a fault of ours shall not pass for a machine that has no isolation, and skip all other tests


def of_the_kernel(code: str) -> bool:
    """Whether the kernel grants a process what the code asks for."""
    command = [sys.executable, "-c", f"from stages.sandbox.inside import kernel, little_root; {code}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("way", "code"),
    [
        (
            "namespaces",
            "little_root.part(); kernel.mount('none', '/', None, kernel.RECURSIVE | kernel.PRIVATE)",
        ),
        ("landlock", "kernel.system_call('landlock_create_ruleset', None, 0, 1)"),
    ],
)
def test_what_the_kernel_offers_is_enough(way, code):
    if sys.platform != "linux" or not known_machine() or not of_the_kernel(code):
        pytest.skip("the kernel does not offer it")
    assert fault_of(way) == ""
