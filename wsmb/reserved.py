"""Channels on which only the broker itself sends: those whose names begin with `$`."""

from __future__ import annotations

from typing import NoReturn

from wsmb.access import RESERVED
from wsmb.channels import Channel
from wsmb.errors import Code, CommandError
from wsmb.settings import ChannelSettings
from wsmb.surroundings import Surroundings


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


def make_channel(name: str, settings: ChannelSettings, around: Surroundings) -> Channel:
    """The channel `name`, of the kind that its name says."""
    kind = ReservedChannel if name.startswith(RESERVED) else Channel
    return kind(name, settings, around)


def refuse(name: str) -> NoReturn:
    """Raises CommandError (FORBIDDEN)."""
    raise CommandError(Code.FORBIDDEN, f"only the broker itself sends on {name}")
