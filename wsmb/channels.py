"""One channel: what goes to whom, and what waits behind what.

A channel that keeps messages is *live* or *behind*. Live: nothing waits, a frame goes to its
receivers at once. Behind: something waits in the store, or may, since only the store knows; the
channel reads it page by page and hands it out, and a frame that comes meanwhile goes behind it, into
memory while there is room, else into the store. A channel that keeps nothing is always live.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from wsmb import frames, wire
from wsmb.errors import StoreError
from wsmb.interfaces import MessageStore, Peer, StoredItem
from wsmb.receivers import Receivers
from wsmb.settings import ChannelSettings, KeepData

PAGE_ITEMS = 200
PAGE_BYTES = 65_536
BATCH_BYTES = 8_192
HELD_BYTES = 8_388_608
HELD_FRAME_COST = 500
FULL_RETRY_S = 0.05

Done = Callable[[StoreError | None], None]
"""Told once that a frame was carried out, delivered or committed, or why it could not be."""


class Ledger(Protocol):
    """Counts the commands of a sender that are not finished (a Session does)."""

    def begin(self, cost_bytes: int) -> Done:
        """A command of so many bytes is not finished yet. The result is called when it is, but never
        before the call that began it has returned."""


Later = Callable[[float, Callable[[], None]], object]
"""Calls back after so many seconds."""


class HeldFrame:
    """A frame that waits in memory for its turn."""

    __slots__ = ("data", "done", "ids", "limit", "payload", "sender")

    def __init__(self, payload: bytes, data: msgspec.Raw, limit: int, sender: Peer, done: Done) -> None:
        self.payload = payload
        self.data = data
        self.limit = limit
        self.sender = sender
        self.done = done
        self.ids: Sequence[int] | None = None
        """Under `always`: its ids in the store, once it is committed."""

    @property
    def cost_bytes(self) -> int:
        """About how much memory it takes."""
        return len(self.payload) + HELD_FRAME_COST


class Channel:
    """The receivers of one channel, and the order of what they get."""

    def __init__(self, name: str, settings: ChannelSettings, store: MessageStore, later: Later) -> None:
        self.name = name
        self.default_limit = settings.number_of_receiver
        self._settings = settings
        self._store = store
        self._later = later
        self._receivers = Receivers(settings.receiver_choice)
        self._keeps = settings.keep_data is not KeepData.NEVER
        self._always = settings.keep_data is KeepData.ALWAYS
        self._behind = self._keeps
        self._grown = False  # something went to the store since the last page was asked for
        self._spilled = False  # memory was full: until all has been handed out, all goes to the store
        self._held: deque[HeldFrame] = deque()
        self._held_bytes = 0
        self._page: deque[StoredItem] = deque()
        self._cursor = 0
        self._reading = False
        self._resting = False
        # Receivers that sent what waits now, each with the first id: nobody gets back his own.
        self._own: dict[Peer, int] = {}
        self._stuck = False  # what waits is for others than those who are here

    @property
    def is_idle(self) -> bool:
        """Whether nobody receives here, so that nothing is lost if the channel is forgotten."""
        return not len(self._receivers)

    def join(self, peer: Peer) -> None:
        """`peer` receives from now on, what is waiting first. To join twice is to join once."""
        if self._receivers.join(peer) and self._behind:
            self._stuck = False
            self._drain()

    def leave(self, peer: Peer) -> None:
        """`peer` receives no more. If it was the last one, what is held goes to the store."""
        if self._receivers.leave(peer):
            self._own.pop(peer, None)
            if self.is_idle:
                self._spill()

    def close(self) -> None:
        """Hand out nothing more of what waits; what is held goes to the store."""
        self._resting = True
        self._page.clear()
        self._spill()

    def send(self, payload: bytes, data: msgspec.Raw, limit: int, sender: Peer, ledger: Ledger) -> None:
        """Carry out one frame, now or, having begun an entry in `ledger`, later."""
        chosen = self._receivers.choose(limit, sender)
        if chosen and (self._stuck or not self._behind) and not self._always:
            frame = frames.text_frame(payload)
            for peer in chosen:
                peer.send_frame(frame)
        elif self._keeps:
            done = ledger.begin(len(payload))
            if (chosen or self._held) and not self._spilled:
                self._hold(HeldFrame(payload, data, limit, sender, done))
            else:
                self._keep(data, sender, done)

    # What is held in memory

    def _hold(self, held: HeldFrame) -> None:
        if self._held_bytes + held.cost_bytes > HELD_BYTES:
            self._spill()
            self._keep(held.data, held.sender, held.done)
            return
        self._held.append(held)
        self._held_bytes += held.cost_bytes
        if self._always:
            self._store.append(self.name, wire.items(held.data), lambda result: self._committed(held, result))

    def _committed(self, held: HeldFrame, result: Sequence[int] | StoreError) -> None:
        if isinstance(result, StoreError):
            if held in self._held:
                self._held.remove(held)
                self._held_bytes -= held.cost_bytes
            held.done(result)
        else:
            held.ids = result
            held.done(None)
        self._send_held()

    def _send_held(self) -> None:
        while self._held and (self._stuck or not self._behind):
            held = self._held[0]
            if self._always and held.ids is None:
                return
            self._held.popleft()
            self._held_bytes -= held.cost_bytes
            self._send_one_held(held)

    def _send_one_held(self, held: HeldFrame) -> None:
        chosen = self._receivers.choose(held.limit, held.sender)
        frame = frames.text_frame(held.payload)
        for peer in chosen:
            peer.send_frame(frame)
        if held.ids is None:
            if chosen:
                held.done(None)
            else:
                self._keep(held.data, held.sender, held.done)
        elif chosen:
            self._store.remove(held.ids)
        else:
            self._fall_behind(held.sender, held.ids)

    def _spill(self) -> None:
        """Leave what is held to the store: there is no room, or nobody, for it in memory."""
        self._spilled = self._behind = self._grown = self._keeps
        held, self._held, self._held_bytes = self._held, deque(), 0
        if not self._always:
            for one in held:
                self._keep(one.data, one.sender, one.done)

    # What is in the store

    def _keep(self, data: msgspec.Raw, sender: Peer, done: Done) -> None:
        def kept(result: Sequence[int] | StoreError) -> None:
            if isinstance(result, StoreError):
                done(result)
            else:
                self._note_own(sender, result)
                done(None)

        self._behind = self._grown = True
        self._store.append(self.name, wire.items(data), kept)
        self._drain()

    def _fall_behind(self, sender: Peer, ids: Sequence[int]) -> None:
        self._note_own(sender, ids)
        self._behind = self._grown = True
        self._drain()

    def _note_own(self, sender: Peer, ids: Sequence[int]) -> None:
        if ids and sender in self._receivers:
            self._own.setdefault(sender, ids[0])

    def _drain(self) -> None:
        if self._reading or self._resting or self.is_idle:
            return
        if self._page:
            self._hand_out()
        else:
            self._reading = True
            self._grown = False
            self._store.page(self.name, self._cursor, PAGE_ITEMS, PAGE_BYTES, self._read)

    def _read(self, result: Sequence[StoredItem] | StoreError) -> None:
        self._reading = False
        if isinstance(result, StoreError):
            return
        # Held frames of `always` are in the store as well; they have their turn from memory.
        end = next((held.ids[0] for held in self._held if held.ids), None)
        self._page.extend(item for item in result if end is None or item.item_id < end)
        if self._page:
            self._hand_out()
        elif self._grown or self._cursor:
            # The original program may have added a row with an id that it had taken earlier.
            self._cursor = 0
            self._drain()
        else:
            self._catch_up()

    def _catch_up(self) -> None:
        self._behind = self._spilled = self._stuck = False
        self._own.clear()
        self._send_held()

    def _hand_out(self) -> None:
        """Send the page, batch by batch; then the next page is read."""
        while self._page:
            head = self._page[0].item_id
            own = {peer for peer, first_id in self._own.items() if first_id <= head}
            if not self._receivers.any_but(own):
                self._stuck = True
                self._send_held()
                return
            taker = self._receivers.taker(own)
            if taker is None:
                self._rest(FULL_RETRY_S)
                return
            self._send_batch(taker)
            if self._settings.delay_send_s:
                self._rest(self._settings.delay_send_s)
                return
        self._drain()

    def _send_batch(self, taker: Peer) -> None:
        end = self._own.get(taker)
        batch: list[StoredItem] = []
        size = 0
        while self._page and len(batch) < self._settings.limit and self._page[0].item_id != end:
            size += len(self._page[0].data)
            if batch and size > BATCH_BYTES:
                break
            batch.append(self._page.popleft())
        taker.send_frame(frames.text_frame(wire.waiting(self.name, [item.data for item in batch])))
        # The store would find nothing before it anyway, but might have to look at what it has removed.
        self._cursor = batch[-1].item_id
        self._store.remove([item.item_id for item in batch])

    def _rest(self, seconds: float) -> None:
        self._resting = True
        self._later(seconds, self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._drain()


def keep(store: MessageStore, name: str, data: msgspec.Raw, done: Done) -> None:
    """Put the items of `data` behind what waits on the channel `name`."""
    store.append(
        name, wire.items(data), lambda result: done(result if isinstance(result, StoreError) else None)
    )
