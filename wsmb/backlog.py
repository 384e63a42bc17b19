"""What waits for one channel in the store: read page by page, handed out batch by batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from wsmb import replies
from wsmb.deliveries import Done, Message, is_expired
from wsmb.errors import StoreError
from wsmb.interfaces import Peer, StoredItem
from wsmb.receivers import Receivers
from wsmb.settings import ChannelSettings
from wsmb.surroundings import Surroundings
from wsmb.texts import text_of

PAGE_ITEMS = 200
PAGE_BYTES = 65_536
BATCH_BYTES = 8_192
FULL_RETRY_S = 1.0
ERROR_RETRY_S = 1.0


class Front(Protocol):
    """The rest of the channel, as its backlog sees it."""

    def hand(self, message: Message, peers: Sequence[Peer]) -> None:
        """Send `message` to `peers`, and see to it that it comes back here if they do not prove it."""

    def is_out(self, item_id: int) -> bool:
        """Whether an item of the store is with a receiver already."""

    def is_full(self, peer: Peer) -> bool:
        """Whether `peer` should not be given more now."""

    def reads_texts(self, peer: Peer) -> bool:
        """Whether `peer` is to get each item as a text."""

    def wait_for_room(self) -> None:
        """Call the backlog's `room` as soon as a receiver can take more."""

    def held_from(self) -> int | None:
        """The first id of the items that go from memory, though they are in the store."""

    def cleared(self) -> None:
        """Nothing is left for those who receive."""

    def rests(self) -> None:
        """The rest will take a while."""


