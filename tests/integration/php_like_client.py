"""A client that does, call for call, what the original's PHP clients do (protocol.md, sections 3 and 7).

They read with PHP's `fread`, which gives what one segment brought; here that is one `recv`.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from tests.integration.broker_process import PASSWORD, USER
from tests.integration.raw_client import BINARY, CLOSE, KEY, MASK, PING, TIMEOUT_S, basic, client_frame


def upgrade_request(user: str = USER, password: str = PASSWORD, key: str = KEY) -> bytes:
    """No port in `Host`, `WebSocket` in capitals."""
    return (
        "GET / HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\n"
        "pragma: no-cache\r\n"
        "Upgrade: WebSocket\r\n"
        "Connection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        f"Authorization: {basic(user, password)}\r\n"
        "\r\n"
    ).encode()


def pretty(value: object) -> bytes:
    r"""JSON as `json_encode` writes it with JSON_PRETTY_PRINT: 4 spaces, `\/`, ASCII only."""
    return json.dumps(value, indent=4).replace("/", "\\/").encode()


def binary_frame(payload: bytes, mask: bytes = MASK) -> bytes:
    """As PHP writes it: 65,535 bytes already go with a 64-bit length."""
    size = len(payload)
    length_bytes = 0 if size < 126 else 2 if size < 0xFFFF else 8
    return client_frame(payload, BINARY, mask=mask, length_bytes=length_bytes)


class PhpLikeClient:
    """One connection. `lost` is what came with the upgrade's answer, and was thrown away."""

    def __init__(self, connection: socket.socket, request: bytes | None = None) -> None:
        connection.settimeout(TIMEOUT_S)
        connection.sendall(upgrade_request() if request is None else request)
        answer = connection.recv(1024)
        if b" 101 " not in answer or b"sec-websocket-accept: " not in answer.lower():
            raise AssertionError(f"no upgrade: {answer!r}")
        self.socket = connection
        self.lost = answer.partition(b"\r\n\r\n")[2]
        self.pings = 0

    def write(self, value: object) -> None:
        """One command, pretty-printed, in one binary frame."""
        self.socket.sendall(binary_frame(pretty(value)))

    def read(self) -> bytes:
        """The next frame's payload; empty after a ping, which is answered with an empty pong."""
        first, short = self._read_whole(2)
        if short >= 126:
            short = int.from_bytes(self._read_whole(2 if short == 126 else 8), "big")
        if short == 0:
            raise AssertionError("a frame of length zero")
        payload = b""
        while len(payload) < short:
            payload += self._read_some(short - len(payload))
        if first & 0x0F == CLOSE:
            raise AssertionError("a Close frame: PHP 8 dies of it")
        if first & 0x0F == PING:
            self.pings += 1
            self.socket.sendall(client_frame(b"", opcode=0xA))
            return b""
        return payload

    def read_json(self) -> Any:
        """The next message, as the sample receiver takes it: what has up to 7 bytes is passed over."""
        while len(payload := self.read()) <= 7:
            pass
        return json.loads(payload)

    def close(self) -> None:
        """End the TCP connection without a Close frame, as the end of a PHP script does."""
        self.socket.close()

    def _read_whole(self, size: int) -> bytes:
        data = self._read_some(size)
        if len(data) < size:
            raise AssertionError(f"a header that came in two segments: {data!r}")
        return data

    def _read_some(self, size: int) -> bytes:
        data = self.socket.recv(size)
        if not data:
            raise EOFError("the broker ended the connection")
        return data
