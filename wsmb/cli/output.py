"""Standard output: written at once, whatever it is, and never in the way of a signal."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable
from typing import Any


class OutputInterrupted(Exception):  # noqa: N818 (it is no error)
    """A signal has come while a write was blocked."""


class Output:
    """Writes to a file descriptor and waits until that has taken it.

    The wait is wanted: a pong leaves only after the items that came before its ping have been written.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_writing = False

    def write(self, data: bytes) -> None:
        """Write all of `data`. Raises OSError (EPIPE if nobody reads any more) and OutputInterrupted."""
        try:
            self._is_writing = True
            while data:
                try:
                    data = data[os.write(self._descriptor, data) :]
                except BlockingIOError:
                    # Somebody who shares it has set O_NONBLOCK.
                    select.select([], [self._descriptor], [])
        finally:
            self._is_writing = False

    def interrupt(self) -> None:
        """Break off a write. Only for a signal's handler: Python would go on with the write after it."""
        if self._is_writing:
            raise OutputInterrupted

    def watch(self, reactor: Any, closed: Callable[[], None]) -> None:
        """Call `closed` when nobody reads any more, so that no item is taken for nobody."""
        if stat.S_ISFIFO(os.fstat(self._descriptor).st_mode):
            reactor.addReader(_Hangup(self._descriptor, reactor, closed))


class _Hangup:
    """The writing end of a pipe, as a reader of Twisted's kind: all it can ever be told is the end."""

    def __init__(self, descriptor: int, reactor: Any, closed: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._reactor = reactor
        self._closed = closed

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def logPrefix(self) -> str:
        """For Twisted's log."""
        return "output"

    def doRead(self) -> None:
        """Its reader is gone."""
        self._reactor.removeReader(self)
        self._closed()

    def connectionLost(self, reason: object) -> None:
        """Its reader is gone."""
        self.doRead()
