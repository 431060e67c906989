"""What a sandbox said is taken strictly."""

import subprocess
import sys

import pytest

from runtime.faults import Fault
from stages.sandbox.box import verdict, waited
from stages.sandbox.program import Limits, Verdict

LIMITS = Limits(seconds=2)


def test_a_verdict_is_read():
    assert verdict(b'{"outcome": "failed", "reason": "r", "output": "o"}', LIMITS) == Verdict(
        "failed", "r", "o"
    )


def test_silence_is_no_pass():
    assert verdict(None, LIMITS) == Verdict("timeout", "it took longer than 2 s")
    assert verdict(b"", LIMITS).outcome == "killed"


def test_a_fault_of_the_sandbox_is_no_verdict():
    with pytest.raises(Fault) as caught:
        verdict(b'{"fault": "unshare: Operation not permitted"}', LIMITS)
    assert caught.value.message == "the sandbox did not run: unshare: Operation not permitted"


@pytest.mark.parametrize("said", [b"passed", b"[]", b'{"outcome": "passed', b'{"outcome": "perfect"}', b"{}"])
def test_noise_is_no_verdict(said):
    with pytest.raises(Fault):
        verdict(said, LIMITS)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('x', end='')", b"x"),
        ("import time; time.sleep(60)", None),
        ("import os, time; os.fork(); time.sleep(60)", None),
    ],
)
def test_waiting_ends_and_leaves_nobody(code, said):
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE, start_new_session=True
    )
    assert waited(process, 0.3 if said is None else 60) == said
    assert process.returncode is not None
