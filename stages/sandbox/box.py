"""Start one sandbox, hand it a program, wait no longer than agreed, and leave nothing of it behind."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import attrs

from runtime.faults import Fault
from stages.sandbox.program import Limits, Program, Verdict

HOME = Path(__file__).parents[2]  # of the package `stages`
# isolated: no variables, no site packages, no current folder; the library's own modules come first
BEGIN = "import sys, json; sys.path.append(sys.argv[1]); from stages.sandbox.inside.start import main; "
BEGIN += "sys.path.pop(); main(json.loads(sys.argv[2]))"
LOADER = ("LD_LIBRARY_PATH",)  # some interpreters do not start without; they forget it then
LONGEST_VERDICT = 1 << 16


def run_in_box(program: Program, limits: Limits, *, namespaces: bool) -> Verdict:
    """The verdict of a sandbox made out of namespaces, or of one made out of Landlock."""
    orders = json.dumps({"namespaces": namespaces, **attrs.asdict(limits)})
    command = [sys.executable, "-I", "-S", "-c", BEGIN, str(HOME), orders]
    with job_file(program) as job:
        process = subprocess.Popen(
            command,
            stdin=job,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in LOADER if name in os.environ},
            cwd="/",
            start_new_session=True,
        )
    return verdict(waited(process, limits.seconds), limits)


def job_file(program: Program) -> BinaryIO:
    """The program in a file of memory: with a pipe, somebody would have to be there to read."""
    file = os.fdopen(os.memfd_create("job"), "w+b")
    file.write(json.dumps(attrs.asdict(program)).encode("ascii"))
    file.seek(0)
    return file


def waited(process: subprocess.Popen[bytes], seconds: float) -> bytes | None:
    """What the sandbox said, or `None` where its time was up; no process of it is left."""
    assert process.stdout is not None
    ear = select.poll()
    ear.register(process.stdout, select.POLLIN)
    said = b""
    deadline = time.monotonic() + seconds
    try:
        while len(said) < LONGEST_VERDICT:
            left = deadline - time.monotonic()
            if left <= 0 or not ear.poll(left * 1000):
                return None
            if not (part := os.read(process.stdout.fileno(), LONGEST_VERDICT)):
                break
            said += part
        return said
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # nobody in a sandbox may leave its group
        process.wait()
        process.stdout.close()


def verdict(said: bytes | None, limits: Limits) -> Verdict:
    if said is None:
        return Verdict("timeout", f"it took longer than {limits.seconds:g} s")
    if not said:
        return Verdict("killed", "its tests were ended before they came to a verdict")
    try:
        found: dict[str, Any] = json.loads(said)
        if "fault" not in found:
            return Verdict(**found)
    except (ValueError, TypeError):  # tests that write where the verdict goes
        found = {"fault": "it said nothing that can be read"}
    raise Fault(f"the sandbox did not run: {found['fault']}")
