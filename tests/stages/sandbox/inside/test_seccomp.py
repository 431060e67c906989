"""The filter's program, run by a small machine of the test's own: what it lets pass, refuses and ends."""

import os
from types import SimpleNamespace

import pytest

from stages.sandbox.inside import seccomp, syscalls
from stages.sandbox.inside.seccomp import ALLOW, END, REFUSE

READ, WRITE, TRUNCATE = os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_RDONLY | os.O_TRUNC
LONGEST_PROGRAM = 4096  # the kernel takes no longer one


@pytest.fixture(params=syscalls.MACHINES)
def machine(request, monkeypatch):
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=request.param))
    return request.param


def decide(machine: str, number: int, *arguments: int, scratch: bool = True, tag: int | None = None) -> int:
    """What the filter says to a call."""
    data = {0: number, 4: seccomp.MACHINE_TAG[machine] if tag is None else tag}
    data |= {16 + 8 * place: value & 0xFFFFFFFF for place, value in enumerate(arguments)}
    program = seccomp.steps(scratch)
    loaded = at = 0
    while True:
        what, if_so, if_not, value = program[at]
        at += 1
        if what == seccomp.RETURN:
            return value
        if what == seccomp.LOAD:
            loaded = data[value]
        else:
            holds = loaded == value if what == seccomp.EQUAL else bool(loaded & value)
            at += if_so if holds else if_not


def number(name: str) -> int:
    found = syscalls.number(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "arguments", "decision"),
    [
        ("read", (), ALLOW),
        ("mmap", (), ALLOW),
        ("kill", (os.getpid(), 9), ALLOW),
        ("kill", (-1, 9), REFUSE),
        ("kill", (0, 9), REFUSE),
        ("kill", (os.getpid() + 1, 9), REFUSE),
        ("tgkill", (1 << 20, 1, 9), REFUSE),
        ("prlimit64", (0,), ALLOW),
        ("prlimit64", (1 << 20,), REFUSE),
        ("fcntl", (0, 3), ALLOW),
        ("fcntl", (0, 8), REFUSE),  # F_SETOWN
        ("fcntl", (0, 10), REFUSE),  # F_SETSIG
        ("fcntl", (0, 1031), REFUSE),  # F_SETPIPE_SZ
        ("ioctl", (0, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), REFUSE),  # TIOCSTI types into a terminal
        ("ptrace", (), END),
        ("mount", (), END),
        ("bpf", (), END),
        ("capset", (), REFUSE),
    ],
)
def test_calls(machine, name, arguments, decision):
    assert decide(machine, number(name), *arguments) == decision


@pytest.mark.parametrize(("flags", "without_scratch"), [(READ, ALLOW), (WRITE, REFUSE), (TRUNCATE, REFUSE)])
def test_opening_to_write_needs_a_scratch_folder(machine, flags, without_scratch):
    opening = number("openat"), -100, 0, flags
    assert decide(machine, *opening, scratch=True) == ALLOW
    assert decide(machine, *opening, scratch=False) == without_scratch
    assert decide(machine, number("unlinkat"), scratch=True) == ALLOW
    assert decide(machine, number("unlinkat"), scratch=False) == REFUSE


def test_what_is_not_listed_is_refused(machine):
    others = set(range(600)) - {syscalls.number(name) for name in syscalls.NUMBERS}
    assert {decide(machine, other) for other in sorted(others)[::7]} == {REFUSE}
    assert decide(machine, 0x40000000 + number("read")) == REFUSE  # the calls of x32


def test_another_kind_of_machine_is_ended(machine):
    assert decide(machine, number("read"), tag=0x40000003) == END  # 32-bit calls have other numbers


def test_it_fits(machine):
    program = seccomp.steps(True)
    assert len(program) <= LONGEST_PROGRAM
    assert all(jump < 256 for _, *jumps, _ in program for jump in jumps)
