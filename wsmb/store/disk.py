"""Whether the disk has room for what is new. In the pool's thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wsmb.stock import Disk, Stock, is_low

LOOK_EVERY_S = 1.0


class DiskFloor:
    """Looks at most once a second, and only where something is to be stored.

    `disk` is Dialect.disk, `now` gives Unix time; the floor is in the limits of `stock`.
    """

    def __init__(self, disk: Callable[[Any], Disk | None], stock: Stock, now: Callable[[], float]) -> None:
        self._disk = disk
        self._stock = stock
        self._now = now
        self._looked_at = float("-inf")
        self._found: Disk | None = None

    def is_low(self, connection: Any) -> bool:
        """Whether there is less room than there is to be. Not where the disk is not known."""
        floor_bytes = self._stock.limits.min_free_disk_bytes
        if floor_bytes == 0:
            return False
        now = self._now()
        if abs(now - self._looked_at) >= LOOK_EVERY_S:  # the clock may have been set back
            self._looked_at = now
            self._found = self._look(connection)
        return self._found is not None and is_low(self._found, floor_bytes)

    def _look(self, connection: Any) -> Disk | None:
        try:
            return self._disk(connection)
        except OSError:
            return None
