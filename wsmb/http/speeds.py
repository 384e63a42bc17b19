"""How fast it goes on each channel: from what is counted anyway, looked at while somebody looks."""

from __future__ import annotations

from collections.abc import Mapping

LEAST_S = 0.5
"""Between two looks that are compared: several who look share them."""
MOST_S = 60.0
"""A look that is older is compared with nothing: the mean of an hour says little of now."""


class Speeds:
    """Frames a second, between the last two looks."""

    def __init__(self) -> None:
        self._looked_s = float("-inf")
        self._frames: Mapping[str, int] = {}
        self._speeds: dict[str, float] = {}

    def is_due(self, now_s: float) -> bool:
        """Whether it is time for another look."""
        return now_s - self._looked_s >= LEAST_S

    def look(self, now_s: float, frames: Mapping[str, int]) -> None:
        """So many frames there have been on each channel. What was not there before began with none; a
        count that is less than before has begun anew."""
        passed_s, before = now_s - self._looked_s, self._frames
        self._speeds = {}
        if passed_s <= MOST_S:
            for name, count in frames.items():
                old = before.get(name, 0)
                self._speeds[name] = (count - old if count >= old else count) / passed_s
        self._looked_s, self._frames = now_s, frames

    def of(self, name: str) -> float | None:
        """Of one channel; None if it is not known yet."""
        return self._speeds.get(name)
