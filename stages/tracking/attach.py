"""Track a run while it works: a process beside it sends its log on, and whatever becomes of that, the run goes on.

The run never waits for it but for a few seconds at its end. Should the run be killed, the process sees its input end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import stages
from stages.printable import printable

PATIENCE = 5.0  # seconds at the end of the run


@contextmanager
def tracking(
    folder: Path,
    wanted: Collection[str],
    tell: Callable[[str], None],
    *,
    offline: bool = False,
    patience: float = PATIENCE,
) -> Iterator[None]:
    """Send what the run in `folder` logs within the block to the sinks `wanted`; `tell` is given lines for people.

    `offline`: no socket is opened for it. Nothing is raised for what a sink does.
    """
    process = _start(folder, wanted, tell, offline) if wanted else None
    listening = _listen(process, tell) if process is not None else None
    try:
        yield
    finally:
        if process is not None:
            _end(process, folder, wanted, tell, patience)
        if listening is not None:
            listening.join(1.0)


def _start(
    folder: Path, wanted: Collection[str], tell: Callable[[str], None], offline: bool
) -> subprocess.Popen[str] | None:
    root = str(Path(stages.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    names = [*dict.fromkeys(wanted), *(["--offline"] if offline else [])]
    command = [sys.executable, "-m", "stages.tracking.child", str(folder.resolve()), *names]
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=env,
            start_new_session=True,  # what the terminal sends the run is not for it
        )
    except OSError as error:
        tell(f"tracking: {error.strerror or error}; the run goes on without it")
        return None


def _listen(process: subprocess.Popen[str], tell: Callable[[str], None]) -> threading.Thread:
    def listen() -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                with suppress(ValueError, TypeError):
                    tell(printable(json.loads(line)).replace("\n", " "))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    return thread


def _end(
    process: subprocess.Popen[str],
    folder: Path,
    wanted: Collection[str],
    tell: Callable[[str], None],
    patience: float,
) -> None:
    """Let it send what is left, for a while."""
    try:
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()
        process.wait(patience)
    except subprocess.TimeoutExpired:
        tracks = " ".join(f"--to {name}" for name in dict.fromkeys(wanted))
        tell(
            f"tracking: not all was sent in {patience:g} s; `nanogen track {folder} {tracks}` sends the rest"
        )
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
