"""Keep what was freed for what is asked for next, on a CPU. Knows nothing of tensors or training.

GNU's allocator maps each large block anew and gives it back at once, so that every step of training takes its
memory page by page from the system: 8,000 to 18,000 faults a step of the small models a CPU trains, 5 to 12 % of the
time. Steps are alike, so nothing is lost by keeping it: a process holds what its largest step took.
"""

from __future__ import annotations

import ctypes
import platform

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # `mallopt`'s own numbers for them
LARGE = 2**25  # bytes, the most that every version takes; larger blocks still go back, lest holes add up
NEVER = 2**31 - 1  # bytes; an int's largest


def keep_freed_memory() -> bool:
    """Ask this process's allocator to; False where it is another than GNU's, or does not take it."""
    if platform.libc_ver()[0] != "glibc":
        return False
    allocator = ctypes.CDLL(None)
    return bool(allocator.mallopt(MMAP_THRESHOLD, LARGE) and allocator.mallopt(TRIM_THRESHOLD, NEVER))
