"""When a connection on which nothing comes is given up. No clock: it counts ticks.

Ticks, not seconds: after a pause of this process what has come is still to be read.
"""

from __future__ import annotations

from enum import Enum, auto

PING_TICKS = 3
SILENCE_TICKS = 6
DEFAULT_SILENCE_S = 60.0


class Step(Enum):
    """What is to be done at a tick."""

    NOTHING = auto()
    PING = auto()
    GIVE_UP = auto()


class Silence:
    """Counts the ticks, SILENCE_TICKS of them in the longest silence, since something came."""

    def __init__(self) -> None:
        self._quiet_ticks = 0

    def heard(self) -> None:
        """Something has come."""
        self._quiet_ticks = 0

    def tick(self) -> Step:
        """A tick has passed."""
        self._quiet_ticks += 1
        if self._quiet_ticks >= SILENCE_TICKS:
            return Step.GIVE_UP
        return Step.PING if self._quiet_ticks % PING_TICKS == 0 else Step.NOTHING
