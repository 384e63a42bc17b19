"""Opening many WebSockets at once, with plain blocking sockets."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from wsmb.bench.dialect import Dialect, opening_request
from wsmb.client.target import Target

AT_ONCE = 48
"""So many connections are being opened at a time; 50 is the default backlog of Twisted."""
SPARE_FILES = 64
_HEAD_END = b"\r\n\r\n"
_ERROR = b'"command":"error"'


class BenchError(Exception):
    """The load could not be carried out. The text is one line."""


@dataclass(frozen=True, slots=True)
class Place:
    """A broker's address, its dialect, and until when (time.monotonic) to wait for it."""

    host: str
    port: int
    request: bytes
    dialect: Dialect
    deadline: float

    def left_s(self) -> float:
        """Seconds until the deadline. Raises BenchError if there are none."""
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            raise BenchError("no answer in time (see --timeout)")
        return left_s


def place(target: Target, dialect: Dialect, timeout_s: float) -> Place:
    """Where `target` is."""
    host = f"{target.url_host}:{target.port}"
    authorization = target.authorization if target.user else ""
    request = opening_request(host, target.resource, authorization, dialect.subprotocol)
    return Place(target.host, target.port, request, dialect, time.monotonic() + timeout_s)


def open_connections(place: Place, wishes: Sequence[bytes]) -> list[socket.socket]:
    """A connection for each of `wishes`, the frames that it says first. Raises BenchError.

    When it returns, the broker has carried them out. The first connection is opened alone: so its
    password is checked once.
    """
    _allow_files(len(wishes) + SPARE_FILES)
    opened: list[socket.socket] = []
    try:
        while len(opened) < len(wishes):
            batch = wishes[len(opened) : len(opened) + (AT_ONCE if opened else 1)]
            opened += [_connect(place) for _ in batch]
            _make_ready(place, opened[-len(batch) :], batch)
    except OSError as error:
        close_all(opened)
        if isinstance(error, TimeoutError):
            raise BenchError("no answer in time (see --timeout)") from None
        raise BenchError(str(error.strerror or error)) from None
    except BaseException:
        close_all(opened)
        raise
    return opened


def close_all(connections: Sequence[socket.socket]) -> None:
    """End these TCP connections."""
    for connection in connections:
        connection.close()


def _connect(place: Place) -> socket.socket:
    connection = socket.create_connection((place.host, place.port), timeout=place.left_s())
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(place.request + (b"" if place.dialect.is_patient else place.dialect.hello()))
    return connection


def _make_ready(place: Place, batch: Sequence[socket.socket], wishes: Sequence[bytes]) -> None:
    for connection in batch:
        rest = _read_head(place, connection)
        if place.dialect.is_patient:
            connection.sendall(place.dialect.hello())
        _await_answer(place, connection, rest)
    for connection, frames in zip(batch, wishes, strict=True):
        connection.settimeout(place.left_s())
        connection.sendall(frames + place.dialect.ping)
    for connection in batch:
        _await_answer(place, connection, b"")
        connection.setblocking(False)


def _read_head(place: Place, connection: socket.socket) -> bytes:
    """Read the answer to the opening request; what came behind it."""
    data = b""
    while _HEAD_END not in data:
        data += _receive(place, connection)
    head, _, rest = data.partition(_HEAD_END)
    _, _, status = head.partition(b"\r\n")[0].partition(b" ")
    if not status.startswith(b"101"):
        raise BenchError("refused: " + status.decode("latin-1"))
    return rest


def _await_answer(place: Place, connection: socket.socket, data: bytes) -> None:
    while place.dialect.answer not in data:
        if _ERROR in data or b'"response_code":"01"' in data:
            raise BenchError("the broker does not carry it out: " + data[-200:].decode("latin-1"))
        data = data[-1_000:] + _receive(place, connection)


def _receive(place: Place, connection: socket.socket) -> bytes:
    connection.settimeout(place.left_s())
    data = connection.recv(65_536)
    if not data:
        raise BenchError("closed by the broker")
    return data


def _allow_files(needed: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        if hard < needed:
            raise BenchError(f"{needed} open files are needed, and `ulimit -Hn` allows {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
