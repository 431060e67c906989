"""Give up, one after the other and for good, what a process could do harm with. Its last act as a trusted process."""

from __future__ import annotations

import math
import os
import resource
import signal

from stages.sandbox.inside import kernel, landlock, seccomp
from stages.sandbox.inside.little_root import NOBODY

FILE_BYTES = 8 << 20
OPEN_FILES = 64


def surrender(*, namespaces: bool, seconds: float, memory: int) -> None:
    """Rights of root, new rights, files (where no namespace hides them), resources, and most system calls."""
    if namespaces and os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    kernel.drop_capabilities()
    kernel.prctl(kernel.NO_NEW_PRIVILEGES, 1)
    kernel.prctl(kernel.DEATH_SIGNAL, signal.SIGKILL)  # after the change of user, which forgets it
    if not namespaces:
        landlock.restrict()
    bound(seconds, memory)
    seccomp.install(scratch=namespaces)


def bound(seconds: float, memory: int) -> None:
    """Limits of the kernel on this process; none can be raised again."""
    cpu = math.ceil(seconds)
    limits = {
        resource.RLIMIT_AS: (memory, memory),
        resource.RLIMIT_CPU: (cpu, cpu + 1),  # the first process of a namespace ends at the second figure
        resource.RLIMIT_FSIZE: (FILE_BYTES, FILE_BYTES),
        resource.RLIMIT_NOFILE: (OPEN_FILES, OPEN_FILES),
        resource.RLIMIT_NPROC: (0, 0),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_MEMLOCK: (0, 0),
    }
    for kind, pair in limits.items():
        resource.setrlimit(kind, pair)
