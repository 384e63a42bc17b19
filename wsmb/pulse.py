"""The broker's sense of time: ten beats a second, and who wants to hear them."""

from __future__ import annotations

from typing import Protocol

BEATS_PER_SECOND = 10


class Beating(Protocol):
    """Something that has to be looked after in time."""

    def beat(self) -> None:
        """A tenth of a second has passed. To be called again, it has to ask again."""


class Pulse:
    """Counts the beats and passes them on to those who have asked for the next one."""

    __slots__ = ("beats", "unix_time_s", "waiting")

    def __init__(self) -> None:
        self.beats = 0
        self.unix_time_s = 0.0
        """The time at the last beat, in seconds since 1970."""
        self.waiting: set[Beating] = set()
        """Who is to hear the next beat."""

    def beat(self, unix_time_s: float) -> None:
        """It is `unix_time_s` now. Raises what the first one of them raises, when all have heard it."""
        self.beats += 1
        self.unix_time_s = unix_time_s
        waiting, self.waiting = self.waiting, set()
        problem: Exception | None = None
        for one in waiting:
            try:
                one.beat()
            except Exception as error:
                problem = problem or error
        if problem is not None:
            raise problem
