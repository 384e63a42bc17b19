"""Many clients that come at once, and come again when they are told to."""

from __future__ import annotations

import heapq
import re
import select
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.integration.raw_client import client_frame, command

GREETED = b'"response_code":"00"'
FIRST_FRAME = client_frame(command("receive-message", "crowd"))
AGAIN_S = 1.0
"""After which a client comes again that was not told when."""
_RETRY_AFTER = re.compile(rb"\r\nRetry-After: (\d+)\r\n")


class Guest(NamedTuple):
    """Who comes: from which address of this machine, with which request."""

    address: str
    request: bytes


@dataclass(slots=True)
class Arrival:
    """How it went. Seconds count from when the first one came."""

    back_s: list[float] = field(default_factory=list)
    """When each was in, and had been greeted; in this order."""
    answers: Counter[str] = field(default_factory=Counter)
    """What was said instead: an HTTP status, or what became of the connection."""


@dataclass(slots=True)
class _Try:
    guest: Guest
    socket: socket.socket
    heard: bytes = b""


class Crowd:
    """All of them; once `arrive` has returned they stay until `leave`."""

    def __init__(self, port: int, guests: Sequence[Guest]) -> None:
        self._port = port
        self._guests = guests
        self._inside: list[socket.socket] = []

    def arrive(self, limit_s: float) -> Arrival:
        """Let all come, until all are in or so many seconds have passed."""
        self._poll = select.epoll()
        self._tries: dict[int, _Try] = {}
        self._arrival = Arrival()
        self._began = time.monotonic()
        self._due = [(self._began, number) for number in range(len(self._guests))]
        while len(self._arrival.back_s) < len(self._guests) and self._passed_s() < limit_s:
            while self._due and self._due[0][0] <= time.monotonic():
                self._come(self._guests[heapq.heappop(self._due)[1]])
            for descriptor, _ in self._poll.poll(0.01):
                self._hear(self._tries[descriptor])
        self._poll.close()
        return self._arrival

    def leave(self) -> None:
        """Close all."""
        for one in self._inside:
            one.close()
        self._inside.clear()

    def _passed_s(self) -> float:
        return time.monotonic() - self._began

    def _come(self, guest: Guest) -> None:
        one = socket.socket()
        one.setblocking(False)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.bind((guest.address, 0))
        one.connect_ex(("127.0.0.1", self._port))
        self._tries[one.fileno()] = _Try(guest, one)
        self._poll.register(one, select.EPOLLOUT)

    def _hear(self, one: _Try) -> None:
        try:
            if not one.heard:
                one.socket.send(one.guest.request + FIRST_FRAME)
                one.heard = b" "
                self._poll.modify(one.socket, select.EPOLLIN)
                return
            data = one.socket.recv(65_536)
        except OSError as error:
            self._turned_away(one, type(error).__name__)
            return
        one.heard += data
        if GREETED in one.heard:
            self._arrival.back_s.append(self._passed_s())
            self._inside.append(self._ended(one))
        elif not data:
            status = one.heard[:16].split()[1:2]
            self._turned_away(one, status[0].decode() if status else "closed")

    def _ended(self, one: _Try) -> socket.socket:
        del self._tries[one.socket.fileno()]
        self._poll.unregister(one.socket)
        return one.socket

    def _turned_away(self, one: _Try, why: str) -> None:
        self._arrival.answers[why] += 1
        self._ended(one).close()
        told = _RETRY_AFTER.search(one.heard)
        wait_s = float(told[1]) if told else AGAIN_S
        heapq.heappush(self._due, (time.monotonic() + wait_s, self._guests.index(one.guest)))
