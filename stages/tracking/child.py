"""The process that sends: a thread a sink, until whoever started it closes its input, or is no more.

It is the only one that sends of a run's folder: it waits for the lock on `.tracking/lock`. It speaks in lines of
JSON; what packages print goes nowhere. Started as `python -m stages.tracking.child FOLDER [--offline] SINK...`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

from runtime.faults import Fault
from stages.logs.run_folder import RunFolder
from stages.tracking.forward import Forwarder
from stages.tracking.ledger import Ledger
from stages.tracking.sink import make_sink

EVERY = 1.0  # seconds between looks at the log
LOCK = "lock"
AFTER_THE_END = 30.0  # seconds after which it leaves in any case
NICER = 10  # the run comes first


@define
class Sending:
    """One sink's thread, and what there is to say of it."""

    folder: Path
    name: str
    offline: bool
    ledger: Ledger
    ended: threading.Event
    say: Callable[[str], None]
    told: str = field(default="", init=False)

    def run(self) -> None:
        """Send until the run has ended; whatever goes wrong is one line."""
        try:
            sink = make_sink(self.name, self.folder, offline=self.offline)
            forwarder = Forwarder(RunFolder(self.folder), self.name, sink, self.ledger)
            while True:
                last = self.ended.is_set()
                forwarder.pump(last=last)
                if (about := sink.about()) and about != self.told:
                    self.told = about
                    self.say(f"{self.name}: {about}")
                if last:
                    break
                self.ended.wait(EVERY)
            forwarder.close()
        except BaseException as error:  # a package may raise anything, SystemExit too
            self.say(f"{self.name}: {reason(error)}; the run goes on without it")


def reason(error: BaseException) -> str:
    """An error in a line."""
    if isinstance(error, Fault):
        return error.message + (f": {error.help}" if error.help else "")
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


@contextmanager
def alone(folder: Path, ended: threading.Event) -> Iterator[bool]:
    """Wait to be the only one that sends; false where the run ended before that."""
    (folder / ".tracking").mkdir(parents=True, exist_ok=True)
    with (folder / ".tracking" / LOCK).open("w") as file:
        yield _locked(file, ended)


def _locked(file: object, ended: threading.Event) -> bool:
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows has no such lock
        return True
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # pyright: ignore[reportArgumentType]
            return True
        except OSError:
            if ended.wait(EVERY):
                return False


def main(folder: Path, names: list[str], *, offline: bool) -> None:
    """Send until standard input ends; then what is left, and leave, whatever still hangs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the run, which then ends this
    os.nice(NICER)
    speak, listen = os.fdopen(os.dup(1), "w", buffering=1), os.dup(0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # nobody is asked for anything, and nothing is printed over the run
        os.dup2(nowhere, number)
    ended = threading.Event()
    sending = threading.Thread(target=_send, args=(folder, names, offline, ended, speak), daemon=True)
    sending.start()
    while sending.is_alive() and os.read(listen, 1):
        pass
    ended.set()
    sending.join(AFTER_THE_END)
    os._exit(0)  # threads that hang, and what packages do at an exit, are left behind


def _send(folder: Path, names: list[str], offline: bool, ended: threading.Event, speak) -> None:
    def say(text: str) -> None:
        speak.write(json.dumps(text) + "\n")

    try:
        while not folder.is_dir():  # the runner makes it
            if ended.wait(0.1):
                return
        with alone(folder, ended) as free:
            if not free:
                return
            ledger = Ledger.read(folder)
            sinks = [Sending(folder, name, offline, ledger, ended, say) for name in names]
            threads = [threading.Thread(target=sink.run, daemon=True) for sink in sinks]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    except OSError as error:
        say(f"nothing is sent: {reason(error)}; the run goes on without it")


if __name__ == "__main__":
    asked = sys.argv[2:]
    main(Path(sys.argv[1]), [name for name in asked if name != "--offline"], offline="--offline" in asked)
