"""A connection of a sender or a receiver: as fast as a few lines of Python can be."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator

from tests.integration.raw_client import BINARY, PING, PONG, TEXT, client_frame, opening

_RECEIVE_BYTES = 262_144
CONNECT_S = 5.0
"""The longest that an opening takes before it is tried again."""


def now_us() -> int:
    """The machine's monotonic clock, the same for all processes, in microseconds."""
    return time.monotonic_ns() // 1_000


class Connection:
    """An open WebSocket to a port of 127.0.0.1. OSError or EOFError from any method is its end."""

    def __init__(self, port: int, first_frames: bytes = b"") -> None:
        """Open it, with `first_frames` behind the request."""
        self._bytes = b""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=CONNECT_S)
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.sendall(opening() + first_frames)
            while b"\r\n\r\n" not in self._bytes:
                self._receive()
        except BaseException:
            self.socket.close()
            raise
        head, _, self._bytes = self._bytes.partition(b"\r\n\r\n")
        if b" 101 " not in head:
            self.socket.close()
            raise EOFError(f"refused: {head!r}")

    def send(self, data: bytes) -> None:
        """Exactly these bytes; TimeoutError after CONNECT_S."""
        self.socket.sendall(data)

    def frames(self, timeout_s: float) -> Iterator[tuple[int, bytes]]:
        """(opcode, payload) of the whole frames that have come; if none has, one read's worth, perhaps
        nothing, after at most `timeout_s`."""
        if not self._has_frame() and select.select([self.socket], [], [], timeout_s)[0]:
            self._receive()
        return self._cut()

    def close(self) -> None:
        """End it, without a Close frame."""
        self.socket.close()

    def _receive(self) -> None:
        data = self.socket.recv(_RECEIVE_BYTES)
        if not data:
            raise EOFError("the broker ended the connection")
        self._bytes += data

    def _has_frame(self) -> bool:
        return len(self._bytes) >= 2 and _frame_end(self._bytes, 0)[1] <= len(self._bytes)

    def _cut(self) -> Iterator[tuple[int, bytes]]:
        data, start = self._bytes, 0
        found = []
        while len(data) - start >= 2:
            body, end = _frame_end(data, start)
            if end > len(data):
                break
            found.append((data[start] & 0x0F, data[body:end]))
            start = end
        self._bytes = data[start:]
        return iter(found)


def _frame_end(data: bytes, start: int) -> tuple[int, int]:
    """Where the payload of the server's frame at `start` begins, and where it ends."""
    short = data[start + 1]
    if short < 126:
        return start + 2, start + 2 + short
    body = start + (4 if short == 126 else 10)
    return body, body + int.from_bytes(data[start + 2 : body], "big")


__all__ = ["BINARY", "PING", "PONG", "TEXT", "Connection", "client_frame", "now_us"]
