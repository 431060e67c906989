"""Send the log of a run that is done or at work, from here and until it is done. Faults are told at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import sleep

from attrs import define, field

from runtime.faults import Fault
from stages.logs.run_folder import RunFolder
from stages.tracking.child import EVERY, alone, reason
from stages.tracking.forward import Forwarder
from stages.tracking.ledger import Ledger
from stages.tracking.sink import Sink, make_sink


def send(
    run: RunFolder, names: tuple[str, ...], *, offline: bool = False, wait: Callable[[float], None] = sleep
) -> Iterator[str]:
    """Send what is there and what comes, as long as the run is at work; yields lines for people. Raises Fault."""
    if not run.folder.is_dir():
        raise Fault(f"there is no run in `{run.folder}` yet", "begin it, or name the folder of another")
    over = threading.Event()
    over.set()  # whoever sends already is not waited for
    with alone(run.folder, over) as free:
        if not free:
            raise Fault(
                "the log of this run is being sent already", "by `nanogen run --track`, or by another `track`"
            )
        ledger = Ledger.read(run.folder)
        routes = [_Route(run, name, ledger, offline) for name in names]
        working = True
        while working:
            working = run.at_work(run.stages())
            for route in routes:
                route.pump(last=not working)
            if working:
                wait(EVERY)
        for route in routes:
            yield from route.close()
        for route in routes:
            if route.fault is not None:
                raise route.fault


@define
class _Route:
    """One sink; what goes wrong with it keeps nothing from the others."""

    run: RunFolder
    name: str
    ledger: Ledger
    offline: bool
    lines: int = field(default=0, init=False)
    fault: Fault | None = field(default=None, init=False)
    _sink: Sink | None = field(default=None, init=False)
    _forwarder: Forwarder | None = field(default=None, init=False)

    def pump(self, *, last: bool) -> None:
        if self.fault is not None:
            return
        with self._told():
            if self._sink is None or self._forwarder is None:
                self._sink = make_sink(self.name, self.run.folder, offline=self.offline)
                self._forwarder = Forwarder(self.run, self.name, self._sink, self.ledger)
            self.lines += self._forwarder.pump(last=last)

    def close(self) -> Iterator[str]:
        with self._told():
            if self._forwarder is not None:
                self._forwarder.close()
        if self.fault is None and self._sink is not None:
            about = self._sink.about() or "it has all of them"
            yield f"{self.name}: {self.lines:,} lines sent; {about}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Fault as fault:
            self.fault = fault
        except Exception as error:
            self.fault = Fault(f"{self.name}: {reason(error)}")
