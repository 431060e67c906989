"""Start the ranks of a run on this machine, and see how they end: each a process of its own, all told of one address.

A signal is handed to all of them, which save together and end. When one ends that should not, the others notice by
themselves and say so; those that do not are ended. All of them end when this process does, however it ends.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from attrs import define, field

from runtime.faults import Fault
from runtime.ranks import TIMEOUT
from runtime.stopping import SIGNALS
from stages.running.beside import LOOKED_EVERY, THREADS
from stages.running.parent import HELD

LEFT = TIMEOUT.total_seconds() + 5  # seconds in which those that are left notice that one is gone, and say so
SOON = 15.0  # seconds in which the others end once one has ended by itself, which they see at once unless they hang
SAVING = 30.0  # seconds between asking the rest to end and ending it


@define(eq=False)
class Launcher:
    """The ranks of a run, started and watched."""

    processes: list[subprocess.Popen] = field(factory=list)
    asked: int = 0
    held: int | None = None  # an end of a pipe that nobody else has: with it the input of all ranks ends

    def start(self, command: Sequence[str], count: int, port: int) -> None:
        theirs, self.held = os.pipe()
        for rank in range(count):
            environment = _environment(rank, count, port)
            # what a terminal sends goes to this process alone, which hands it on once
            process = subprocess.Popen(command, env=environment, stdin=theirs, start_new_session=True)
            self.processes.append(process)
        os.close(theirs)

    def wait(self) -> int:
        """Until all have ended; returns the exit code for all of them. Raises Fault where none could say why."""
        deadline, told_at = math.inf, 0.0
        while any(process.poll() is None for process in self.processes):
            time.sleep(LOOKED_EVERY)
            codes = [process.poll() or 0 for process in self.processes]
            if deadline == math.inf and any(codes):
                deadline = time.monotonic() + LEFT
            if not told_at and any(code > 0 for code in codes):
                told_at = time.monotonic()
                deadline = min(deadline, told_at + SOON)
            if time.monotonic() > deadline:
                self.end()
        codes = [process.returncode for process in self.processes]
        told = [code for code in codes if code > 0]
        if told or not any(codes):
            return told[0] if told else 0
        rank = next(number for number, code in enumerate(codes) if code)
        help = (
            "what was saved before is intact: the same command goes on from there, with any number of ranks"
        )
        raise Fault(
            f"rank {rank} of {len(codes)} was killed by {signal.Signals(-codes[rank]).name}, and no other is left",
            help,
        )

    def hand_on(self, number: int, _frame: object) -> None:
        self.asked = number
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)

    def end(self) -> None:
        """End whatever is left: first asked, then not."""
        left = [process for process in self.processes if process.poll() is None]
        for process in left:
            process.terminate()
        deadline = time.monotonic() + SAVING
        while time.monotonic() < deadline and any(process.poll() is None for process in left):
            time.sleep(LOOKED_EVERY)
        for process in left:
            if process.poll() is None:
                process.kill()
                process.wait()
        if self.held is not None:
            os.close(self.held)
            self.held = None

    @contextmanager
    def handing_on(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.hand_on) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def launch(command: Sequence[str], count: int) -> int:
    """Run a command as so many ranks of this machine, to their end; returns the exit code."""
    check_devices(count)
    store = _store()
    launcher = Launcher()
    with launcher.handing_on():
        try:
            launcher.start(command, count, store.port)
            return launcher.wait()
        finally:
            launcher.end()


def check_devices(count: int) -> None:
    """A GPU computes for one rank."""
    import torch

    if torch.cuda.is_available() and count > (found := torch.cuda.device_count()):
        raise Fault(
            f"{count} ranks are asked for, and this machine has {found} GPU{'s' if found > 1 else ''}",
            f"`--ranks {found}` is the most",
        )


def _store() -> Any:
    """Where ranks find each other and leave word. Kept here, it outlives each of them."""
    from torch import distributed

    dist: Any = distributed
    return dist.TCPStore("127.0.0.1", 0, None, True, wait_for_workers=False)


def _environment(rank: int, count: int, port: int) -> dict[str, str]:
    share = str(max(1, (os.cpu_count() or 1) // count))
    paths = os.pathsep.join(path for path in sys.path if path)  # as this process finds its own code
    return {
        **dict.fromkeys(THREADS, share),
        **os.environ,
        "PYTHONPATH": paths,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        HELD: "1",
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # as torch's own launcher says that it keeps the store
    }
