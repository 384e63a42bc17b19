"""A process that abuses a broker until it is told to stop; see hostile.py.

Started as `python -m benchmarks.abuse.attackers PORT`; says `ready`, and when its standard input ends, how
much each kind has done, as JSON. With STAND_IN in place of the port it only computes.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.integration.raw_client import (
    CONTINUATION,
    PING,
    TEXT,
    basic,
    client_frame,
    opening,
)

AGAIN_S = 0.05
"""After which one comes again that was put out."""
STAND_IN = "stand-in"
BLOCK = 1_000
PINGS = client_frame(b"x", PING) * BLOCK
FRAGMENTS = client_frame(b"", CONTINUATION, fin=False) * BLOCK
BEGINNING = client_frame(b"", TEXT, fin=False)
HEADER_BYTE_EVERY_S = 1.0
INSIDER, OTHER_INSIDER = "apr1", "sha"
"""Users with a password of their own, of whom the well-behaved are none."""

Outgoing = Iterator[bytes | float]
"""What to send next, or how many seconds to do nothing."""


def slow_headers() -> Outgoing:
    """A header's byte a second."""
    for byte in opening():
        yield bytes((byte,))
        yield HEADER_BYTE_EVERY_S


def endless(user: str, first: bytes, again: bytes) -> Outgoing:
    """A good request, then frames as fast as they are taken."""
    yield opening(authorization=basic(user)) + first
    while True:
        yield again


def guesses() -> Iterator[Outgoing]:
    """One guess a connection."""
    number = 0
    while True:
        number += 1
        yield iter((opening(authorization=basic("qa", f"guess {number}")),))


@dataclass(frozen=True, slots=True)
class Kind:
    """Some that do the same."""

    name: str
    count: int
    address: str
    begin: Callable[[], Outgoing]
    again_s: float = AGAIN_S


_GUESSES = guesses()
KINDS = (
    Kind("header bytes", 100, "127.0.0.2", slow_headers),
    Kind("pings", 50, "127.0.0.3", lambda: endless(INSIDER, b"", PINGS)),
    Kind("fragments", 50, "127.0.0.4", lambda: endless(OTHER_INSIDER, BEGINNING, FRAGMENTS)),
    Kind("guesses", 1, "127.0.0.5", lambda: next(_GUESSES), again_s=0),
)


class Attacker:
    """One of them, on one connection after another."""

    def __init__(self, kind: Kind, port: int, done: Counter[str]) -> None:
        self.kind = kind
        self._port = port
        self._done = done
        self.due_s = 0.0
        self._socket: socket.socket | None = None

    def come(self, poll: select.epoll, by_descriptor: dict[int, Attacker]) -> None:
        """Connect."""
        self._outgoing, self._unsent, self._asleep = self.kind.begin(), b"", False
        self._socket = one = socket.socket()
        one.bind((self.kind.address, 0))
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", self._port))
        by_descriptor[one.fileno()] = self
        poll.register(one, select.EPOLLIN | select.EPOLLOUT)

    def ready(self, events: int, poll: select.epoll) -> bool:
        """Go on; whether the connection has ended."""
        one = self._socket
        if one is None:
            return False
        try:
            if events & ~select.EPOLLOUT and not one.recv(262_144):
                return self._ended()
            if events & select.EPOLLOUT:
                self._send(one, poll)
        except BlockingIOError:
            return False
        except OSError:
            return self._ended()
        return False

    def wake(self, poll: select.epoll) -> None:
        """Its pause is over."""
        if self._socket is not None:
            poll.modify(self._socket, select.EPOLLIN | select.EPOLLOUT)

    def _send(self, one: socket.socket, poll: select.epoll) -> None:
        step: bytes | float = self._unsent or next(self._outgoing, 3600.0)
        if isinstance(step, bytes):
            sent = one.send(step)
            self._unsent = step[sent:]
            self._done[f"{self.kind.name}: bytes"] += sent
        else:
            self.due_s = time.monotonic() + step
            poll.modify(one, select.EPOLLIN)

    def _ended(self) -> bool:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._done[f"{self.kind.name}: connections ended"] += 1
        self.due_s = time.monotonic() + self.kind.again_s
        return True

    @property
    def is_out(self) -> bool:
        """Whether it has no connection."""
        return self._socket is None


def attack(port: int, is_over: Callable[[], bool], done: Counter[str]) -> None:
    """All of KINDS, until it is over."""
    poll, by_descriptor = select.epoll(), {}
    everyone = [Attacker(kind, port, done) for kind in KINDS for _ in range(kind.count)]
    looked_s = 0.0
    while not is_over():
        now_s = time.monotonic()
        if now_s - looked_s >= 0.01:  # to look at all of them each time would be most of what we do
            looked_s = now_s
            for one in everyone:
                if one.due_s <= now_s:
                    one.due_s = float("inf")
                    if one.is_out:
                        one.come(poll, by_descriptor)
                    else:
                        one.wake(poll)
        for descriptor, events in poll.poll(0.01):
            one = by_descriptor[descriptor]
            if one.ready(events, poll) and not one.kind.again_s:
                one.due_s = float("inf")
                one.come(poll, by_descriptor)


def step_back() -> None:
    """Run only when nobody else wants the core, unless those we attack go before us anyway."""
    if os.sched_getscheduler(os.getppid()) == os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def main() -> None:
    """Attack until standard input ends."""
    step_back()
    done: Counter[str] = Counter()
    began = time.monotonic()
    end = select.poll()
    end.register(0, select.POLLIN | select.POLLHUP)
    print("ready", flush=True)
    if sys.argv[1] == STAND_IN:
        while not end.poll(0):
            pass
    else:
        attack(int(sys.argv[1]), lambda: bool(end.poll(0)), done)
    print(json.dumps({"seconds": time.monotonic() - began, **done}), flush=True)


if __name__ == "__main__":
    main()
