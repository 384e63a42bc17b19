"""A broker's factory on in-memory transports and a clock, and the client's side of the bytes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import txaio
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection

from tests.support import SteppedStore, parse_frames
from wsmb.broker import Broker
from wsmb.factory import BrokerFactory
from wsmb.protocol import BrokerProtocol
from wsmb.settings import Settings

MASK = b"\x11\x22\x33\x44"
TIME = "2026-11-22T21:00:00.000Z"
KEY = base64.b64encode(b"0123456789abcdef").decode()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def request(*headers: str, path: str = "/", authorization: str | None = basic("qa", "right")) -> bytes:
    """An opening request as the original's PHP client writes it."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "pragma: no-cache",
        "Upgrade: WebSocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        *([f"Authorization: {authorization}"] if authorization else []),
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def client_frame(
    payload: bytes, opcode: int = 1, *, final: bool = True, masked: bool = True, long: bool = False
) -> bytes:
    """A frame as a client sends it. `long`: with a 64-bit length whatever its size."""
    size = len(payload)
    mask_bit = 0x80 if masked else 0
    head = bytes([(0x80 if final else 0) | opcode])
    if long or size > 65_535:
        head += bytes([mask_bit | 127]) + size.to_bytes(8, "big")
    elif size > 125:
        head += bytes([mask_bit | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([mask_bit | size])
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[place % 4] for place, byte in enumerate(payload))


class Checker:
    """A PasswordChecker: one password is right for all; it answers when told to, or at once."""

    def __init__(self) -> None:
        self.at_once = True
        self.right = b"right"
        self.open: list[Callable[[], None]] = []
        self.asked: list[str] = []
        self.remembered: set[tuple[str, bytes]] = set()

    def remembers(self, user: str, password: bytes) -> bool:
        return (user, password) in self.remembered

    def check(self, user: str, password: bytes, done: Callable[[bool], None]) -> None:
        self.asked.append(user)
        self.open.append(lambda: done(password == self.right))
        if self.at_once:
            self.answer()

    def answer(self) -> None:
        while self.open:
            self.open.pop(0)()


class Transport(StringTransportWithDisconnection):
    """Remembers TCP_NODELAY and whether it was aborted; ends as TCP does, in a later turn."""

    no_delay = False
    aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()


class Connection:
    """One client of the broker under test."""

    def __init__(self, factory: BrokerFactory, clock: Clock, address: str) -> None:
        self.clock = clock
        self.transport = Transport(peerAddress=IPv4Address("TCP", address, 4711))
        self.protocol: BrokerProtocol = factory.buildProtocol(None)
        self.transport.protocol = self.protocol
        self.protocol.makeConnection(self.transport)

    @property
    def is_open(self) -> bool:
        return self.transport.connected

    def receive(self, data: bytes) -> None:
        """The broker receives `data`, in one piece."""
        self.protocol.dataReceived(data)
        self.clock.advance(0)

    def taken(self) -> bytes:
        """What the broker has sent since the last call."""
        self.clock.advance(0)
        sent: bytes = self.transport.value()
        self.transport.clear()
        return sent

    def frames(self) -> list[tuple[int, bytes]]:
        return parse_frames(self.taken())

    def payloads(self) -> list[bytes]:
        return [payload for _, payload in self.frames()]

    def lose(self) -> None:
        """The client is gone."""
        self.transport.loseConnection()


class World:
    """A broker's factory with all that it needs."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        txaio.use_twisted()
        txaio.config.loop = self.clock
        self.store = SteppedStore()
        self.checker = Checker()
        self.settings = Settings(listen=(), **settings)
        self.broker = Broker(self.settings, self.store, self.clock.callLater, lambda: TIME)
        self.factory = BrokerFactory(self.settings, self.broker, self.checker, self.clock, lambda: TIME)

    def close(self) -> None:
        txaio.config.loop = None

    def connect(self, address: str = "192.0.2.1") -> Connection:
        return Connection(self.factory, self.clock, address)

    def open(self, *headers: str, address: str = "192.0.2.1", **options: Any) -> Connection:
        """A connection that is in, the answer to its upgrade read."""
        connection = self.connect(address)
        connection.receive(request(*headers, **options))
        answer = connection.taken()
        if not answer.startswith(b"HTTP/1.1 101 ") or not answer.endswith(b"\r\n\r\n"):
            raise AssertionError(answer)
        return connection

    def greeted(self) -> Connection:
        """A connection that is in and has had its greeting."""
        connection = self.open()
        self.clock.advance(0.1)
        connection.taken()
        return connection
