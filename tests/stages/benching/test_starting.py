"""A whole process: these very packages, its time, and its failure told."""

import subprocess
import sys

import pytest

from stages.benching.starting import HOME, environment, timed


def test_a_process_has_its_seconds():
    wall, processor = timed(["--version"])
    assert wall > 0
    assert processor > 0


def test_one_that_fails_is_no_figure():
    with pytest.raises(AssertionError, match="no command"):
        timed(["no-such-command"])


def test_it_finds_the_packages_of_this_process(tmp_path):
    code = "import runtime, os; print(runtime.__file__); print(os.environ['EXTRA'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(EXTRA="1"), cwd=tmp_path, capture_output=True, text=True
    )
    file, extra = done.stdout.split()
    assert (file, extra) == (str(HOME / "runtime" / "__init__.py"), "1")
