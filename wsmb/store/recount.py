"""When the store counts what waits: at the start, and again from time to time."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.base import DelayedCall

from wsmb.errors import StoreError
from wsmb.stock import Stock
from wsmb.store.operations import Count

LOOK_EVERY_S = 60.0
EVERY_LOOKS = 60
"""An hour."""
FIRST_ROWS, MOST_ROWS = 100, 10_000
PORTION_BYTES = 4_194_304


class Recount:
    """Asks for a count, portion by portion, each behind what was asked meanwhile: at once, then every hour,
    and a minute after something was refused, since another program may have made room.
    """

    def __init__(
        self,
        submit: Callable[[Count], None],
        call_later: Callable[..., DelayedCall],
        stock: Stock,
    ) -> None:
        self._submit = submit
        self._call_later = call_later
        self._stock = stock
        self._looks = 0
        self._timer: DelayedCall | None = call_later(0, self._begin)
        self._stopped = False

    def stop(self) -> None:
        """Ask for nothing more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        self._timer = None
        self._looks = 0
        self._stock.begin_count()
        self._submit(Count(0, FIRST_ROWS, self._counted))

    def _counted(self, count: Count, error: StoreError | None) -> None:
        if error is None:
            self._stock.counted(count.found, count.last_id)
        else:
            self._stock.give_up_count()
        if self._stopped:
            return
        if error is None and count.last_id is not None:
            self._submit(Count(count.last_id, _next_rows(count), self._counted))
        else:
            self._timer = self._call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._looks += 1
        if self._stock.has_refused or self._looks >= EVERY_LOOKS:
            self._begin()
        else:
            self._timer = self._call_later(LOOK_EVERY_S, self._look)


def _next_rows(count: Count) -> int:
    """As many as are about PORTION_BYTES, if they are like the last ones."""
    size_bytes = sum(rows.bytes for rows in count.found)
    return max(1, min(MOST_ROWS, count.most * PORTION_BYTES // max(size_bytes, 1)))
