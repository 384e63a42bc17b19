"""Channels on which only the broker itself sends: those whose names begin with `$`."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

from wsmb import replies
from wsmb.access import RESERVED
from wsmb.channels import Channel
from wsmb.deliveries import Message
from wsmb.errors import Code, CommandError
from wsmb.settings import ChannelSettings, KeepData
from wsmb.surroundings import Surroundings
from wsmb.traces import PREFIX


class ReservedChannel(Channel):
    """One of them, as somebody receives there.

    (A kind of its own, so that for other channels a message is not asked what its channel is called.)
    """

    def send(self, *_: object, **__: object) -> NoReturn:
        """Raises CommandError (FORBIDDEN)."""
        refuse(self.name)

    def send_text(self, *_: object, **__: object) -> NoReturn:
        """The same."""
        refuse(self.name)


class TraceChannel(ReservedChannel):
    """Where somebody follows a message (see Traces). Nothing waits there, whatever the settings say."""

    def __init__(self, name: str, settings: ChannelSettings, around: Surroundings) -> None:
        super().__init__(name, replace(settings, keep_data=KeepData.NEVER), around)

    def use_settings(self, settings: ChannelSettings) -> None:
        """See Channel."""
        super().use_settings(replace(settings, keep_data=KeepData.NEVER))

    def tell(self, step: bytes) -> None:
        """A step (a JSON text) to who is here."""
        self._hand_to_any(Message(replies.waiting(self.name, (step,)), (step,), 0, None))


def make_channel(name: str, settings: ChannelSettings, around: Surroundings) -> Channel:
    """The channel `name`, of the kind that its name says."""
    if not name.startswith(RESERVED):
        return Channel(name, settings, around)
    kind = TraceChannel if name.startswith(PREFIX) else ReservedChannel
    return kind(name, settings, around)


def refuse(name: str) -> NoReturn:
    """Raises CommandError (FORBIDDEN)."""
    raise CommandError(Code.FORBIDDEN, f"only the broker itself sends on {name}")
