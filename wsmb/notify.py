"""Tells systemd how the broker does, by sd_notify(3): ready, alive, reading its settings again, stopping.

Where nobody has asked for it (no NOTIFY_SOCKET), nothing is told.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress

READY = "READY=1"
ALIVE = "WATCHDOG=1"
STOPPING = "STOPPING=1"


class Notifier:
    """See above. It takes what is its own out of `environ`: no child process is to speak for the broker."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "")
        watchdog, for_process = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        is_mine = for_process in ("", str(os.getpid()))
        self.interval_s = int(watchdog) / 2e6 if watchdog.isdigit() and is_mine else 0.0
        """How often to tell that it is alive; 0 if nobody wants to know."""

    def tell(self, *states: str) -> None:
        """Say so. That nobody listens is no matter."""
        if not self._address:
            return
        # "@" stands for the zero byte that an abstract address begins with.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.setblocking(False)
            to.sendto("\n".join(states).encode(), address)
