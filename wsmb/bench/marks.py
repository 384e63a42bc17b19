"""Messages counted in the bytes that come, without parsing frames. No I/O.

Each message holds one MARK; a timed one holds SAMPLE and an id as well. Neither occurs anywhere else in
what a broker sends on our channels, but for the length in the header of a frame: see `is_countable`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, product

from wsmb.bench.load import DIGITS

MARK = b"|~"
SAMPLE = b"^"
ID_BYTES = 3
LEAST_BODY_BYTES = len(MARK) + len(SAMPLE) + ID_BYTES
SPARSE_BYTES = 512
_PING = 0x89
_FRAME_STARTS = {0x81, 0x82, 0x88, 0x89, 0x8A}


def body(size: int, sample: bytes = b"") -> bytes:
    """The body of a message, of `size` bytes; `sample` is the id of a timed one."""
    return (MARK + (SAMPLE + sample if sample else b"")).ljust(size, b"x")


def is_countable(frame_bytes: int) -> bool:
    """Whether no mark can be seen in the header of a frame with so many bytes of payload."""
    return MARK not in frame_bytes.to_bytes(8, "big")


class MarkCounter:
    """Counts the marks in one connection's bytes; messages have about `message_bytes`."""

    __slots__ = ("_ends_within_mark", "_is_sparse")

    def __init__(self, message_bytes: int) -> None:
        self._is_sparse = message_bytes >= SPARSE_BYTES
        self._ends_within_mark = False

    def feed(self, data: bytearray, end: int) -> int:
        """How many marks are complete with the first `end` bytes of `data`."""
        if not end:
            return 0
        marks = int(self._ends_within_mark and data[0] == MARK[1])
        self._ends_within_mark = data[end - 1] == MARK[0]
        return marks + (_count_sparse(data, end) if self._is_sparse else data.count(MARK, 0, end))


def _count_sparse(data: bytearray, end: int) -> int:
    """`count` looks at each byte. To `find` one byte is 30 times as fast, but is a call for each mark."""
    first, second = MARK[:1], MARK[1]
    marks = 0
    at = data.find(first, 0, end)
    while at >= 0:
        if at + 1 < end and data[at + 1] == second:
            marks += 1
        at = data.find(first, at + 1, end)
    return marks


class SampleFinder:
    """Finds the ids of timed messages in one connection's bytes."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytearray, end: int) -> list[bytes]:
        """The ids that are complete with the first `end` bytes of `data`."""
        if self._rest:
            data = bytearray(self._rest + data[:end])
            end = len(data)
            self._rest = b""
        ids = []
        at = data.find(SAMPLE, 0, end)
        while at >= 0:
            if at + 1 + ID_BYTES > end:
                self._rest = bytes(data[at:end])
                break
            ids.append(bytes(data[at + 1 : at + 1 + ID_BYTES]))
            at = data.find(SAMPLE, at + 1 + ID_BYTES, end)
        return ids


class Samples:
    """When timed messages were sent, and how long they took. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.latencies_s: list[float] = []
        self._clock = clock
        self._sent_at: dict[bytes, float] = {}
        self._ids = cycle("".join(digits).encode() for digits in product(DIGITS, repeat=ID_BYTES))

    def begin(self) -> None:
        """A new round begins."""
        self.latencies_s = []

    def new_id(self) -> bytes:
        """An id that has not been used for long."""
        return next(self._ids)

    def sent(self, sample: bytes, at: float) -> None:
        """It has been sent at this time."""
        self._sent_at[sample] = at

    def arrived(self, ids: list[bytes]) -> None:
        """These have come, one receiver's each."""
        now = self._clock()
        sent_at = self._sent_at
        self.latencies_s += [now - sent_at[sample] for sample in ids if sample in sent_at]


def find_pings(data: bytearray, end: int) -> list[bytes]:
    """The payloads of WebSocket pings among whole frames of ASCII text.

    The byte may also stand in the length of a frame: a ping has at most 125 bytes and another frame
    behind it. One that is cut off is answered with what has come: it is the sign of life that counts.
    """
    found = []
    at = data.find(_PING, 0, end)
    while at >= 0:
        size = data[at + 1] if at + 1 < end else 0
        behind = at + 2 + size
        if size < 126 and (behind >= end or data[behind] in _FRAME_STARTS):
            found.append(bytes(data[at + 2 : min(behind, end)]))
        at = data.find(_PING, at + 1, end)
    return found
