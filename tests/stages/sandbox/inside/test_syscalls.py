"""The lists of calls do not cross, and nothing that starts, connects or owns is on those that are allowed."""

import platform

import pytest

from stages.sandbox.inside.syscalls import CHECKED, FOLDERS, HOSTILE, MACHINES, NUMBERS, PLAIN

LISTS = (PLAIN, CHECKED, FOLDERS, HOSTILE)
NEVER = "socket connect clone clone3 fork vfork execve execveat chmod chown prctl memfd_create setsid tkill openat2"


def test_a_call_is_on_one_list():
    named = [name for names in LISTS for name in names]
    assert len(named) == len(set(named))
    assert set(named) <= set(NUMBERS)


def test_what_must_not_be_allowed_is_not():
    assert not set(NEVER.split()) & {*PLAIN, *CHECKED, *FOLDERS}


@pytest.mark.parametrize("place", MACHINES.values(), ids=list(MACHINES))
def test_a_number_means_one_call(place):
    numbers = [pair[place] for pair in NUMBERS.values() if pair[place] is not None]
    assert len(numbers) == len(set(numbers))


@pytest.mark.skipif(platform.machine() not in MACHINES, reason="numbers of another machine")
def test_a_number_is_the_kernels():
    """A call that Python knows by name is made by number here."""
    import os

    from stages.sandbox.inside import kernel

    assert kernel.system_call("getpid") == os.getpid()
    assert kernel.system_call("getuid") == os.getuid()
