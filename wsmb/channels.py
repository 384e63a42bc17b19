"""One channel: what goes to whom, and what goes behind what.

On a channel that keeps messages a frame goes to its receivers at once only while its backlog is clear;
else it goes behind what waits: into memory, if its turn will come soon, or into the store.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import msgspec

from wsmb import frames, wire
from wsmb.backlog import Backlog, Done, Later
from wsmb.errors import StoreError
from wsmb.fanout import Fanout
from wsmb.interfaces import MessageStore, Peer
from wsmb.receivers import Receivers
from wsmb.settings import ChannelSettings, KeepData

HELD_BYTES = 8_388_608
HELD_FRAME_COST = 500


class Ledger(Protocol):
    """Counts the commands of a sender that are not finished (a Session does)."""

    def begin(self, cost_bytes: int) -> Done:
        """A command of so many bytes is not finished yet. The result is called when it is, but never
        before the call that began it has returned."""


class HeldFrame:
    """A frame that waits in memory for its turn."""

    __slots__ = ("data", "done", "dropped", "ids", "limit", "payload", "sender")

    def __init__(self, payload: bytes, data: msgspec.Raw, limit: int, sender: Peer, done: Done) -> None:
        self.payload = payload
        self.data = data
        self.limit = limit
        self.sender = sender
        self.done = done
        self.ids: Sequence[int] | None = None
        """Under `always`: its ids in the store, once it is committed."""
        self.dropped = False
        """Under `always`: whether it was left to the store before it was committed."""

    @property
    def cost_bytes(self) -> int:
        """About how much memory it takes."""
        return len(self.payload) + HELD_FRAME_COST


class Channel:
    """The receivers of one channel, and the order of what they get."""

    def __init__(
        self, name: str, settings: ChannelSettings, store: MessageStore, fanout: Fanout, later: Later
    ) -> None:
        self.name = name
        self._fanout = fanout
        self.default_limit = settings.number_of_receiver
        self._store = store
        self._receivers = Receivers(settings.receiver_choice)
        self._always = settings.keep_data is KeepData.ALWAYS
        self._keeps = settings.keep_data is not KeepData.NEVER
        self._held: deque[HeldFrame] = deque()
        self._held_bytes = 0
        # Until the backlog is clear, all goes to the store: for memory there is too much, or it waits
        # too long.
        self._spilled = False
        self._backlog = Backlog(
            name,
            settings,
            store,
            self._receivers,
            fanout,
            later,
            held_from=self._held_from,
            cleared=self._cleared,
            rests=self._rests,
        )

    @property
    def is_idle(self) -> bool:
        """Whether nobody receives here, so that nothing is lost if the channel is forgotten."""
        return not len(self._receivers)

    def join(self, peer: Peer) -> None:
        """`peer` receives from now on, what is waiting first. To join twice is to join once."""
        if self._receivers.join(peer) and self._keeps:
            self._backlog.joined()

    def leave(self, peer: Peer) -> None:
        """`peer` receives no more. If it was the last one, what is held goes to the store."""
        if self._receivers.leave(peer):
            self._backlog.left(peer)
            if self.is_idle:
                self._spill()

    def close(self) -> None:
        """Hand out nothing more of what waits; what is held goes to the store."""
        self._backlog.close()
        self._spill()

    def send(self, payload: bytes, data: msgspec.Raw, limit: int, sender: Peer, ledger: Ledger) -> None:
        """Carry out one frame, now or, having begun an entry in `ledger`, later."""
        chosen = self._choose(limit, sender) if self._keeps else self._receivers.choose(limit, sender)
        if chosen and (not self._keeps or (self._backlog.is_clear and not self._always)):
            self._fanout.send(chosen, frames.text_frame(payload))
        elif self._keeps:
            done = ledger.begin(len(payload))
            if (chosen or self._held) and not self._spilled:
                self._hold(HeldFrame(payload, data, limit, sender, done))
            else:
                self._backlog.keep(data, sender, done)

    def _choose(self, limit: int, sender: Peer) -> Sequence[Peer]:
        """Who is to have a frame; where messages are kept, nobody if none of them can take more now."""
        chosen = self._receivers.choose(limit, sender)
        if self._keeps and chosen and chosen[0].is_full() and all(peer.is_full() for peer in chosen):
            return ()
        return chosen

    # What is held in memory

    def _hold(self, held: HeldFrame) -> None:
        if self._held_bytes + held.cost_bytes > HELD_BYTES:
            self._spill()
            self._backlog.keep(held.data, held.sender, held.done)
            return
        self._held.append(held)
        self._held_bytes += held.cost_bytes
        if self._always:
            self._store.append(self.name, wire.items(held.data), lambda result: self._committed(held, result))

    def _committed(self, held: HeldFrame, result: Sequence[int] | StoreError) -> None:
        if isinstance(result, StoreError):
            if not held.dropped:
                self._held.remove(held)
                self._held_bytes -= held.cost_bytes
            held.done(result)
        else:
            held.ids = result
            if held.dropped:
                self._backlog.leave_there(held.sender, result)
            held.done(None)
        self._send_held()

    def _send_held(self) -> None:
        while self._held and self._backlog.is_clear:
            held = self._held[0]
            if self._always and held.ids is None:
                return
            self._held.popleft()
            self._held_bytes -= held.cost_bytes
            self._send_one_held(held)

    def _send_one_held(self, held: HeldFrame) -> None:
        chosen = self._choose(held.limit, held.sender)
        if chosen:
            self._fanout.send(chosen, frames.text_frame(held.payload))
        if held.ids is None:
            if chosen:
                held.done(None)
            else:
                self._backlog.keep(held.data, held.sender, held.done)
        elif chosen:
            self._store.remove(held.ids)
        else:
            self._backlog.leave_there(held.sender, held.ids)

    def _spill(self) -> None:
        """Leave what is held to the store."""
        self._spilled = self._keeps
        held, self._held, self._held_bytes = self._held, deque(), 0
        for one in held:
            if not self._always:
                self._backlog.keep(one.data, one.sender, one.done)
            elif one.ids is None:
                one.dropped = True
            else:
                self._backlog.leave_there(one.sender, one.ids)

    # What the backlog asks and tells

    def _held_from(self) -> int | None:
        return next((held.ids[0] for held in self._held if held.ids), None)

    def _cleared(self) -> None:
        self._spilled = False
        self._send_held()

    def _rests(self) -> None:
        # Under `always` senders have had their receipt; else they would wait for it all the while.
        if not self._always:
            self._spill()
