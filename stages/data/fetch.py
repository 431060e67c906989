"""Get what is asked for and not here: disk first, several files at once, each verified, and all that failed by name.

Running it again goes on: files that came are recorded, and parts are kept. Knows nothing of runs.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from nanogen.views.figures import bytes_text
from runtime.atomic import temporary
from runtime.faults import Fault
from stages.data.archive import check_archive, unpack, unpacked_bytes
from stages.data.needs import Need
from stages.data.plan import HERE, MISSING, STUCK, Item, Planner
from stages.data.records import Records, alone
from stages.data.transfer import Altered, Fact, Stopped, hashes, size_of, transfer
from stages.data.web import Patience

if TYPE_CHECKING:
    from stages.progress import Reporter

AT_ONCE = 4  # files
ROUNDS = 3  # of asking the Hub anew, where what came was not what it had told
SPARE = 1.2  # times the need must be free on disk
GRACE = 2.0  # seconds that a stopped transfer has to end
HOPELESS = 8  # failures one after another, and no file between them: the rest is not tried
NAMED = 6  # files that a message names; the lines before it name all


@frozen
class Failure:
    item: Item
    why: str
    again: bool  # another round may help


def fetch(
    needs: Iterable[Need], top: Path, tell: Reporter, *, patience: Patience | None = None
) -> list[Item]:
    """Get all that is missing; returns every file that was asked for. Raises Fault with what did not come."""
    wanted, planner = list(needs), Planner(top, patience or Patience())
    with alone(top, lambda: tell.line(f"waiting for another process that fetches into {top}")):
        for turn in range(ROUNDS):
            items = planner.plan(wanted)
            missing = [item for item in items if item.state == MISSING]
            if turn == 0:
                check_disk(missing, top)
            failures = [Failure(i, i.why, i.again) for i in items if i.state == STUCK]
            failures += _get(missing, planner, tell)
            if not any(failure.again for failure in failures):
                break
            planner.forget()
    if failures:
        raise _failed(failures, len(items), tell)
    return items


def check_disk(missing: Sequence[Item], top: Path) -> None:
    """Refuse to begin what will not fit; what is here of a part need not come again."""
    need = sum(item.disk - size_of(temporary(item.path)) for item in missing)
    _check_free(max(need, 0), top)


def _check_free(need: int, top: Path) -> None:
    there = next(folder for folder in (top, *top.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if need and free < SPARE * need:
        message = f"{bytes_text(round(SPARE * need))} of disk are needed below `{top}`, and {bytes_text(free)} are free"
        raise Fault(message, "free some, or set NANOGEN_DATA to a folder on a larger disk")


def _failed(failures: Sequence[Failure], count: int, tell: Reporter) -> Fault:
    for failure in failures:
        tell.line(f"{failure.item.label}: {failure.why}")
    names = ", ".join(f"`{failure.item.label}` ({failure.why})" for failure in failures[:NAMED])
    more = f", and {len(failures) - NAMED} more" if len(failures) > NAMED else ""
    message = f"{len(failures)} of {count} files did not come: {names}{more}"
    return Fault(message, "run it again to go on: what came is kept")


@define
class _Work:
    """Files to get, and how far they are: what the threads share."""

    left: list[Item]
    planner: Planner
    bytes: int = 0
    files: int = 0
    failures: list[Failure] = field(factory=list)
    row: int = 0  # failures since a file came
    bug: Exception | None = None
    stop: Event = field(factory=Event)
    lock: Lock = field(factory=Lock)

    def run(self) -> None:
        """Get one file after another until none is left."""
        while not self.stop.is_set():
            with self.lock:
                if not self.left:
                    return
                if self.row >= HOPELESS:
                    why = f"not tried, since {self.row} others failed one after another"
                    self.failures += [Failure(item, why, False) for item in self.left]
                    self.left.clear()
                    return
                item = self.left.pop(0)
            try:
                self._one(item)
                with self.lock:
                    self.files, self.row = self.files + 1, 0
            except Stopped:
                return
            except (Altered, Fault, OSError) as error:
                said = error.strerror or str(error) if isinstance(error, OSError) else str(error)
                with self.lock:
                    self.row += 1
                    self.failures.append(Failure(item, said.lower(), isinstance(error, Altered)))
            except Exception as error:  # a fault of ours: told by the thread that waits
                self.bug = error
                self.stop.set()

    def advance(self, size: int) -> None:
        with self.lock:
            self.bytes += size

    def _one(self, item: Item) -> None:
        assert item.wanted is not None, f"{item.file} is missing, and nobody knows where it comes from"
        get_item(item, self.planner, self.advance, self.stop)


def get_item(item: Item, planner: Planner, advance: Callable[[int], None], stop: Event) -> None:
    """Get one file; it is recorded before it has its name, so that none stands there unrecorded."""
    assert item.wanted is not None

    def record(fact: Fact) -> None:
        planner.records.add(item.name, item.source, item.revision, {item.file: fact})

    if item.unpacks is None:
        transfer(item.wanted, item.path, patience=planner.patience, advance=advance, stop=stop, record=record)
        return
    transfer(
        item.wanted,
        item.path,
        patience=planner.patience,
        advance=advance,
        stop=stop,
        check=check_archive,
    )
    _check_free(unpacked_bytes(item.path), planner.top)
    facts = unpack(item.path, item.unpacks)
    below = item.unpacks.relative_to(planner.top).as_posix()
    planner.records.add(
        item.name, item.source, None, {f"{below}/{name}": fact for name, fact in facts.items()}
    )
    item.path.unlink()


def _get(missing: Sequence[Item], planner: Planner, tell: Reporter) -> list[Failure]:
    """Get the files, several at once; what failed, with its reason."""
    if not missing:
        return []
    total = sum(item.size or 0 for item in missing)
    work = _Work(list(missing), planner, sum(size_of(temporary(item.path)) for item in missing))
    threads = [Thread(target=work.run, daemon=True) for _ in range(min(AT_ONCE, len(missing)))]
    started, before = time.monotonic(), work.bytes
    unit, name = (1 << 20, "MiB") if total > 64 << 20 else (1 << 10, "KiB")
    whole = max(total // unit, 1)  # where sizes are unknown it is less than what comes
    with tell.bar(f"fetching, {name}", whole, min(work.bytes // unit, whole - 1)) as bar:
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                next(t for t in [*filter(Thread.is_alive, threads), threads[0]]).join(0.1)
                rate = (work.bytes - before) / max(time.monotonic() - started, 1e-3)
                text = f"{work.files} of {len(missing)} files, {bytes_text(round(rate))}/s"
                bar.advance(min(work.bytes // unit, whole - 1), text)
            bar.advance(whole - bool(work.failures), f"{work.files} of {len(missing)} files")
        finally:
            work.stop.set()
            for thread in filter(Thread.is_alive, threads):
                thread.join(GRACE)
    if work.bug is not None:
        raise work.bug
    return work.failures


def verify(top: Path, *, discard: bool = False) -> tuple[int, list[str]]:
    """Hash every recorded file again: how many there are, and what is wrong with those that differ.

    With `discard` these are thrown away, so that they come again.
    """
    found, wrong = 0, []
    for _, file, fact in Records(top).everything():
        found += 1
        path = top / file
        if not path.is_file():
            wrong.append(f"{file}: it is missing")
        elif hashes(path)["sha256"] != fact.sha256:
            wrong.append(f"{file}: its content has changed since it came")
            if discard:
                path.unlink()
    return found, wrong


def table(items: Sequence[Item]) -> list[str]:
    """A line for each file: its size, whether it is here, and where it comes from; and what all of them come to."""
    sized = [bytes_text(item.size) if item.size is not None else "unknown" for item in items]
    widths = max(map(len, sized), default=0), max((len(item.label) for item in items), default=0)
    lines = []
    for item, size in zip(items, sized, strict=True):
        said = item.why or item.state
        where = "" if item.state == HERE else f"  <- {item.source}"
        lines.append(f"{size:>{widths[0]}}  {item.label:<{widths[1]}}  {said}{where}")
    return lines


def totals(items: Sequence[Item], top: Path) -> str:
    missing = [item for item in items if item.state != HERE]
    known = sum(item.size or 0 for item in missing)
    unknown = sum(item.size is None for item in missing)
    more = f" and {unknown} of unknown size" if unknown else ""
    disk = round(SPARE * sum(item.disk for item in missing))
    return (
        f"{len(items) - len(missing)} of {len(items)} files are here; to fetch: {bytes_text(known)}{more}; "
        f"{bytes_text(disk)} of disk are asked for below {top}"
    )
