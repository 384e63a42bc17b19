"""What is received on one channel. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from wsmb import wire
from wsmb.client.core import Connection, Delivery
from wsmb.client.errors import ClientError

DEFAULT_PREFETCH = wire.DEFAULT_PREFETCH


class Arrival:
    """A frame that has come, and the connection on which its number means something."""

    __slots__ = ("channel", "connection", "event", "is_answered", "number")

    def __init__(self, event: Delivery, connection: Connection | None) -> None:
        self.event = event
        self.connection = connection
        self.channel = str(event.channel)
        self.number = event.number
        """By which to acknowledge it; None if there is nothing to acknowledge."""
        self.is_answered = False

    def data(self) -> list[Any]:
        """Its items."""
        found = msgspec.json.decode(self.event.data)
        return found if isinstance(found, list) else [found]


def _nothing() -> Sequence[Arrival]:
    return ()


class Subscription:
    """Receiving on one channel, over all connections.

    `prefetch`: how many frames may be open; None if none is to be acknowledged. `arrived` gets each frame,
    `ended` the error after which nothing more comes. `untaken`: what has arrived, and nobody has taken.
    """

    def __init__(
        self,
        channel: str,
        prefetch: int | None,
        arrived: Callable[[Arrival], None],
        ended: Callable[[ClientError], None],
        untaken: Callable[[], Sequence[Arrival]] = _nothing,
    ) -> None:
        if prefetch is not None and prefetch < 1:
            raise ValueError("prefetch is less than 1")
        self.channel = channel
        self.prefetch = prefetch
        self.arrived = arrived
        self.ended = ended
        self.untaken = untaken
