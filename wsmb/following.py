"""Which channels tell of what they hand out: those on which a message was sent that somebody follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wsmb.channels import Channel
from wsmb.reserved import TraceChannel
from wsmb.traces import Traces


class Following:
    """See Traces, which knows the messages. `channels`: all that there are, by name."""

    def __init__(self, channels: Mapping[str, Channel], time_stamp: Callable[[], str]) -> None:
        self._channels = channels
        self._followed: dict[bytes, str] = {}  # by the key of the message
        self.traces = Traces(time_stamp, self._tell)

    def made(self, channel: Channel) -> None:
        """Somebody receives on `channel`, and nobody did before."""
        self.traces.begin(channel.name)
        if channel.name in self._followed.values():
            channel.follow(self.traces)

    def forgotten(self, name: str) -> None:
        """Nobody receives on the channel `name` any more."""
        followed = self._followed.pop(self.traces.end(name), "")
        if followed not in self._followed.values() and followed in self._channels:
            self._channels[followed].follow(None)

    def sent(self, key: bytes, name: str, *, is_new: bool) -> None:
        """A message with this key is sent on the channel `name`: for the first time, or again."""
        if not self.traces.follows(key):
            return
        self.traces.step(key, "taken" if is_new else "duplicate", channel=name)
        if name not in self._followed.values() and name in self._channels:
            self._channels[name].follow(self.traces)
        self._followed[key] = name

    def _tell(self, name: str, step: bytes) -> None:
        channel = self._channels.get(name)
        if isinstance(channel, TraceChannel):
            channel.tell(step)
