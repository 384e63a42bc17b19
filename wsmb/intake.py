"""How much all senders together may have unfinished, and what happens beyond that."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from wsmb.errors import Code, CommandError
from wsmb.pulse import BEATS_PER_SECOND, Pulse

PATIENCE_BEATS = 8 * BEATS_PER_SECOND  # the original's sender waits 10 s for its receipt


class Sender(Protocol):
    """Whoever has something unfinished (the Answers of a connection)."""

    def hold_on(self) -> None:
        """Read no more commands until `go_on`."""

    def go_on(self) -> None:
        """Read again, unless there is another reason not to."""

    def give_up(self, before_beat: int) -> None:
        """Wait no more for what was begun before that beat and is unfinished: it is refused, though it may
        get finished all the same."""


class Intake:
    """Counts what was taken but is neither delivered nor committed yet.

    Beyond `max_bytes` senders are not read any more, so that TCP slows them. If nothing at all gets
    stored for eight seconds (the database is away), senders are told so of what they have been waiting
    for so long; what they send then is taken as long as there is room, and refused beyond that.
    """

    __slots__ = (
        "_finished",
        "_max_bytes",
        "_pulse",
        "_refuses",
        "_slowed",
        "_still_since",
        "_waiting",
        "bytes",
        "refused",
    )

    def __init__(self, max_bytes: int, pulse: Pulse) -> None:
        self._max_bytes = max_bytes
        self._pulse = pulse
        self.bytes = 0
        self.refused: Counter[str] = Counter()
        """Commands of all senders that could not be carried out, by code."""
        self._waiting: set[Sender] = set()
        self._slowed: set[Sender] = set()
        self._refuses = False
        self._finished = 0
        self._still_since = (0, 0)  # how many were finished, and at which beat that was first seen

    @property
    def beats(self) -> int:
        """The time, as its beats count it."""
        return self._pulse.beats

    def use_limit(self, max_bytes: int) -> None:
        """From now on there may be so much."""
        self._max_bytes = max_bytes
        self._look_for_room()

    def begin(self, sender: Sender, cost_bytes: int) -> None:
        """`sender` has begun something that takes so much memory until it is finished.

        Raises CommandError (UNAVAILABLE) if it has to be refused.
        """
        if self.bytes > self._max_bytes and (self._refuses or self.bytes > 2 * self._max_bytes):
            raise CommandError(Code.UNAVAILABLE, "too much waits for the database already")
        if not self._waiting:
            self._still_since = (self._finished, self._pulse.beats)
            self._pulse.waiting.add(self)
        self._waiting.add(sender)
        self.bytes += cost_bytes
        if self.bytes > self._max_bytes and not self._refuses:
            self._slowed.add(sender)
            sender.hold_on()

    def finish(self, cost_bytes: int, is_stored: bool) -> None:
        """Something is finished; `is_stored`: by the store."""
        self.bytes -= cost_bytes
        self._finished += is_stored
        self._look_for_room()

    def _look_for_room(self) -> None:
        if self.bytes <= self._max_bytes // 2:
            self._refuses = False
            if self._slowed:
                self._let_go_on()

    def leave(self, sender: Sender) -> None:
        """`sender` waits for nothing any more."""
        self._waiting.discard(sender)

    def forget(self, sender: Sender) -> None:
        """`sender` has gone."""
        self._waiting.discard(sender)
        self._slowed.discard(sender)

    def beat(self) -> None:
        """See Beating."""
        if not self._waiting:
            return
        finished, since = self._still_since
        if finished != self._finished:
            self._still_since = (self._finished, self._pulse.beats)
        elif self._pulse.beats - since >= PATIENCE_BEATS and self._pulse.beats % BEATS_PER_SECOND == 0:
            self._refuses = True
            for sender in list(self._waiting):
                sender.give_up(self._pulse.beats - PATIENCE_BEATS)
            self._let_go_on()
        self._pulse.waiting.add(self)

    def _let_go_on(self) -> None:
        slowed, self._slowed = self._slowed, set()
        for sender in slowed:
            sender.go_on()
