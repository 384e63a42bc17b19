"""One channel: what goes to whom, and what goes behind what.

On a channel that keeps messages a frame goes to its receivers at once only while its backlog is clear
and one of them can take it; else it goes behind what waits: into memory, if its turn will come soon,
or into the store. Before anything newer goes into the store, what is outstanding goes there too, so
that the order of the store is the order in which all was sent.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wsmb.acks import Subscription
from wsmb.backlog import Backlog
from wsmb.deliveries import Done, Ledger, Message
from wsmb.frames import text_frame
from wsmb.held import Held
from wsmb.interfaces import Peer
from wsmb.outstanding import Outstanding
from wsmb.receiver import Receiver
from wsmb.receivers import Receivers
from wsmb.settings import ChannelSettings, KeepData
from wsmb.surroundings import Surroundings
from wsmb.texts import text_message
from wsmb.traces import Traces
from wsmb.unproved import Unproved

FRAME_COST = 500
ITEM_COST = 120


class Channel:
    """The receivers of one channel, and the order of what they get."""

    def __init__(self, name: str, settings: ChannelSettings, around: Surroundings) -> None:
        self.name = name
        self.default_limit = settings.number_of_receiver
        self.default_text_limit = settings.text_receivers
        self._settings = settings
        self._around = around
        self._fanout = around.fanout
        self._receivers = Receivers(settings.receiver_choice)
        self._always = settings.keep_data is KeepData.ALWAYS
        self._keeps = settings.keep_data is not KeepData.NEVER
        self._tracks = self._keeps or bool(settings.expire_field)
        self._is_emptying = False  # keeps messages only until none is left that it was to keep
        self._unproved = Unproved(name, settings, around, self)
        self._outstanding: Outstanding = self._unproved.outstanding
        self._forms = self._outstanding.forms
        self._backlog = Backlog(name, settings, around, self._receivers, self)
        self._held = Held(around, self._receivers, self._backlog, self._unproved, stores_first=self._always)
        self._number = 0

    @property
    def is_idle(self) -> bool:
        """Whether nobody receives here and nothing is outstanding: the channel may be forgotten."""
        return not len(self._receivers) and self._unproved.is_idle

    @property
    def follows(self) -> bool:
        """Whether what is sent here is proved, or delivered again."""
        return self._keeps or self._outstanding.has_acks

    @property
    def is_clear(self) -> bool:
        """Whether nothing waits in the store that one of the present receivers may have."""
        return not self._keeps or self._backlog.is_clear

    @property
    def frames(self) -> int:
        """How many frames were sent here."""
        return self._number

    @property
    def staying(self) -> int:
        """How many receive here, passing ones aside."""
        return len(self._receivers) - len(self._receivers.passing)

    def follow(self, traces: Traces | None) -> None:
        """Tell `traces` of what is handed out, if it is not None."""
        if traces is None:
            self._outstanding.tell_no_more()
        else:
            self._outstanding.tell(traces.handed, traces.settled)

    def use_settings(self, settings: ChannelSettings) -> None:
        """From now on these count, for what is here already as well.

        If it is to keep nothing any more, it first delivers what it has kept.
        """
        if settings == self._settings:
            return
        kept, keeps = self._keeps, settings.keep_data is not KeepData.NEVER
        self._settings = settings
        self.default_limit = settings.number_of_receiver
        self.default_text_limit = settings.text_receivers
        self._receivers.choice = settings.receiver_choice
        self._outstanding.use_timeout(settings.ack_timeout_s)
        self._always = settings.keep_data is KeepData.ALWAYS
        self._keeps, self._is_emptying = kept or keeps, kept and not keeps
        self._unproved.use_settings(settings, keeps=self._keeps)
        self._backlog.use_settings(settings)
        self._set_tracks()
        self._held.use_always(always=self._always)
        if keeps and not kept:
            self._backlog.begin_again()
        if self._keeps:
            self.room()

    def _set_tracks(self) -> None:
        self._tracks = self._keeps or self._outstanding.has_acks or bool(self._settings.expire_field)

    def _has_emptied(self) -> bool:
        """Whether nothing waits any more. If nothing is outstanding either, it keeps nothing from now on."""
        if not self._backlog.is_empty or self._held:
            return False
        if self._unproved.is_idle:
            self._keeps = self._is_emptying = False
            self._unproved.use_settings(self._settings, keeps=False)
            self._set_tracks()
        return True

    def join(self, receiver: Receiver, prefetch: int | None = None, *, is_passing: bool = False) -> None:
        """`receiver` receives from now on, what is waiting first, unless it `is_passing`; it acknowledges,
        if `prefetch` is given.

        To join twice is to join once, on the newer terms.
        """
        if self._is_emptying:
            self._has_emptied()
        is_new = self._receivers.join(receiver.peer, is_passing=is_passing)
        subscription = None
        if prefetch is not None:
            timeout_s = self._settings.ack_timeout_s
            subscription = Subscription(receiver.acks, prefetch, timeout_s, self._unproved)
        self._outstanding.join(receiver, subscription)
        self._set_tracks()
        # What has failed in this very turn of the reactor is older than what waits. (Not sooner: a channel
        # without anybody may be forgotten by that.)
        self._unproved.redeliver()
        if not is_passing:
            self._receive_waiting(receiver.peer, is_new=is_new)

    def stays(self, peer: Peer) -> None:
        """`peer` is not passing any more, if it was."""
        if self._receivers.stays(peer):
            self._receive_waiting(peer, is_new=True)

    def _receive_waiting(self, peer: Peer, *, is_new: bool) -> None:
        for message in self._around.lingering.take(self.name, peer) if is_new else ():
            if self._unproved.freshen(message):
                self._give(message, (peer,))
        if self._keeps:
            if is_new:
                self._backlog.joined()
            self.room()

    def leave(self, peer: Peer) -> None:
        """`peer` receives no more. If it was the last one, what is held goes to the store."""
        if self._receivers.leave(peer):
            self._backlog.left(peer)
            self._outstanding.leave(peer)
            if self._keeps and not len(self._receivers):
                self._held.leave_to_store()

    def close(self) -> None:
        """Hand out nothing more of what waits; what is only in memory goes to the store."""
        self._backlog.close()
        self._unproved.redeliver()
        if self._keeps:
            self._held.leave_to_store()

    def send(
        self,
        payload: bytes,
        data: msgspec.Raw | Sequence[bytes],
        limit: int,
        sender: Peer,
        ledger: Ledger,
        ttl_s: float | None = None,
        key: bytes | None = None,
        texts: Sequence[bytes] | None = None,
    ) -> int | None:
        """Carry out one frame: how many receivers it was handed to; None if it is begun in `ledger`.

        `texts`: see Message.
        """
        self._number += 1
        if not self._tracks:
            chosen = self._receivers.choose(limit, sender)
            if chosen:
                self._fanout.send(chosen, text_frame(payload))
            return len(chosen)
        expires_at = self._settings.expires_at(ttl_s, self._around.pulse.unix_time_s)
        message = Message(payload, data, limit, sender, self._number, expires_at, key, texts=texts)
        if self._settings.expire_field and not self._unproved.freshen(message):
            return 0
        if not self._keeps or (self._is_emptying and self._has_emptied()):
            return self._hand_to_any(message)
        if not self._always and not self._held and self._backlog.is_clear:
            chosen = self._held.choose(message)
            if chosen:
                return self._hand_now(message, chosen, ledger)
        self._held.put(message, ledger.begin(cost_bytes(payload)))
        if self._held and self._receivers.passing:
            self._backlog.look()  # if nothing waits, this need not wait either
        return None

    def send_text(self, text: bytes, limit: int, sender: Peer, ledger: Ledger) -> None:
        """Carry out one message of a connection with the channel in its URL."""
        receivers = self._receivers
        if not (self._tracks or receivers.passing) and len(self._forms.readers) == len(receivers) > 1:
            # Nobody needs it as JSON.
            self._number += 1
            self._fanout.send(receivers.choose(limit, sender), text_frame(text))
            return
        message = text_message(self.name, text, limit, sender, self._around.max_depth)
        message.expires_at = self._settings.expires_at(None, self._around.pulse.unix_time_s)
        if self._tracks:
            self.send(message.payload, message.items, limit, sender, ledger, texts=message.texts)
        else:
            self._number += 1
            self._hand_to_any(message)

    def put(self, message: Message, done: Done) -> None:
        """Items that come from no sender: behind what waits, or, where nothing is kept, to who is there."""
        if self._keeps:
            # Of what is held and in the store already, nothing may get stuck behind what goes there now.
            self._held.leave_to_store()
            self._backlog.keep(message, done, is_new=False)
        else:
            self._hand_to_any(message)
            done(None)

    def _hand_to_any(self, message: Message) -> int:
        """Where nothing is kept: to all who are there, but for what some are to get later.

        A text lingers, if nobody has got it but some who may be gone in a moment.
        """
        chosen = self._receivers.choose(message.limit, message.sender)
        if message.texts is not None and self._receivers.passing.issuperset(chosen):
            lingering = self._around.lingering
            chosen = [peer for peer in chosen if not lingering.is_behind(message, self.name, peer)]
            lingering.add(self.name, message, chosen)
        if chosen:
            self._give(message, chosen)
        return len(chosen)

    def _give(self, message: Message, peers: Sequence[Peer]) -> None:
        """Send what is not kept to `peers`. It is followed only for those who acknowledge."""
        if self._outstanding.has_acks:
            self.hand(message, peers)
        else:
            self._forms.send(message, peers)

    def _hand_now(self, message: Message, chosen: Sequence[Peer], ledger: Ledger) -> int | None:
        if message.key is None:
            self.hand(message, chosen)
            return len(chosen)
        message.done = ledger.begin(cost_bytes(message.payload))
        self.hand(message, chosen)
        self._unproved.finish(message, len(chosen))
        return None

    def room(self) -> None:
        """A receiver may be able to take more."""
        self._backlog.room()
        self._held.room()

    # What the backlog asks and tells (see Front), and what comes back unproved

    def hand(self, message: Message, peers: Sequence[Peer]) -> None:
        """Send `message` to `peers`; if they do not prove it, it is delivered again."""
        self._outstanding.hand(message, peers)

    def is_out(self, item_id: int) -> bool:
        """See Front."""
        return item_id in self._outstanding.ids

    def is_full(self, peer: Peer) -> bool:
        """See Front."""
        return self._outstanding.is_full(peer)

    def reads_texts(self, peer: Peer) -> bool:
        """See Front."""
        return peer in self._forms.readers

    def wait_for_room(self) -> None:
        """See Front."""
        self._outstanding.wait_for_room(self.room)

    def held_from(self) -> int | None:
        """See Front."""
        return self._held.first_id

    def cleared(self) -> None:
        """See Front."""
        self._held.cleared()

    def rests(self) -> None:
        """See Front."""
        self._held.store()

    def deliver_again(self, message: Message) -> bool:
        """Give a failed message to another receiver at once, if there is one. False if not."""
        if not self._keeps:
            self._hand_to_any(message)
            return True
        if message.is_batch or self._held or not self._backlog.is_clear:
            return False
        chosen = self._held.choose(message)
        if chosen:
            self.hand(message, chosen)
        return bool(chosen)

    def restored(self, ids: Sequence[int]) -> None:
        """Items in the store that were out wait again, in their old place."""
        self._backlog.restore(ids)

    def removed(self, ids: Sequence[int]) -> None:
        """Items have just been removed from the store."""
        self._backlog.removed(ids)


def cost_bytes(payload: bytes) -> int:
    """About how much memory a frame takes while it waits, item by item."""
    return len(payload) + FRAME_COST + ITEM_COST * payload.count(b",")
