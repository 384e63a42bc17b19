"""Channels that are sent on and that nobody receives on."""

from __future__ import annotations

from collections.abc import Callable

from wsmb.settings import ChannelSettings

MOST_CHANNELS = 4_000
"""That are remembered: those that clients make up must not fill the memory."""


class _Unattended:
    __slots__ = ("frames", "settings")

    def __init__(self, settings: ChannelSettings) -> None:
        self.settings = settings
        self.frames = 0


class Unattended:
    """Their settings, which are asked for with each message, and how many messages there were.

    Of too many channels, the half on which least was sent is forgotten.
    """

    __slots__ = ("_found", "_settings")

    def __init__(self, settings: Callable[[str], ChannelSettings]) -> None:
        """`settings` gives those of any channel."""
        self._settings = settings
        self._found: dict[str, _Unattended] = {}

    def sent(self, channel: str) -> ChannelSettings:
        """One more frame is sent there; the settings that it is sent by."""
        found = self._found.get(channel)
        if found is None:
            found = self._find(channel)
        found.frames += 1
        return found.settings

    def frames(self, channel: str) -> int:
        """How many were sent there, as far as that is remembered."""
        found = self._found.get(channel)
        return 0 if found is None else found.frames

    def use_settings(self, settings: Callable[[str], ChannelSettings]) -> None:
        """From now on these count."""
        self._settings = settings
        for channel, found in self._found.items():
            found.settings = settings(channel)

    def _find(self, channel: str) -> _Unattended:
        if len(self._found) >= MOST_CHANNELS:
            ranked = sorted(self._found.items(), key=lambda entry: entry[1].frames)
            self._found = dict(ranked[len(ranked) // 2 :])
        found = self._found[channel] = _Unattended(self._settings(channel))
        return found
