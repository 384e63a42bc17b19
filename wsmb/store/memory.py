"""The store that forgets with the process. It is given the time."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from wsmb.errors import Code, StoreError
from wsmb.figures import StoreFigures
from wsmb.interfaces import StoredItem
from wsmb.settings import ChannelSettings
from wsmb.stock import Rows, Stock
from wsmb.store.operations import Append


class _Line:
    """What waits on one channel: ids ascending, those removed among them until the next clean-up."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.data: dict[int, StoredItem] = {}
        self.head = 0
        """Where in `ids` the first one stands that is still there."""

    def append(self, item: StoredItem) -> None:
        self.ids.append(item.item_id)
        self.data[item.item_id] = item

    def remove(self, item_id: int) -> None:
        del self.data[item_id]
        while self.head < len(self.ids) and self.ids[self.head] not in self.data:
            self.head += 1
        if len(self.ids) > 2 * len(self.data):
            self.ids, self.head = list(self.data), 0

    def page(self, after_id: int, max_items: int, max_bytes: int) -> list[StoredItem]:
        found: list[StoredItem] = []
        size_bytes = 0
        for index in range(bisect_right(self.ids, after_id, self.head), len(self.ids)):
            item = self.data.get(self.ids[index])
            if item is None:
                continue
            size_bytes += len(item.data)
            if len(found) >= max_items or (found and size_bytes > max_bytes):
                break
            found.append(item)
        return found


class MemoryStore:
    """See MessageStore. `call_later` calls what it is given soon, but not before it has returned; `now`
    gives seconds."""

    def __init__(self, call_later: Callable[[Callable[[], None]], object], now: Callable[[], float]) -> None:
        self._call_later = call_later
        self._now = now
        self._lines: dict[str, _Line] = {}
        self._home_of: dict[int, tuple[str, float]] = {}
        """The channel of each item, and when it came."""
        self._largest_id = 0
        self._closed = False
        self.figures = StoreFigures()
        self._results: deque[Callable[[], None]] = deque()
        self.stock = Stock()

    @property
    def keys(self) -> Sequence[tuple[bytes, float]]:
        """See MessageStore.keys: it remembers nothing."""
        return ()

    def append(
        self,
        channel: str,
        items: Sequence[bytes],
        done: Callable[[Sequence[int] | StoreError], None],
        *,
        expires_at: float | None = None,
        key: bytes | None = None,
        within: ChannelSettings | None = None,
    ) -> None:
        """See MessageStore.append. A key is forgotten with the process, so it is not kept at all."""
        append = Append(channel, items, done)
        refusal = _closed() if self._closed else self.stock.begin(append, within)
        if refusal is not None:
            self._later(lambda: done(refusal))
            return
        self.figures.added += len(items)
        first_id = self._largest_id + 1
        self._largest_id += len(items)
        ids = list(range(first_id, first_id + len(items)))
        if items:
            line = self._lines.setdefault(channel, _Line())
            home = (channel, self._now())
        for item_id, data in zip(ids, items, strict=True):
            line.append(StoredItem(item_id, data, expires_at=expires_at))
            self._home_of[item_id] = home
        self.stock.finish(append, ids, append.size_bytes)
        self._later(lambda: done(ids))

    def remove(self, item_ids: Sequence[int]) -> None:
        """See MessageStore.remove."""
        self.figures.removed += len(item_ids)
        for item_id in item_ids:
            home = self._home_of.pop(item_id, None)
            if home is None:
                continue
            channel, _ = home
            line = self._lines[channel]
            self.stock.removed((Rows(channel, 1, len(line.data[item_id].data)),))
            line.remove(item_id)
            if not line.data:
                del self._lines[channel]

    def note_tries(self, tries: Mapping[int, int]) -> None:
        """See MessageStore.note_tries."""
        for item_id, count in tries.items():
            home = self._home_of.get(item_id)
            if home is not None:
                line = self._lines[home[0]].data
                line[item_id] = line[item_id]._replace(tries=count)

    def page(
        self,
        channel: str,
        after_id: int,
        max_items: int,
        max_bytes: int,
        done: Callable[[Sequence[StoredItem] | StoreError], None],
    ) -> None:
        """See MessageStore.page."""
        if self._closed:
            self._later(lambda: done(_closed()))
            return
        line = self._lines.get(channel)
        found = line.page(after_id, max_items, max_bytes) if line else []
        self._later(lambda: done(found))

    def ages(self, channels: Sequence[str], done: Callable[[Mapping[str, float] | StoreError], None]) -> None:
        """See MessageStore.ages."""
        if self._closed:
            self._later(lambda: done(_closed()))
            return
        now_s = self._now()
        lines = {name: self._lines[name] for name in channels if name in self._lines}
        ages = {name: now_s - self._home_of[line.ids[line.head]][1] for name, line in lines.items()}
        found = {name: float(max(int(age_s), 0)) for name, age_s in ages.items()}
        self._later(lambda: done(found))

    def check(self, done: Callable[[bool], None]) -> None:
        """See MessageStore.check."""
        alive = not self._closed
        self._later(lambda: done(alive))

    def close(self, done: Callable[[], None]) -> None:
        """See MessageStore.close."""
        self._closed = True
        self._lines.clear()
        self._home_of.clear()
        self._later(done)

    def _later(self, result: Callable[[], None]) -> None:
        self._results.append(result)
        if len(self._results) == 1:
            self._call_later(self._give_results)

    def _give_results(self) -> None:
        results, self._results = self._results, deque()
        for result in results:
            result()


def _closed() -> StoreError:
    return StoreError(Code.UNAVAILABLE, "the store is closed")
