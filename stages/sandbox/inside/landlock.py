"""Rules of Landlock: which files a process may still read, where it cannot have a root of its own.

Nothing may be written, no folder but the library's be listed, and no TCP port, no abstract socket and no signal reach
out where the kernel knows these rules. Sizes and dates of files can still be asked for by name: no rule covers them.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct

from stages.sandbox.inside import kernel
from stages.sandbox.inside.readable import readable

READ_FILE, READ_FOLDER = 1 << 2, 1 << 3
RIGHTS = {
    1: (1 << 13) - 1,
    2: (1 << 14) - 1,
    3: (1 << 15) - 1,
    4: (1 << 15) - 1,
}  # of files, by the kernel's version
NEWER_RIGHTS = (1 << 16) - 1
BELOW_A_PATH = 1


def restrict() -> None:
    """Hold this process to the rules for good; it needs `NO_NEW_PRIVILEGES`."""
    version = kernel.system_call("landlock_create_ruleset", None, 0, 1)
    files = RIGHTS.get(version, NEWER_RIGHTS)
    ports, scopes = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    known = struct.pack("QQQ", files, ports, scopes)[: 8 if version < 4 else 16 if version < 6 else 24]
    rules = kernel.system_call("landlock_create_ruleset", ctypes.c_char_p(known), len(known), 0)
    for path in readable():
        allow(rules, path)
    kernel.system_call("landlock_restrict_self", rules, 0)
    os.close(rules)


def allow(rules: int, path: str) -> None:
    place = os.open(path, os.O_PATH)
    rights = READ_FILE | READ_FOLDER if stat.S_ISDIR(os.fstat(place).st_mode) else READ_FILE
    rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, place))
    kernel.system_call("landlock_add_rule", rules, BELOW_A_PATH, ctypes.byref(rule), 0)
    os.close(place)
