"""How long the oldest item of each channel has been waiting, as far as somebody looks at it.

It is read from the store, in portions, and known from then on: since items go from the front of a channel
and come at its end, what was known is the longest that it can be now.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from wsmb.errors import StoreError
from wsmb.interfaces import MessageStore

FRESH_S = 0.9
"""For so long what was read is good enough: whoever looks does so once a second."""
PORTION = 100
"""Channels that are read together."""
MOST_PORTIONS = 10
"""For one look."""
PATIENCE_S = 0.25
"""With the store: then a look has to do with what is known."""

Wanted = Callable[[], Sequence[str]]
"""The channels that are to be known, as far as that can be said already: it is asked again after each
portion."""


class _Known(NamedTuple):
    """Both by the reactor's clock."""

    read_s: float
    since_s: float
    """When the oldest item came; if there was none, what is there now came later."""
    is_there: bool


class Ages:
    """See above. The store is asked for one portion at a time, however many look."""

    def __init__(self, store: MessageStore, reactor: Any) -> None:
        self._store = store
        self._reactor = reactor
        self._known: dict[str, _Known] = {}
        self._looks: dict[_Look, None] = {}
        self._is_asking = self._is_refused = False

    def of(self, name: str) -> float | None:
        """Seconds; None if they are not known."""
        known = self._known.get(name)
        if known is None or not known.is_there:
            return None
        return float(self._reactor.seconds() - known.since_s)

    def most(self, name: str) -> float | None:
        """Seconds that it cannot be more than; None if it was never read."""
        known = self._known.get(name)
        return None if known is None else float(self._reactor.seconds() - known.since_s)

    def keep(self, names: Collection[str]) -> None:
        """On all other channels nothing waits any more."""
        if len(self._known) > len(names):
            self._known = {name: known for name, known in self._known.items() if name in names}

    def look(self, wanted: Wanted, done: Callable[[], None]) -> Callable[[], None]:
        """Call `done`, at once or later, when what is `wanted` is known as it is now, or as far as it can be
        in PATIENCE_S. What it gives is to be called if nobody waits for that any more."""
        look = _Look(wanted, done)
        look.timer = self._reactor.callLater(PATIENCE_S, self._finish, look)
        self._looks[look] = None
        self._step(look)
        return lambda: self._forget(look)

    def _step(self, look: _Look) -> None:
        if self._is_asking:
            return
        missing = [name for name in look.wanted() if not self._is_fresh(name)][:PORTION]
        if not missing or look.portions == MOST_PORTIONS or self._is_refused:
            self._finish(look)
            return
        look.portions += 1
        self._is_asking = True
        self._store.ages(missing, lambda found: self._answered(missing, found))

    def _is_fresh(self, name: str) -> bool:
        known = self._known.get(name)
        return known is not None and self._reactor.seconds() - known.read_s < FRESH_S

    def _answered(self, names: Sequence[str], found: Mapping[str, float] | StoreError) -> None:
        self._is_asking = False
        if isinstance(found, StoreError):
            self._is_refused = True  # it is closed, or cannot tell, and will not the next time either
        else:
            now_s = self._reactor.seconds()
            for name in names:
                self._known[name] = _Known(now_s, now_s - found.get(name, 0.0), name in found)
        for look in list(self._looks):
            self._step(look)

    def _finish(self, look: _Look) -> None:
        if look in self._looks:
            self._forget(look)
            look.done()

    def _forget(self, look: _Look) -> None:
        self._looks.pop(look, None)
        if look.timer.active():
            look.timer.cancel()


class _Look:
    """Somebody waits."""

    timer: Any

    def __init__(self, wanted: Wanted, done: Callable[[], None]) -> None:
        self.wanted = wanted
        self.done = done
        self.portions = 0
