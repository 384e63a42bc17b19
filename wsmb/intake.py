"""How much all senders together may have unfinished, and what happens beyond that."""

from __future__ import annotations

from typing import Protocol

from wsmb.errors import Code, CommandError
from wsmb.pulse import BEATS_PER_SECOND, Pulse

PATIENCE_BEATS = 10 * BEATS_PER_SECOND


class Sender(Protocol):
    """Whoever can be told to wait (a Session)."""

    def hold_on(self) -> None:
        """Read no more commands until `go_on`."""

    def go_on(self) -> None:
        """Read again, unless there is another reason not to."""


class Intake:
    """Counts what was taken but is neither delivered nor committed yet.

    Beyond `max_bytes` senders are not read any more, so that TCP slows them. If nothing at all gets
    finished for ten seconds (the database is away), they are read again, and what would have to wait
    is refused, until there is room.
    """

    __slots__ = ("_finished", "_max_bytes", "_pulse", "_refuses", "_slowed", "_still_since", "bytes")

    def __init__(self, max_bytes: int, pulse: Pulse) -> None:
        self._max_bytes = max_bytes
        self._pulse = pulse
        self.bytes = 0
        self._slowed: list[Sender] = []
        self._refuses = False
        self._finished = 0
        self._still_since = (0, 0)  # how many were finished, and at which beat that was first seen

    def begin(self, sender: Sender, cost_bytes: int) -> None:
        """`sender` has begun something that takes so much memory until it is finished.

        Raises CommandError (UNAVAILABLE) if it has to be refused.
        """
        if self._refuses or self.bytes > 2 * self._max_bytes:
            raise CommandError(Code.UNAVAILABLE, "too much waits for the database already")
        self.bytes += cost_bytes
        if self.bytes > self._max_bytes:
            if not self._slowed:
                self._still_since = (self._finished, self._pulse.beats)
                self._pulse.waiting.add(self)
            self._slowed.append(sender)
            sender.hold_on()

    def finish(self, cost_bytes: int) -> None:
        """Something is finished."""
        self.bytes -= cost_bytes
        self._finished += 1
        if (self._slowed or self._refuses) and self.bytes <= self._max_bytes // 2:
            self._refuses = False
            self._let_go_on()

    def beat(self) -> None:
        """See Beating."""
        if not self._slowed:
            return
        finished, since = self._still_since
        if finished != self._finished:
            self._still_since = (self._finished, self._pulse.beats)
        elif self._pulse.beats - since >= PATIENCE_BEATS:
            self._refuses = True
            self._let_go_on()
            return
        self._pulse.waiting.add(self)

    def _let_go_on(self) -> None:
        slowed, self._slowed = self._slowed, []
        for sender in slowed:
            sender.go_on()
