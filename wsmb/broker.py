"""All channels of a broker: who sends and receives on which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from wsmb import replies, wire
from wsmb.access import RESERVED, AccessList, AccessRules, Refusals
from wsmb.backlog import keep
from wsmb.channel_table import ChannelTable
from wsmb.channels import Channel, cost_bytes
from wsmb.deliveries import Done, Ledger, Message
from wsmb.errors import Code, CommandError
from wsmb.following import Following
from wsmb.intake import Intake
from wsmb.interfaces import MessageStore, Peer
from wsmb.message_ids import MessageIds
from wsmb.pulse import Pulse
from wsmb.receiver import Receiver
from wsmb.reserved import refuse
from wsmb.senders import Senders
from wsmb.settings import KeepData, Settings
from wsmb.surroundings import Later, Surroundings
from wsmb.texts import text_message
from wsmb.unattended import Unattended
from wsmb.watches import Watches


class Subscriber(Protocol):
    """A session that receives, or has received."""

    def access_changed(self) -> None:
        """Leave the channels that it may not receive on any more."""


class Broker:
    """The one place where senders and receivers meet."""

    def __init__(
        self, settings: Settings, store: MessageStore, later: Later, time_stamp: Callable[[], str]
    ) -> None:
        """`time_stamp` gives the time as it stands in replies."""
        self._settings = settings
        self._store = store
        self._counts_taken: Counter[str] = Counter()
        self._channels: dict[str, Channel] = {}
        self.following = Following(self._channels, time_stamp)
        """Which channels tell of what they hand out."""
        self.traces = self.following.traces
        """Which messages somebody wants to know about."""
        self._around = Surroundings(
            store, later, time_stamp, settings.max_buffer_bytes, bury=self.put, traces=self.traces
        )
        self.channels = ChannelTable(self._channels, settings, self._around, self.following)
        """Those that somebody receives on."""
        self._unattended = Unattended(settings.channel)
        self.senders = Senders()
        """Where connections that are here have sent."""
        self._use_limits(settings)
        self.is_stopping = False
        """Whether nothing new is to be taken any more."""
        self.is_closed = False
        """Whether the store takes nothing any more, not even removals."""
        self.intake = Intake(settings.max_buffer_bytes, self._around.pulse)
        self.access: AccessList | None = None
        """Who may do what; None where everyone may do everything, so that nothing is asked."""
        self.forbidden = Refusals()
        """What `access` has refused."""
        self.subscribers: set[Subscriber] = set()
        """Who is to be told of another access list."""
        self.use_access(settings.access)
        self.message_ids = MessageIds(self._around.pulse, store.keys)

    @property
    def store(self) -> MessageStore:
        """Where waiting items are."""
        return self._store

    @property
    def pulse(self) -> Pulse:
        """The time, as the broker knows it."""
        return self._around.pulse

    @property
    def time_stamp(self) -> Callable[[], str]:
        """Gives the time as it stands in replies."""
        return self._around.time_stamp

    def frames_on(self, name: str) -> int:
        """How many frames were sent on the channel `name`. It begins anew when the last receiver has left, or
        where too many channels are sent on that nobody receives on."""
        channel = self._channels.get(name)
        return self._unattended.frames(name) + (0 if channel is None else channel.frames)

    @property
    def held_bytes(self) -> int:
        """How much all channels hold in memory for receivers that have enough for now."""
        return self._around.held.bytes

    @property
    def watches(self) -> Watches:
        """Who wants to know when a frame has been proved."""
        return self._around.watches

    @property
    def settled(self) -> tuple[int, int]:
        """How many frames that were followed have failed, and how many were proved."""
        failed, proved = self._around.settled
        return failed, proved

    def follows(self, name: str) -> bool:
        """Whether what is sent on the channel `name` is proved, or delivered again."""
        channel = self._channels.get(name)
        if channel is None:
            return self._settings.channel(name).keep_data is not KeepData.NEVER
        return channel.follows

    def is_clear(self, name: str) -> bool:
        """Whether nothing waits in the store for those who receive on the channel `name`."""
        channel = self._channels.get(name)
        return channel is None or channel.is_clear

    @property
    def counts(self) -> Counter[str]:
        """How many items were `expired`, `dead`, `redelivered` or `lost`."""
        return self._around.counts

    def take_counts(self) -> Counter[str]:
        """Of `counts`, what has come since the last call."""
        counts = self.counts - self._counts_taken
        self._counts_taken = self.counts.copy()
        return counts

    def use_settings(self, settings: Settings) -> None:
        """From now on these count, for all that is here already as well, but for the limits of a single
        connection: those count for connections that are made from now on."""
        old, self._settings = self._settings, settings
        self._use_limits(settings)
        self._unattended.use_settings(settings.channel)
        self.intake.use_limit(settings.max_buffer_bytes)
        self._around.held.max_bytes = self._around.lingering.max_bytes = settings.max_buffer_bytes
        # Before the channels, which may deliver something: not to those who may not have it any more.
        if settings.access != old.access:
            self.use_access(settings.access)
        self.channels.use_settings(settings)

    def _use_limits(self, settings: Settings) -> None:
        self.keeps = settings.keeps_data
        self.limits = self._store.stock.limits = settings.limits
        self._around.max_depth = settings.limits.max_json_depth
        self.decode = wire.decoder(settings.limits.max_json_depth)
        # A frame of so many items and one more is longer than this.
        self.short_bytes = 2 * settings.limits.max_items_per_frame

    def use_access(self, rules: AccessRules | None) -> None:
        """From now on `rules` say who may do what, also to those who receive already."""
        self.access = None if rules is None else AccessList(rules, self.forbidden)
        for subscriber in tuple(self.subscribers):
            subscriber.access_changed()

    def default_limit(self, name: str) -> int:
        """How many receivers a frame on the channel `name` gets that does not say so itself; 0 for all."""
        channel = self._channels.get(name)
        return self._settings.channel(name).number_of_receiver if channel is None else channel.default_limit

    def default_text_limit(self, name: str) -> int:
        """The same for a text that is sent with the channel in the URL."""
        channel = self._channels.get(name)
        return self._settings.channel(name).text_receivers if channel is None else channel.default_text_limit

    def tick(self, unix_time_s: float) -> None:
        """It is `unix_time_s` now. To be called ten times a second."""
        self._around.pulse.beat(unix_time_s)

    def close(self) -> None:
        """The broker stops: leave what is held in memory to the store."""
        self.is_closed = True
        # What was sent since the last beat was tried, too, and is to be marked when it comes again.
        self._around.pulse.beat(self._around.pulse.unix_time_s)
        self.channels.close()

    def receiver(self, peer: Peer, user: str, *, reads_texts: bool = False, quiet_beats: int = 0) -> Receiver:
        """A connection of `user` as a receiver."""
        settings = self._settings
        return Receiver(
            peer,
            user,
            self.pulse,
            settings.max_outstanding_frames,
            settings.max_outstanding_bytes,
            reads_texts=reads_texts,
            quiet_beats=quiet_beats,
        )

    def check_running(self) -> None:
        """Raises CommandError (06) if nothing new is to be taken any more."""
        if self.is_stopping:
            raise CommandError(Code.UNAVAILABLE, "the broker stops")

    def send(
        self,
        name: str,
        payload: bytes,
        data: msgspec.Raw,
        limit: int | None,
        sender: Peer,
        ledger: Ledger,
        ttl_s: float | None = None,
        key: bytes | None = None,
    ) -> int | None:
        """Carry out one `send-message` frame on the channel `name`.

        `payload` goes to the receivers as it is; `data` is its raw `data`; `limit`: how many
        receivers, 0 for all, None for the channel's setting; `key`: its message id, if it has one.
        Returns how many receivers it was handed to. What is not carried out at once is begun in
        `ledger`: None.
        """
        channel = self._channels.get(name)
        if channel is not None:
            limit = channel.default_limit if limit is None else limit
            return channel.send(payload, data, limit, sender, ledger, ttl_s, key)
        if name.startswith(RESERVED):
            refuse(name)
        settings = self._unattended.sent(name)
        if settings.keep_data is KeepData.NEVER:
            return 0
        expires_at = settings.expires_at(ttl_s, self.pulse.unix_time_s)
        message = Message(payload, data, 0, sender, expires_at=expires_at, key=key)
        keep(self._around, name, message, ledger.begin(cost_bytes(payload)), settings)
        return None

    def send_text(self, name: str, text: bytes, limit: int | None, sender: Peer, ledger: Ledger) -> None:
        """Carry out one message of a connection with the channel `name` in its URL.

        `text`: UTF-8; see `send` for all else. What finds nobody lingers, or is kept.
        """
        channel = self._channels.get(name)
        if channel is not None:
            channel.send_text(text, channel.default_text_limit if limit is None else limit, sender, ledger)
            return
        if name.startswith(RESERVED):
            refuse(name)
        settings = self._unattended.sent(name)
        message = text_message(name, text, 0, sender, self.limits.max_json_depth)
        message.expires_at = settings.expires_at(None, self.pulse.unix_time_s)
        if settings.keep_data is KeepData.NEVER:
            self._around.lingering.add(name, message, ())
        else:
            keep(self._around, name, message, ledger.begin(cost_bytes(message.payload)), settings)

    def put(self, name: str, items: Sequence[bytes], done: Done) -> None:
        """Items (JSON texts) that come from no sender, such as dead letters, on the channel `name`."""
        channel = self._channels.get(name)
        message = Message(replies.waiting(name, items), items, 0, None)
        if channel is not None:
            channel.put(message, done)
        elif self._settings.channel(name).keep_data is not KeepData.NEVER:
            keep(self._around, name, message, done, within=None)
        else:
            done(None)
