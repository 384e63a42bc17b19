"""A small blocking WebSocket client over a plain socket, which sends exactly what it is told to."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from tests.integration.broker_process import PASSWORD, USER

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KEY = "d3NtYi10ZXN0LWtleS0wMQ=="
ACCEPT = base64.b64encode(
    hashlib.sha1(f"{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode(), usedforsecurity=False).digest()
).decode()
MASK = bytes.fromhex("a1b2c3d4")
TIMEOUT_S = 30.0


class Frame(NamedTuple):
    """A frame as it came: its first byte (FIN and opcode) and its payload."""

    first: int
    payload: bytes


def masked(payload: bytes, mask: bytes) -> bytes:
    """`payload` under a mask of four bytes, or back."""
    whole = mask * (len(payload) // 4 + 1)
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(whole[: len(payload)], "big")
    return mixed.to_bytes(len(payload), "big")


def client_frame(
    payload: bytes,
    opcode: int = TEXT,
    *,
    fin: bool = True,
    mask: bytes = MASK,
    length_bytes: int | None = None,
) -> bytes:
    """A masked frame. `length_bytes`: 0, 2 or 8, the shortest that holds the length if not given."""
    size = len(payload)
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 65_536 else 8
    short = {0: size, 2: 126, 8: 127}[length_bytes]
    extended = size.to_bytes(length_bytes, "big") if length_bytes else b""
    return bytes((opcode | 0x80 * fin, 0x80 | short)) + extended + mask + masked(payload, mask)


def basic(user: str = USER, password: str = PASSWORD) -> str:
    """The value of an `Authorization` header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def opening(
    *, authorization: str | None = None, path: str = "/", headers: Iterable[str] = (), host: str = "127.0.0.1"
) -> bytes:
    """An opening request; `authorization` is that of USER if not given, and left out if empty."""
    value = basic() if authorization is None else authorization
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        *([f"Authorization: {value}"] if value else []),
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def command(name: str, channel: str | int, **fields: object) -> bytes:
    """The JSON text of a command."""
    return json.dumps({"command": name, "channel": channel, **fields}, ensure_ascii=False).encode()


def connect(port: int, *, receive_buffer_bytes: int | None = None, from_address: str = "") -> socket.socket:
    """A TCP connection to the broker; the kernel takes about as much for it as is said."""
    connection = socket.socket()
    if from_address:
        connection.bind((from_address, 0))
    if receive_buffer_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    connection.settimeout(TIMEOUT_S)
    connection.connect(("127.0.0.1", port))
    return connection


class RawClient:
    """One connection. `head` and `status` are those of the answer to its request."""

    def __init__(self, connection: socket.socket, request: bytes | None = None) -> None:
        """Send `request` (else a good one), which frames may follow, and read the head of the answer."""
        connection.settimeout(TIMEOUT_S)
        if connection.family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self._bytes = bytearray()
        self.send(opening() if request is None else request)
        self.head = self._read_head()
        self.status = int(self.head.split(" ", 2)[1])

    # Out

    def send(self, data: bytes) -> None:
        """Exactly these bytes."""
        self.socket.sendall(data)

    def send_text(self, payload: bytes) -> bytes:
        """`payload` in one text frame; returns it."""
        self.send(client_frame(payload))
        return payload

    def publish(self, channel: str | int, *items: object, **fields: object) -> bytes:
        """A `send-message`; returns its JSON text."""
        return self.send_text(command("send-message", channel, data=list(items), **fields))

    def close(self) -> None:
        """End the TCP connection, with a FIN if all that came has been read."""
        self.socket.close()

    def end_sending(self) -> None:
        """Send a FIN, and read on."""
        with suppress(OSError):  # the broker may have ended the connection already
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the TCP connection with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # In

    def read_frame(self, timeout_s: float = TIMEOUT_S) -> Frame:
        """The next frame, of whatever kind. TimeoutError, or EOFError at the connection's end."""
        deadline = time.monotonic() + timeout_s
        first, short = self._take(2, deadline)
        length_bytes = {126: 2, 127: 8}.get(short, 0)
        size = int.from_bytes(self._take(length_bytes, deadline), "big") if length_bytes else short
        return Frame(first, self._take(size, deadline))

    def read_text(self) -> bytes:
        """The payload of the next frame, which must be an unfragmented text frame, pings aside."""
        frame = self.read_frame()
        while frame.first == 0x80 | PING:
            self.send(client_frame(frame.payload, PONG))
            frame = self.read_frame()
        if frame.first != 0x80 | TEXT:
            raise AssertionError(f"not an unfragmented text frame: {frame}")
        return frame.payload

    def read_json(self) -> Any:
        """The next text frame's value."""
        return json.loads(self.read_text())

    def fence(self) -> list[bytes]:
        """Say `ping`, and return what comes before its answer: nothing that comes later was missed."""
        self.send_text(b'{"command":"ping","channel":"-","data":[]}')
        before: list[bytes] = []
        while not (payload := self.read_text()).startswith(b'{"command":"connect"'):
            before.append(payload)
        return before

    def answer_pings(self) -> bool:
        """Answer the pings that have come, so that what came before them is proved; always True."""
        self.socket.setblocking(False)
        with suppress(BlockingIOError):
            self._receive()
        while (
            len(self._bytes) >= 2 and len(self._bytes) >= 2 + self._bytes[1] and self._bytes[0] == 0x80 | PING
        ):
            self.send(client_frame(self.read_frame().payload, PONG))
        return True

    def read_items(self, count: int) -> list[object]:
        """The items of the next `send-message` frames, until there are `count` of them or more."""
        items: list[object] = []
        while len(items) < count:
            frame = self.read_json()
            items += frame["data"] if frame["command"] == "send-message" else []
        return items

    def answer_to_the_end(self) -> None:
        """Answer pings until the broker ends the connection; nothing else may come."""
        with suppress(EOFError, ConnectionResetError):
            raise AssertionError(f"not only pings: {self.read_text()!r}")

    def read_to_end(self) -> bytes:
        """All that comes until the broker ends the connection."""
        try:
            while data := self.socket.recv(65_536):
                self._bytes += data
        except ConnectionResetError:
            pass
        return bytes(self._bytes)

    def _read_head(self) -> str:
        while b"\r\n\r\n" not in self._bytes:
            self._receive()
        head, _, rest = bytes(self._bytes).partition(b"\r\n\r\n")
        self._bytes = bytearray(rest)
        return head.decode("latin-1") + "\r\n\r\n"

    def _take(self, size: int, deadline: float) -> bytes:
        while len(self._bytes) < size:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            self._receive()
        taken = bytes(self._bytes[:size])
        del self._bytes[:size]
        return taken

    def _receive(self) -> None:
        data = self.socket.recv(262_144)
        if not data:
            raise EOFError(f"the broker ended the connection; before that: {bytes(self._bytes[:200])!r}")
        self._bytes += data