class Backlog:
    """The waiting items of one channel. It begins unclear, since only the store knows what waits."""

    def __init__(
        self,
        name: str,
        settings: ChannelSettings,
        around: Surroundings,
        receivers: Receivers,
        front: Front,
    ) -> None:
        self._name = name
        self._settings = settings
        self._around = around
        self._store = around.store
        self._receivers = receivers
        self._front = front
        self.is_clear = False
        """Whether nothing waits that one of the present receivers may have."""
        self._page: deque[StoredItem] = deque()
        self._cursor = 0
        self._grown = False  # something was added since the last page was asked for
        self._reading = False
        self._gone: set[int] = set()  # removed since the page was asked for
        self._stale = False  # what is being read is not wanted any more
        self._looked_again = False  # from the first row, since something was handed out
        self._rest: object = None  # what it rests for, until it is set to something else
        self._rests_for_room = False
        self._is_sought = False  # though nobody may have what is found
        self._closed = False
        # What the receivers sent themselves, which they do not get back: the ids, in ranges.
        self._own: dict[Peer, list[range]] = {}
        self._last_sender: Peer | None = None
        self._skipped = False  # something was left there since it is the only receiver's own

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, for nobody at all."""
        return self.is_clear and not self._skipped

    def use_settings(self, settings: ChannelSettings) -> None:
        """From now on these count. If a shorter `delay_send` does, the longer one is waited for no more."""
        if settings.delay_send_s < self._settings.delay_send_s:
            self._rest = None
        self._settings = settings

    def begin_again(self) -> None:
        """Nothing is known of what waits, since nobody has looked for it so far."""
        self.is_clear = self._skipped = False
        self._read_again(0)

    def keep(self, message: Message, done: Done, *, is_new: bool) -> None:
        """Add the items of a message. `is_new`: its sender has not been told that it was taken."""

        def kept(result: Sequence[int] | StoreError) -> None:
            if self._around.traces:
                self._around.traces.stored(message, result)
            if isinstance(result, StoreError):
                done(result)
            else:
                if message.sender is not None:
                    self._note_own(message.sender, result)
                    if self._around.watches:
                        self._around.watches.stored(message.sender, result)
                done(None, stored=len(result))

        message.append_to(self._store, self._name, kept, self._settings if is_new else None)
        self._grow()

    def leave_there(self, sender: Peer | None, ids: Sequence[int]) -> None:
        """These items of `sender` are in the store already, and nobody will deliver them from memory."""
        if sender is not None:
            self._note_own(sender, ids)
        self._grow()

    def removed(self, ids: Sequence[int]) -> None:
        """These items have just been removed: a page that was asked for before may still show them."""
        if self._reading:
            self._gone.update(ids)

    def restore(self, ids: Sequence[int]) -> None:
        """These items, in the store all the while, wait again, in their old place."""
        if ids[0] <= self._cursor or self._page or self._reading:
            self._read_again(min(self._cursor, ids[0] - 1))
        self._grow()

    def joined(self) -> None:
        """Somebody receives what waits who did not before."""
        if self._skipped:
            self._skipped = self.is_clear = False
            self._read_again(0)
        self.room()

    def left(self, peer: Peer) -> None:
        """`peer` receives no more."""
        self._own.pop(peer, None)

    def room(self) -> None:
        """A receiver may be able to take more."""
        if self._rests_for_room:
            self._rest, self._rests_for_room = None, False
        self._drain()

    def look(self) -> None:
        """Find out whether anything waits, even if all who are here are passing."""
        self._is_sought = True
        self._drain()

    def close(self) -> None:
        """Hand out nothing more."""
        self._closed = True

    def _read_again(self, cursor: int) -> None:
        self._stale = self._reading
        self._page.clear()
        self._cursor = cursor

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
        if self.is_clear or self._closed or self._reading or self._rest or not len(self._receivers):
            return
        self._forget_expired()
        if self._page:
            self._hand_out()
        elif self._receivers.any_to_stay or self._is_sought:
            self._reading = True
            self._grown = False
            self._store.page(self._name, self._cursor, PAGE_ITEMS, PAGE_BYTES, self._read)

    def _read(self, result: Sequence[StoredItem] | StoreError) -> None:
        self._reading = False
        if self._closed:
            return
        if self._stale:
            self._stale = False
            self._gone.clear()
            self._drain()
        elif isinstance(result, StoreError):
            self._gone.clear()
            self._rest_for(ERROR_RETRY_S)
        else:
            self._take(result)

    def _take(self, items: Sequence[StoredItem]) -> None:
        gone, self._gone = self._gone, set()
        end = self._front.held_from()
        wanted = items if end is None else [item for item in items if item.item_id < end]
        self._page.extend(
            item for item in wanted if item.item_id not in gone and not self._front.is_out(item.item_id)
        )
        self._forget_expired()
        if self._page:
            self._looked_again = False
            self._hand_out()
        elif wanted:
            self._cursor = wanted[-1].item_id
            self._drain()
        else:
            self._at_end()

    def _forget_expired(self) -> None:
        now, field = self._around.pulse.unix_time_s, self._settings.expire_field
        expired = [item.item_id for item in self._page if is_expired(item.data, item.expires_at, field, now)]
        if expired:
            self._store.remove(expired)
            if self._around.traces:
                self._around.traces.expired(expired)
            self._around.counts["expired"] += len(expired)
            gone = set(expired)
            self._page = deque(item for item in self._page if item.item_id not in gone)

    def _at_end(self) -> None:
        if self._grown:
            self._drain()
        elif self._cursor and not self._skipped and not self._looked_again:
            # The original program may have added a row with an id that it had taken earlier.
            self._looked_again = True
            self._cursor = 0
            self._drain()
        else:
            self._looked_again = self._is_sought = False
            self.is_clear = True
            if not self._skipped:
                self._own.clear()
            self._front.cleared()

    def _hand_out(self) -> None:
        """Send the page, batch by batch; then the next page is read."""
        while self._page and len(self._receivers):
            owners = self._owners(self._page[0].item_id)
            if not self._receivers.any_for_waiting(owners):
                self._cursor = self._page.popleft().item_id
                self._skipped = True
                continue
            if not self._receivers.any_to_stay:
                return
            taker = self._receivers.taker(owners, self._front.is_full)
            if taker is None:
                self._rest_for(FULL_RETRY_S)
                self._rests_for_room = True
                self._front.wait_for_room()
                return
            self._send_batch(taker)
            if self._settings.delay_send_s:
                self._rest_for(self._settings.delay_send_s)
                return
        self._drain()

    def _send_batch(self, taker: Peer) -> None:
        batch: list[StoredItem] = []
        size = 0
        while self._page and len(batch) < self._settings.limit:
            item = self._page[0]
            size += len(item.data)
            if batch and (size > BATCH_BYTES or item.tries or taker in self._owners(item.item_id)):
                break
            batch.append(self._page.popleft())
            if item.tries:
                break  # alone: it may be what its receivers stumble over
        self._cursor = batch[-1].item_id
        items = [item.data for item in batch]
        message = Message(replies.waiting(self._name, items), items, 1, None)
        message.ids = [item.item_id for item in batch]
        message.is_batch = True
        message.tries = batch[0].tries
        if self._front.reads_texts(taker):
            message.texts = [text_of(item) for item in items]
        self._front.hand(message, (taker,))

    def _rest_for(self, seconds: float) -> None:
        rest = object()
        self._rest, self._rests_for_room = rest, False

        def rested() -> None:
            if self._rest is rest:
                self._rest = None
                self._drain()

        self._around.later(seconds, rested)
        self._front.rests()


def keep(
    around: Surroundings, name: str, message: Message, done: Done, within: ChannelSettings | None
) -> None:
    """Put `message` behind what waits on the channel `name`, on which nobody receives.

    `within`: see MessageStore.append.
    """

    def kept(result: Sequence[int] | StoreError) -> None:
        if around.traces:
            around.traces.stored(message, result)
        if isinstance(result, StoreError):
            done(result)
            return
        if around.watches:
            around.watches.stored(message.sender, result)
        done(None, stored=len(result))

    message.append_to(around.store, name, kept, within)
