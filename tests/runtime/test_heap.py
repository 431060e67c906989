"""Memory that was freed is used again without asking the system for its pages."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from runtime.heap import keep_freed_memory

FAULTS = """
import resource, torch
from runtime.heap import keep_freed_memory
if {kept}:
    assert keep_freed_memory()
def touch():
    kept = [torch.ones(1_000_000) for _ in range(30)]
for _ in range(12): touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(12): touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(kept: bool) -> int:
    """Pages that a step takes from the system after many like it, where blocks of 128 KiB would go back each time."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS.format(kept=kept)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"},
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="GNU's allocator alone is asked")
def test_a_second_step_takes_no_pages_from_the_system() -> None:
    assert faults(kept=True) < 50
    assert faults(kept=False) > 5_000  # or it would prove nothing


def test_another_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
