"""When the store forgets what has expired, and message ids beyond their window."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.base import DelayedCall

from wsmb.stock import Stock
from wsmb.store.operations import Sweep

FIRST_AFTER_S, EVERY_S = 10.0, 60.0


class Sweeper:
    """Asks for a sweep every minute, portion by portion, each behind what was asked meanwhile.

    The first time it also looks for what the original program has left behind. `now` gives Unix time;
    `stock` is told what is gone.
    """

    def __init__(
        self,
        submit: Callable[[Sweep], None],
        call_later: Callable[..., DelayedCall],
        now: Callable[[], float],
        stock: Stock,
    ) -> None:
        self._submit = submit
        self._call_later = call_later
        self._now = now
        self._stock = stock
        self._orphans_after: int | None = 0
        self._timer: DelayedCall | None = call_later(FIRST_AFTER_S, self._sweep)
        self._stopped = False

    def stop(self) -> None:
        """Ask for nothing more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        self._timer = None
        self._submit(Sweep(self._now(), self._swept, self._orphans_after))

    def _swept(self, sweep: Sweep) -> None:
        self._stock.removed(sweep.gone)
        self._orphans_after = sweep.next_orphans_after
        if self._stopped:
            return
        if sweep.more:
            self._sweep()
        else:
            self._timer = self._call_later(EVERY_S, self._sweep)
