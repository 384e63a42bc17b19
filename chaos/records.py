"""What senders and receivers write down, a line for each thing; times are those of `now_us`.

A sender's file: `H sender channels items ids` (its plan), and then

    O time                              a connection was opened
    A time frame...                     these frames are sent again
    C time frame code stored duplicate  a confirm; `stored` as the broker says, `duplicate` 0 or 1
    ? time text                         something that must not be
    E time frames                       it has ended, having made so many frames

A receiver's file, one for each of its processes: `H channels`, and then

    O time           a connection was opened
    D time payload   a frame came, as it is
    P time           all the frames above are proved (acknowledged, or their ping answered)
    X time           the connection has ended

Each line is in the kernel's hands before what follows from it is done: it outlives a kill -9.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from chaos.connection import now_us
from chaos.items import Plan


class _Record:
    def __init__(self, path: Path, head: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._write(head.encode())

    def _write(self, lines: bytes) -> None:
        os.write(self._fd, lines + b"\n")


class SenderRecord(_Record):
    """A sender's file."""

    def __init__(self, path: Path, plan: Plan) -> None:
        super().__init__(path, f"H {plan.sender} {','.join(plan.channels)} {plan.items} {int(plan.with_ids)}")

    def opened(self) -> None:
        """A connection is open."""
        self._write(b"O %d" % now_us())

    def sent_again(self, frames: Sequence[int]) -> None:
        """These frames are sent again."""
        if frames:
            self._write(f"A {now_us()} {' '.join(map(str, frames))}".encode())

    def confirmed(self, confirms: Iterable[tuple[int, str, int, bool]]) -> None:
        """(frame, code, stored, duplicate) of each confirm that has come."""
        time_us = now_us()
        lines = [
            f"C {time_us} {frame} {code} {stored} {duplicate:d}"
            for frame, code, stored, duplicate in confirms
        ]
        if lines:
            self._write("\n".join(lines).encode())

    def odd(self, text: str) -> None:
        """Something happened that must not."""
        self._write(f"? {now_us()} {text}".encode())

    def ended(self, frames: int) -> None:
        """All is confirmed."""
        self._write(f"E {now_us()} {frames}".encode())


class ReceiverRecord(_Record):
    """The file of one process of a receiver."""

    def __init__(self, path: Path, channels: Iterable[str]) -> None:
        super().__init__(path, f"H {','.join(channels)}")

    def opened(self) -> None:
        """A connection is open."""
        self._write(b"O %d" % now_us())

    def received(self, payloads: Sequence[bytes]) -> None:
        """These frames have come."""
        time_us = now_us()
        if payloads:
            self._write(b"\n".join(b"D %d %s" % (time_us, payload) for payload in payloads))

    def proved(self) -> None:
        """What came on this connection up to now is proved."""
        self._write(b"P %d" % now_us())

    def ended(self) -> None:
        """The connection has ended."""
        self._write(b"X %d" % now_us())
