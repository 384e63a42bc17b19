"""How many file descriptors the broker may have: each connection is one."""

from __future__ import annotations

import resource

RESERVED = 64
"""For all but connections: ports, the database, files of users and certificates, the log."""


def allow_most() -> int:
    """Raise the limit as far as the system lets us; how many there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # macOS says "unlimited", and means less
            pass
    return most_of(soft)


def most_of(soft: int) -> int:
    """`soft` as a number that can be compared."""
    return 1 << 30 if soft == resource.RLIM_INFINITY else soft


def sockets(files: int) -> int:
    """How many of `files` are left for connections: beyond them even `accept` would fail."""
    return max(files - RESERVED, files // 2)


def warning(files: int, wanted: int) -> str:
    """What to say at the start, if there are fewer than `wanted` connections need."""
    if sockets(files) >= wanted:
        return ""
    return (
        f"no more than {sockets(files)} connections of the {wanted} that max_connections and max_handshakes"
        f" allow: the limit of open files is {files}; raise it to {wanted + RESERVED}"
        f" (systemd: LimitNOFILE={wanted + RESERVED}), or lower max_connections"
    )
