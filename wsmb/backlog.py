"""What waits for one channel in the store: read page by page, handed out batch by batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from wsmb import frames, wire
from wsmb.errors import StoreError
from wsmb.fanout import Fanout
from wsmb.interfaces import MessageStore, Peer, StoredItem
from wsmb.receivers import Receivers
from wsmb.settings import ChannelSettings

PAGE_ITEMS = 200
PAGE_BYTES = 65_536
BATCH_BYTES = 8_192
FULL_RETRY_S = 0.05
LONGEST_RETRY_S = 1.0

Done = Callable[[StoreError | None], None]
"""Told once that a frame was carried out, delivered or committed, or why it could not be."""

Later = Callable[[float, Callable[[], None]], object]
"""Calls back after so many seconds."""


class Backlog:
    """The waiting items of one channel. It begins unclear, since only the store knows what waits.

    `held_from` gives the first id of the items that the channel itself will deliver from memory, though
    they are in the store; `cleared` is called when nothing is left for those who receive, `rests` when
    the rest will take a while.
    """

    def __init__(
        self,
        name: str,
        settings: ChannelSettings,
        store: MessageStore,
        receivers: Receivers,
        fanout: Fanout,
        later: Later,
        *,
        held_from: Callable[[], int | None],
        cleared: Callable[[], None],
        rests: Callable[[], None],
    ) -> None:
        self._name = name
        self._settings = settings
        self._store = store
        self._receivers = receivers
        self._fanout = fanout
        self._later = later
        self._held_from = held_from
        self._cleared = cleared
        self._rests = rests
        self.is_clear = False
        """Whether nothing waits that one of the present receivers may have."""
        self._page: deque[StoredItem] = deque()
        self._cursor = 0
        self._grown = False  # something was added since the last page was asked for
        self._reading = False
        self._stale = False  # what is being read is not wanted any more
        self._resting = False
        self._closed = False
        self._retry_s = FULL_RETRY_S
        # What the receivers sent themselves, which they do not get back: the ids, in ranges.
        self._own: dict[Peer, list[range]] = {}
        self._last_sender: Peer | None = None
        self._skipped = False  # something was left there since it is the only receiver's own

    def keep(self, data: msgspec.Raw, sender: Peer, done: Done) -> None:
        """Add the items of a frame."""

        def kept(result: Sequence[int] | StoreError) -> None:
            if isinstance(result, StoreError):
                done(result)
            else:
                self._note_own(sender, result)
                done(None)

        self._store.append(self._name, wire.items(data), kept)
        self._grow()

    def leave_there(self, sender: Peer, ids: Sequence[int]) -> None:
        """These items of `sender` are in the store already, and nobody will deliver them from memory."""
        self._note_own(sender, ids)
        self._grow()

    def joined(self) -> None:
        """Somebody receives now who did not before."""
        if self._skipped:
            self._skipped = self.is_clear = False
            self._stale = self._reading
            self._page.clear()
            self._cursor = 0
        self._drain()

    def left(self, peer: Peer) -> None:
        """`peer` receives no more."""
        self._own.pop(peer, None)

    def close(self) -> None:
        """Hand out nothing more."""
        self._closed = True

    def _grow(self) -> None:
        self.is_clear = False
        self._grown = True
        self._drain()

    def _note_own(self, sender: Peer, ids: Sequence[int]) -> None:
        if ids and sender in self._receivers:
            ranges = self._own.setdefault(sender, [])
            if ranges and self._last_sender is sender:
                # What lies between belongs to other channels.
                ranges[-1] = range(ranges[-1].start, ids[-1] + 1)
            else:
                ranges.append(range(ids[0], ids[-1] + 1))
        self._last_sender = sender

    def _owners(self, item_id: int) -> set[Peer]:
        return {peer for peer, ranges in self._own.items() if any(item_id in ids for ids in ranges)}

    def _drain(self) -> None:
        if self.is_clear or self._closed or self._reading or self._resting or not len(self._receivers):
            return
        if self._page:
            self._hand_out()
        else:
            self._reading = True
            self._grown = False
            self._store.page(self._name, self._cursor, PAGE_ITEMS, PAGE_BYTES, self._read)

    def _read(self, result: Sequence[StoredItem] | StoreError) -> None:
        self._reading = False
        if self._closed:
            return
        if self._stale:
            self._stale = False
            self._drain()
        elif isinstance(result, StoreError):
            self._rest(LONGEST_RETRY_S)
        else:
            end = self._held_from()
            self._page.extend(item for item in result if end is None or item.item_id < end)
            if self._page:
                self._hand_out()
            else:
                self._at_end()

    def _at_end(self) -> None:
        if self._grown:
            self._drain()
        elif self._cursor and not self._skipped:
            # The original program may have added a row with an id that it had taken earlier.
            self._cursor = 0
            self._drain()
        else:
            self.is_clear = True
            if not self._skipped:
                self._own.clear()
            self._cleared()

    def _hand_out(self) -> None:
        """Send the page, batch by batch; then the next page is read."""
        while self._page and len(self._receivers):
            owners = self._owners(self._page[0].item_id)
            if not self._receivers.any_but(owners):
                self._cursor = self._page.popleft().item_id
                self._skipped = True
                continue
            taker = self._receivers.taker(owners)
            if taker is None:
                self._rest(self._retry_s)
                self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
                return
            self._retry_s = FULL_RETRY_S
            self._send_batch(taker)
            if self._settings.delay_send_s:
                self._rest(self._settings.delay_send_s)
                return
        self._drain()

    def _send_batch(self, taker: Peer) -> None:
        batch: list[StoredItem] = []
        size = 0
        while self._page and len(batch) < self._settings.limit:
            item = self._page[0]
            size += len(item.data)
            if batch and (size > BATCH_BYTES or taker in self._owners(item.item_id)):
                break
            batch.append(self._page.popleft())
        frame = frames.text_frame(wire.waiting(self._name, [item.data for item in batch]))
        self._fanout.send((taker,), frame)
        # The store would find nothing before it anyway, but might have to look at what it has removed.
        self._cursor = batch[-1].item_id
        self._store.remove([item.item_id for item in batch])

    def _rest(self, seconds: float) -> None:
        self._resting = True
        self._later(seconds, self._rested)
        self._rests()

    def _rested(self) -> None:
        self._resting = False
        self._drain()


def keep(store: MessageStore, name: str, data: msgspec.Raw, done: Done) -> None:
    """Put the items of `data` behind what waits on the channel `name`, on which nobody receives."""
    store.append(
        name, wire.items(data), lambda result: done(result if isinstance(result, StoreError) else None)
    )
