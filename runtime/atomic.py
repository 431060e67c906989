"""Put a file under its name whole or not at all. Knows nothing of what is in it."""

import os
from pathlib import Path


def temporary(path: Path) -> Path:
    """The name under which `path` is written until it is whole; in the same folder, so a rename suffices."""
    return path.with_name(path.name + ".partial")


def publish(path: Path) -> None:
    """Give the finished `temporary(path)` its final name, so that a power cut leaves the old file or the new."""
    flush(temporary(path))
    os.replace(temporary(path), path)
    flush(path.parent)  # the rename itself lives in the folder


def write_bytes(path: Path, content: bytes) -> None:
    temporary(path).write_bytes(content)
    publish(path)


def flush(path: Path) -> None:
    """Ask the system to put a file or a folder on disk before anything that follows."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
