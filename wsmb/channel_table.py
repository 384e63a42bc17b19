"""The channels that somebody receives on: who comes, who stays, who leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from wsmb.channels import Channel
from wsmb.errors import Code, CommandError
from wsmb.following import Following
from wsmb.interfaces import Peer
from wsmb.receiver import Receiver
from wsmb.reserved import make_channel
from wsmb.settings import Settings
from wsmb.surroundings import Surroundings


class ChannelTable:
    """A channel is there as long as somebody receives on it, or something that was sent there is not settled.

    What waits on the others, only the store knows. So a sender that makes up names costs no memory here.
    """

    def __init__(
        self, there: dict[str, Channel], settings: Settings, around: Surroundings, following: Following
    ) -> None:
        """`there`: what it is to keep its channels in, by their names."""
        self._there = there
        self._settings = settings
        self._around = around
        around.idle = self.forget
        self._following = following
        self.moved: Callable[[str, int], None] | None = None
        """Told the name of a channel on which so many more receive, or less, passing ones aside."""

    def __len__(self) -> int:
        return len(self._there)

    def __iter__(self) -> Iterator[str]:
        """Their names; as long as nobody comes or goes."""
        return iter(self._there)

    def receivers(self, name: str) -> int:
        """How many receive on the channel `name`, passing ones aside."""
        channel = self._there.get(name)
        return 0 if channel is None else channel.staying

    def use_settings(self, settings: Settings) -> None:
        """From now on these count, for the channels that are here as well."""
        old, self._settings = self._settings, settings
        if (settings.default_channel, settings.channels) != (old.default_channel, old.channels):
            for name, channel in list(self._there.items()):
                channel.use_settings(settings.channel(name))

    def has_room(self, name: str) -> bool:
        """Whether one may receive on the channel `name`: False if it would be one too many."""
        return name in self._there or len(self._there) < self._settings.limits.max_channels

    def check_room(self, name: str) -> None:
        """Raises CommandError (05) if the channel `name` would be one too many to receive on."""
        if not self.has_room(name):
            most = self._settings.limits.max_channels
            raise CommandError(Code.TOO_MANY, f"all {most} channels are in use")

    def receive(
        self, name: str, receiver: Receiver, prefetch: int | None = None, *, is_passing: bool = False
    ) -> None:
        """`receiver` receives on the channel `name` from now on; it acknowledges, if `prefetch` is given.

        If it `is_passing`, it may be gone in a moment, and gets nothing that waits until it `stays`.
        """
        channel = self._there.get(name)
        if channel is None:
            channel = self._there[name] = make_channel(name, self._settings.channel(name), self._around)
            self._following.made(channel)
        before = channel.staying
        channel.join(receiver, prefetch, is_passing=is_passing)
        self._note_move(channel, before)

    def stays(self, name: str, peer: Peer) -> None:
        """`peer`, which receives on the channel `name`, has come to receive."""
        channel = self._there[name]
        before = channel.staying
        channel.stays(peer)
        self._note_move(channel, before)

    def leave(self, name: str, peer: Peer) -> None:
        """`peer` receives no more on the channel `name`, if it did."""
        channel = self._there.get(name)
        if channel is not None:
            self._leave(channel, peer)
            self.forget(name)

    def end(self, receiver: Receiver, names: Iterable[str]) -> None:
        """The connection has ended, which received on the channels `names`: others get what it has not
        proved."""
        try:
            for name in names:
                self._leave(self._there[name], receiver.peer)
        finally:
            receiver.ended()
        for name in names:
            self.forget(name)

    def forget(self, name: str) -> None:
        """Let go of the channel `name`, if it is idle."""
        channel = self._there.get(name)
        if channel is not None and channel.is_idle:
            del self._there[name]
            if self._following.traces:
                self._following.forgotten(name)

    def close(self) -> None:
        """Leave to the store what is held in memory."""
        for channel in list(self._there.values()):
            channel.close()

    def _leave(self, channel: Channel, peer: Peer) -> None:
        before = channel.staying
        channel.leave(peer)
        self._note_move(channel, before)

    def _note_move(self, channel: Channel, before: int) -> None:
        if self.moved is not None and channel.staying != before:
            self.moved(channel.name, channel.staying - before)
