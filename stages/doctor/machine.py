"""Processors, memory, limits of a container, disks, clock and network: the machine without what computes tensors."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from nanogen.views.figures import bytes_text
from runtime.capacity import LIMITS, memory_of_machine
from stages.data.offline import VARIABLE, is_offline
from stages.data.place import data_folder
from stages.doctor.finding import Finding, missing, ok, warning

QUOTA = Path("/sys/fs/cgroup/cpu.max")
SMALL_MEMORY, SMALL_DISK = 2 << 30, 1 << 30  # bytes: the quickstart takes half of either
SCARCE = 0.25  # of the memory: less that is free is told
NOW_AT_LEAST = 1767225600  # 2026-01-01 in UTC: before that nanogen was not


def machine(runs: Path) -> Iterator[Finding]:
    """All that needs no torch; `runs` is where runs would be kept."""
    yield processors()
    yield from limits()
    yield memory()
    yield disk("disk of runs", runs, needed=True)
    yield disk("disk of data", data_folder())
    yield clock(time.time())
    yield network()


# -- what computes, and how much of it may be used


def available_processors() -> int:
    """Those that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quota(file: Path = QUOTA) -> float | None:
    """Processors' worth of time that a container allows; None where there is no limit."""
    try:
        share, period = file.read_text().split()
        return float(share) / float(period)
    except (OSError, ValueError):  # there is none, or it says "max"
        return None


def processors() -> Finding:
    count = available_processors()
    try:
        load = os.getloadavg()[0]
    except OSError:  # pragma: no cover - not every system tells
        load = 0.0
    told = f"{count} of {os.cpu_count()} may be used, load {load:.1f}"
    if load > count:
        help = "wait, or end what else computes: compiled code slows down most beside it"
        return warning("processors", f"{told}: others are at work", help)
    return ok("processors", told)


def limits() -> Iterator[Finding]:
    """A container's limits, where there are any."""
    allowed, count = quota(), available_processors()
    if allowed is not None and allowed < count:
        threads = max(1, round(allowed))
        told = f"a container allows {allowed:.1f} processors' time of {count}"
        yield warning("cgroup", told, f"`OMP_NUM_THREADS={threads}`: more threads wait for each other")
    held = [Path(file) for file in LIMITS if Path(file).is_file()]
    if held and memory_of_machine() < _whole_memory():
        yield ok("cgroup", f"a container allows {bytes_text(memory_of_machine())} of memory")
    elif allowed is None or allowed >= count:
        yield ok("cgroup", "no limit below the machine's own")


def _whole_memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # pragma: no cover - Windows tells in another way
        return sys.maxsize


def memory() -> Finding:
    whole, free = memory_of_machine(), free_memory()
    told = bytes_text(whole) + (f", {bytes_text(free)} free" if free is not None else "")
    if whole < SMALL_MEMORY:
        return warning(
            "memory", told, "train small models alone; `nanogen run` says before it starts what fits"
        )
    if free is not None and free < SCARCE * whole:
        return warning("memory", told, "end what else holds memory, or train smaller")
    return ok("memory", told)


def free_memory() -> int | None:
    """Bytes that could be had now, as Linux reckons; None elsewhere."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return int(found) * 1024 if found else None


# -- where things are kept


def disk(about: str, folder: Path, *, needed: bool = False) -> Finding:
    """Whether a folder, or what there is of the way to it, can be written, and how much is free there."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        help = "change who may write there, or name another: `--runs`, NANOGEN_DATA"
        return missing(about, f"`{folder}`: nothing may be written in `{there}`", help, needed=needed)
    free = shutil.disk_usage(there).free
    told = f"{bytes_text(free)} free in `{folder}`"
    if free < SMALL_DISK:
        return warning(about, told, "make room, or name a folder on another disk: `--runs`, NANOGEN_DATA")
    return ok(about, told)


def clock(now: float) -> Finding:
    """Whether the clock can be right; durations do not hang on it."""
    told = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
    if now < NOW_AT_LEAST:
        return warning("clock", f"{told}, which is past", "set it: downloads and dates of results hang on it")
    return ok("clock", told)


def network() -> Finding:
    if is_offline():
        return ok("network", f"off, by {VARIABLE}: nothing is fetched")
    return ok("network", f"may be used; nothing was asked of it. {VARIABLE}=1 keeps all off it")
