"""On which channels connections that are here have sent."""

from __future__ import annotations

from collections.abc import Collection, Iterable

MOST_CHANNELS = 10_000
"""With senders, in all: names that senders make up must not fill the memory."""
MOST_OF_ONE = 1_000
"""Channels of one connection."""
NOWHERE: frozenset[str] = frozenset()
"""Where a connection has sent that has not sent yet."""


class _Channel:
    __slots__ = ("count", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0


class Senders:
    """How many there are on each channel. Each connection keeps by itself where it is counted."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[str, _Channel] = {}

    @property
    def channels(self) -> Collection[str]:
        """Those that have some; as long as none comes or goes."""
        return self._found.keys()

    def of(self, channel: str) -> int:
        """How many have sent on it."""
        found = self._found.get(channel)
        return 0 if found is None else found.count

    def begin(self, channel: str) -> str | None:
        """One more has sent on it. Its name, as one object for all who have; None if it is one channel too
        many, and so not counted."""
        found = self._found.get(channel)
        if found is None:
            if len(self._found) >= MOST_CHANNELS:
                return None
            found = self._found[channel] = _Channel(channel)
        found.count += 1
        return found.name

    def end(self, channels: Iterable[str]) -> None:
        """One has left that was counted on these."""
        for channel in channels:
            found = self._found[channel]
            found.count -= 1
            if not found.count:
                del self._found[channel]
