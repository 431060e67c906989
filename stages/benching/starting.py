"""How long nanogen takes from its call to its end, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nanogen

HOME = Path(nanogen.__file__).resolve().parents[1]  # of the packages


def timed(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds of wall and of processor time of one `nanogen ...`, which must succeed."""
    import resource

    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "nanogen", *arguments]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def environment(**more: str) -> dict[str, str]:
    """The environment of a process that finds these very packages."""
    paths = [str(HOME), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more}
