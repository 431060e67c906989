"""What the kernel is asked takes effect, and what it refuses is an error that says what was asked."""

import subprocess
import sys
from pathlib import Path

import pytest

from stages.sandbox.inside import kernel

ROOT = Path(__file__).parents[4]
linux = pytest.mark.skipif(sys.platform != "linux", reason="calls of Linux")


def after(code: str) -> dict[str, str]:
    """What the kernel says of a process once it has run the code."""
    code = f"from stages.sandbox.inside import kernel, surrender\n{code}\nprint(open('/proc/self/status').read())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)


@linux
def test_rights_are_given_up():
    status = after("kernel.drop_capabilities()\nkernel.prctl(kernel.NO_NEW_PRIVILEGES, 1)")
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh")} == {0}
    assert status["NoNewPrivs"] == "1"


@linux
def test_limits_are_set():
    code = "surrender.bound(2.5, 1 << 30)\nimport resource as r\n"
    code += "print('Limits:\\t', [r.getrlimit(k) for k in (r.RLIMIT_AS, r.RLIMIT_CPU, r.RLIMIT_NPROC, r.RLIMIT_CORE)])"
    assert after(code)["Limits"].strip() == str([(1 << 30, 1 << 30), (3, 4), (0, 0), (0, 0)])


@linux
def test_a_refusal_says_what_was_asked():
    with pytest.raises(OSError, match="mount: ") as caught:
        kernel.mount("none", "/nowhere", None, kernel.BIND)
    assert caught.value.errno
