"""Lines of standard input, streamed into a conversation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

CHUNK_BYTES = 65_536
MAX_LINE_BYTES = 16_777_216


class Lines:
    """Cuts bytes into lines, and counts them from 1. Of a line that is too long only its number is kept."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self._number = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes | None]]:
        """The (number, line) of each line that ends in `chunk`; None for one that is too long."""
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._add(piece)
            yield self._end_line()
        self._add(rest)

    def end(self) -> Iterator[tuple[int, bytes | None]]:
        """The last line, if it has no line break."""
        if self._size_bytes:
            yield self._end_line()

    def _add(self, piece: bytes) -> None:
        self._size_bytes += len(piece)
        if self._size_bytes > self._max_bytes:
            self._pieces.clear()
        else:
            self._pieces.append(piece)

    def _end_line(self) -> tuple[int, bytes | None]:
        self._number += 1
        line = b"".join(self._pieces) if self._size_bytes <= self._max_bytes else None
        self._pieces.clear()
        self._size_bytes = 0
        return self._number, line


class InputReader:
    """Reads a file descriptor while the reactor says that there is something, and may be paused.

    It is a push producer and a reader of Twisted's kinds. `feed` gets each chunk, `end` comes once.
    The descriptor stays as it is: O_NONBLOCK would hold for everyone who has the terminal open.
    """

    def __init__(
        self, reactor: Any, descriptor: int, feed: Callable[[bytes], None], end: Callable[[], None]
    ) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._feed = feed
        self._end: Callable[[], None] | None = end

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def logPrefix(self) -> str:
        """For Twisted's log."""
        return "input"

    def doRead(self) -> None:
        """There is something to read."""
        chunk = os.read(self._descriptor, CHUNK_BYTES)
        if chunk:
            self._feed(chunk)
        else:
            self.connectionLost(None)

    def connectionLost(self, reason: object) -> None:
        """The other end has been closed."""
        self._reactor.removeReader(self)
        end, self._end = self._end, None
        if end is not None:
            end()

    def resumeProducing(self) -> None:
        """Read on."""
        if self._end is not None:
            self._reactor.addReader(self)

    def pauseProducing(self) -> None:
        """Read nothing for now."""
        self._reactor.removeReader(self)

    stopProducing = pauseProducing
