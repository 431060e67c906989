"""The switch that keeps a process, and those that it starts, off the network. Knows nothing of data."""

from __future__ import annotations

import errno
import ipaddress
import os
import sys
from typing import Any

VARIABLE = "NANOGEN_OFFLINE"
_OTHERS = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
# a hook of the interpreter stays for good: it is put there once, and obeys the switch
_hooked: list[bool] = []


def is_offline() -> bool:
    """Whether this process has been told to stay off the network, by the switch or by the environment."""
    return os.environ.get(VARIABLE, "0") not in ("", "0")


def go_offline() -> None:
    """From here on nothing is asked of another machine, by whichever package."""
    os.environ[VARIABLE] = "1"
    for name in _OTHERS:
        os.environ[name] = "1"
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Packages of others ask for names and open connections; they hear that there is no network."""
    if event not in ("socket.getaddrinfo", "socket.connect", "socket.sendto") or not is_offline():
        return
    address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
    host = address[0] if isinstance(address, tuple) else address  # a path or bytes: of this machine alone
    named = event == "socket.getaddrinfo" or isinstance(address, tuple)
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "localhost")
    if named and not _is_here(text):
        raise OSError(errno.ENETUNREACH, f"{VARIABLE} is set: `{text}` is not asked")


def _is_here(host: str) -> bool:
    """Whether a name or an address is this machine's own; `localhost.example.org` is not."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
