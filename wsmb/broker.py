"""All channels of a broker: who sends and receives on which."""

from __future__ import annotations

import msgspec

from wsmb.backlog import Later, keep
from wsmb.channels import Channel, Ledger
from wsmb.fanout import Fanout
from wsmb.interfaces import MessageStore, Peer
from wsmb.settings import KeepData, Settings


class Broker:
    """The one place where senders and receivers meet.

    It remembers the channels that somebody receives on; what waits on the others, only the store
    knows. So a sender that makes up channel names costs no memory here.
    """

    def __init__(self, settings: Settings, store: MessageStore, later: Later) -> None:
        self._settings = settings
        self._store = store
        self._later = later
        self._fanout = Fanout()
        self._channels: dict[str, Channel] = {}
        self.keeps = settings.keeps_data

    @property
    def store(self) -> MessageStore:
        """Where waiting items are."""
        return self._store

    @property
    def channel_count(self) -> int:
        """How many channels somebody receives on."""
        return len(self._channels)

    def close(self) -> None:
        """The broker stops: leave what is held in memory to the store."""
        for channel in self._channels.values():
            channel.close()

    def receive(self, name: str, peer: Peer) -> None:
        """`peer` receives on the channel `name` from now on."""
        channel = self._channels.get(name)
        if channel is None:
            settings = self._settings.channel(name)
            channel = Channel(name, settings, self._store, self._fanout, self._later)
            self._channels[name] = channel
        channel.join(peer)

    def leave(self, name: str, peer: Peer) -> None:
        """`peer` receives no more on the channel `name`, if it did."""
        channel = self._channels.get(name)
        if channel is not None:
            channel.leave(peer)
            if channel.is_idle:
                del self._channels[name]

    def send(
        self, name: str, payload: bytes, data: msgspec.Raw, limit: int | None, sender: Peer, ledger: Ledger
    ) -> None:
        """Carry out one `send-message` frame on the channel `name`.

        `payload` goes to the receivers as it is; `data` is its raw `data`; `limit`: how many
        receivers, 0 for all, None for the channel's setting. What is not carried out at once is
        begun in `ledger`.
        """
        channel = self._channels.get(name)
        if channel is not None:
            channel.send(payload, data, channel.default_limit if limit is None else limit, sender, ledger)
        elif self._settings.channel(name).keep_data is not KeepData.NEVER:
            keep(self._store, name, data, ledger.begin(len(payload)))
