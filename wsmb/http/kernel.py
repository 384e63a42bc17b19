"""What the kernel knows of a connection."""

from __future__ import annotations

import sys
from contextlib import suppress
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any


def unsent_bytes(transport: Any) -> int:
    """How many bytes that were written to a Twisted transport the other end has not taken.

    Linux counts until the other end's TCP has acknowledged them (SIOCOUTQ, which is TIOCOUTQ), or, of a
    Unix socket, until they are read. With TLS, bytes are counted as they are on the wire, which are more.
    """
    unsent: int = 0
    if hasattr(transport, "_appSendBuffer"):  # TLS, and what it has no room for
        unsent = sum(map(len, transport._appSendBuffer))
        transport = transport.transport
    unsent += int(len(transport.dataBuffer) - transport.offset + transport._tempDataLen)
    with suppress(OSError):  # other systems know nothing of it
        unsent += int.from_bytes(ioctl(transport.fileno(), TIOCOUTQ, bytes(4)), sys.byteorder)
    return unsent
