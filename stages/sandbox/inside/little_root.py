"""A root of its own for the process that asks: Python's library and shared libraries to read, a scratch folder.

Nothing else of the machine has a name there: no home, no /etc, no /proc, no /dev. Made out of namespaces, as root or
as anyone whom the kernel lets have a user namespace. Knows nothing of what will run there.
"""

from __future__ import annotations

import os

from stages.sandbox.inside import kernel
from stages.sandbox.inside.readable import hidden, linked, readable

NOBODY = 65534
SCRATCH = "/scratch"
SCRATCH_BYTES, SCRATCH_FILES = 16 << 20, 1024
ELSEWHERE = kernel.NEW_MOUNTS | kernel.NEW_NETWORK | kernel.NEW_IPC | kernel.NEW_UTS | kernel.NEW_PIDS
WORKBENCH = "/tmp"  # any folder that every machine has: the new root covers it while it is built


def enter() -> None:
    """Leave the machine's names, network, processes and files behind; children are in the new process namespace."""
    part()
    links = {path: os.readlink(path) for path in readable() if linked(path)}
    sources = {path: os.open(path, os.O_PATH) for path in readable() if path not in links}
    covered = hidden()
    kernel.mount("none", "/", None, kernel.RECURSIVE | kernel.PRIVATE)
    kernel.mount(
        "tmpfs", WORKBENCH, "tmpfs", kernel.NO_SUID | kernel.NO_DEVICES, "mode=755,size=1m,nr_inodes=512"
    )
    for path, link in links.items():
        os.makedirs(WORKBENCH + os.path.dirname(path), exist_ok=True)
        os.symlink(link, WORKBENCH + path)
    for path, source in sources.items():
        show(source, WORKBENCH + path)
        os.close(source)
    for path in covered:
        kernel.mount("tmpfs", WORKBENCH + path, "tmpfs", kernel.READ_ONLY, "mode=755,size=4k")
    add_scratch()
    os.chdir(WORKBENCH)
    kernel.system_call("pivot_root", b".", b".")
    kernel.unmount(".")  # the old root lies on top of the new one
    kernel.mount(
        "none",
        "/",
        None,
        kernel.REMOUNT | kernel.BIND | kernel.READ_ONLY | kernel.NO_SUID | kernel.NO_DEVICES,
    )
    os.chdir(SCRATCH)


def part() -> None:
    """Take new namespaces: as root directly, else inside a user namespace in which this process is nobody."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        try:
            return kernel.unshare(ELSEWHERE)
        except PermissionError:
            pass  # root of a container that has none of root's rights
    kernel.unshare(ELSEWHERE | kernel.NEW_USER)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{NOBODY} {uid} 1"),
        ("gid_map", f"{NOBODY} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def show(source: int, target: str) -> None:
    """Let a folder or file that is open be seen, and be read only."""
    origin = f"/proc/self/fd/{source}"
    if os.path.isdir(origin):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    kernel.mount(origin, target, None, kernel.BIND | kernel.RECURSIVE)
    kernel.seal(target)


def add_scratch() -> None:
    target = WORKBENCH + SCRATCH
    os.mkdir(target)
    flags = kernel.NO_SUID | kernel.NO_DEVICES | kernel.NO_PROGRAMS
    options = f"mode=700,uid={NOBODY},gid={NOBODY},size={SCRATCH_BYTES},nr_inodes={SCRATCH_FILES}"
    kernel.mount("tmpfs", target, "tmpfs", flags, options)
