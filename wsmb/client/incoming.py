"""What is received: asked for on each connection, and acknowledged on the one it came on. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from wsmb import wire
from wsmb.client import commands
from wsmb.client.core import Confirm, Connection, Delivery
from wsmb.client.errors import ClientError, RefusedError
from wsmb.client.sends import Later
from wsmb.errors import Code

DEFAULT_PREFETCH = wire.DEFAULT_PREFETCH
_AGAIN_S = 1.0
"""After which a `receive-message` that was refused for now is tried again."""

Answered = Callable[[Confirm | None], None]
"""Gets the confirm of a command; None if the connection ended before it came."""


class Arrival:
    """A frame that has come, and the connection on which its number means something."""

    __slots__ = ("connection", "event", "is_answered", "number")

    def __init__(self, event: Delivery, connection: Connection | None) -> None:
        self.event = event
        self.connection = connection
        self.number = event.number
        """By which to acknowledge it; None if there is nothing to acknowledge."""
        self.is_answered = False


class Arrived:
    """What a program sees of a frame, whatever the kind of client."""

    __slots__ = ("_data", "arrival")

    def __init__(self, arrival: Arrival) -> None:
        self.arrival = arrival
        self._data: list[Any] | None = None

    @property
    def channel(self) -> str:
        """The channel that it came on."""
        return str(self.arrival.event.channel)

    @property
    def data(self) -> list[Any]:
        """The items, which are acknowledged together.

        Raises ValueError for JSON that Python cannot hold, such as the number 1e400.
        """
        if self._data is None:
            found = msgspec.json.decode(self.arrival.event.data)
            self._data = found if isinstance(found, list) else [found]
        return self._data

    @property
    def raw(self) -> bytes:
        """The JSON of `data` as it came."""
        return bytes(self.arrival.event.data)

    @property
    def redelivered(self) -> bool:
        """Whether it has been tried before."""
        return self.arrival.event.is_redelivered


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


class Incoming:
    """All that is received, by channel.

    `expect` gives the number with which a command is to ask for its confirm, and has it answered.
    """

    def __init__(self, later: Later, expect: Callable[[Answered], int]) -> None:
        self._later = later
        self._expect = expect
        self._connection: Connection | None = None
        self._subscriptions: dict[str, Subscription] = {}

    def opened(self, connection: Connection) -> None:
        """A connection is open: ask for all channels."""
        self._connection = connection
        for subscription in self._subscriptions.values():
            self._ask_for(subscription, connection)

    def lost(self) -> None:
        """It has ended: what came on it comes again."""
        self._connection = None

    def fail(self, error: ClientError) -> None:
        """Nothing more will come."""
        self._connection = None
        for channel in list(self._subscriptions):
            self.withdrawn(channel, error)

    def subscribe(self, subscription: Subscription) -> None:
        """Receive on this connection and all that follow. Raises ValueError for what is no channel."""
        commands.check_channel(subscription.channel)
        if subscription.channel in self._subscriptions:
            raise ValueError(f"it receives on {subscription.channel} already")
        self._subscriptions[subscription.channel] = subscription
        if self._connection is not None:
            self._ask_for(subscription, self._connection)

    def receives(self, channel: str) -> bool:
        """Whether there is a subscription to it."""
        return channel in self._subscriptions

    def unsubscribe(self, subscription: Subscription) -> None:
        """Receive no more. What has not been taken from it goes to others; what has can be acknowledged."""
        if not self._is_subscribed(subscription):
            return
        del self._subscriptions[subscription.channel]
        if self._connection is not None:
            self._connection.send(commands.leave_channel(subscription.channel))
            untaken = subscription.untaken()
            numbers = [one.number for one in untaken if one.number is not None and self.is_open(one)]
            if numbers:
                self._connection.send(commands.reject_message(numbers))

    def withdrawn(self, channel: str, error: ClientError) -> None:
        """Nothing more comes on this channel."""
        subscription = self._subscriptions.pop(channel, None)
        if subscription is not None:
            subscription.ended(error)

    def arrived(self, event: Delivery) -> None:
        """A frame has come."""
        subscription = self._subscriptions.get(str(event.channel))
        if subscription is not None:
            subscription.arrived(Arrival(event, self._connection))
        elif event.number is not None and self._connection is not None:
            # On its way when the channel was left.
            self._connection.send(commands.reject_message([event.number]))

    def is_open(self, arrival: Arrival) -> bool:
        """Whether it came on the present connection, so that its number means something."""
        return self._connection is not None and arrival.connection is self._connection

    def answer(
        self,
        arrival: Arrival,
        answered: Answered | None,
        command: Callable[[list[int], int | None], bytes],
    ) -> bool:
        """Say what has become of it, once; False if that cannot be said, and nothing is `answered`."""
        connection = self._connection
        if arrival.number is None or arrival.is_answered or connection is None or not self.is_open(arrival):
            return False
        arrival.is_answered = True
        confirm = None if answered is None else self._expect(answered)
        connection.send(command([arrival.number], confirm))
        return True

    def _ask_for(self, subscription: Subscription, connection: Connection) -> None:
        def answered(confirm: Confirm | None) -> None:
            if confirm is None or confirm.is_accepted or not self._is_subscribed(subscription):
                return
            if confirm.response_code == Code.UNAVAILABLE.number:
                self._later(_AGAIN_S, again)
            else:
                error = RefusedError(confirm.response_code, confirm.response_text)
                self.withdrawn(subscription.channel, error)

        def again() -> None:
            if self._connection is connection and self._is_subscribed(subscription):
                self._ask_for(subscription, connection)

        number = self._expect(answered)
        channel, prefetch = subscription.channel, subscription.prefetch
        connection.send(commands.receive_message(channel, prefetch=prefetch, confirm=number))

    def _is_subscribed(self, subscription: Subscription) -> bool:
        return self._subscriptions.get(subscription.channel) is subscription
