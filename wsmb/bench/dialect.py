"""How a kind of broker is spoken to over WebSocket; here wsmb. No I/O."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Protocol

from wsmb import frames
from wsmb.bench.marks import LEAST_BODY_BYTES
from wsmb.client import commands

_TEXT, _BINARY, _PONG = 0x81, 0x82, 0x8A
_KEY = "d3NtYi1iZW5jaC1rZXktMQ=="


class Dialect(Protocol):
    """What to say to a broker, as WebSocket frames, and what it answers."""

    subprotocol: str
    """To be asked for in the opening request; empty for none."""
    is_patient: bool
    """Whether `hello` must wait for the upgrade; else it goes with the request, and is surely first."""
    ping: bytes
    answer: bytes
    """What only the answer to `ping` holds. It comes behind the answers to all that was said before."""

    def hello(self) -> bytes:
        """What comes first; answered once by `answer`."""

    def receive(self, channels: Sequence[str]) -> bytes:
        """Asks for what is sent to these channels."""

    def publish(self, channel: str, body: bytes) -> bytes:
        """One frame with one message. `body` is ASCII without quotes and backslashes."""

    def body_bytes(self, channel: str, size: int) -> int:
        """How long a body must be for a message of `size` bytes; it may be negative."""


class WsmbDialect:
    """wsmb's own commands (docs/protocol.md)."""

    subprotocol = ""
    is_patient = False
    answer = b'"response_code":"00"'

    def __init__(self, number_of_receiver: int | None = None, *, confirm: bool = False) -> None:
        """With `confirm` each message is to be confirmed by the beginning of its body."""
        self._mask = secrets.token_bytes(4)
        self._limit = number_of_receiver
        self._confirm = confirm
        self.ping = self._frame(commands.PING)

    def hello(self) -> bytes:
        """A ping as the first frame: its answer is the greeting."""
        return self.ping

    def receive(self, channels: Sequence[str]) -> bytes:
        """`receive-message`."""
        return b"".join(self._frame(commands.receive_message(channel)) for channel in channels)

    def publish(self, channel: str, body: bytes) -> bytes:
        """`send-message`."""
        return self._frame(self._message(channel, body))

    def body_bytes(self, channel: str, size: int) -> int:
        """What the JSON leaves of `size`."""
        return size - len(self._message(channel, b""))

    def _message(self, channel: str, body: bytes) -> bytes:
        # Not an array: it leaves room for a time stamp in a message of 64 bytes.
        rest = b"" if self._limit is None else b',"number_of_receiver":%d' % self._limit
        if self._confirm:
            # The answer repeats it, so that it is counted and timed like a message that arrives.
            rest += b',"confirm":"%s"' % body[:LEAST_BODY_BYTES]
            body = body[LEAST_BODY_BYTES:]
        return b'{"command":"send-message","channel":"%s","data":"%s"%s}' % (channel.encode(), body, rest)

    def _frame(self, payload: bytes) -> bytes:
        return client_frame(payload, self._mask)


def client_frame(payload: bytes, mask: bytes, first: int = _TEXT) -> bytes:
    """One masked frame."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65_536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + mask + frames.unmask(payload, mask)


def pong_frame(payload: bytes) -> bytes:
    """The answer to a WebSocket ping."""
    return client_frame(payload, secrets.token_bytes(4), _PONG)


def binary_frame(payload: bytes, mask: bytes) -> bytes:
    """One masked binary frame."""
    return client_frame(payload, mask, _BINARY)


def opening_request(host: str, resource: str, authorization: str, subprotocol: str) -> bytes:
    """The request that opens a WebSocket. `host`: as in the Host header; `authorization` may be empty."""
    lines = [
        f"GET {resource} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {_KEY}",
        "Sec-WebSocket-Version: 13",
        *([f"Authorization: {authorization}"] if authorization else []),
        *([f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
