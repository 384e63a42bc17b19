"""The core of all clients: commands out, events in, what is pending, what is asked for again. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import msgspec

from wsmb import wire
from wsmb.client import commands
from wsmb.client.core import Answer, Confirm, Connection, Delivery, Event, Loss, Refusal
from wsmb.client.errors import (
    PASSING,
    AdmissionError,
    ClientError,
    ClosedError,
    RefusedError,
    UnconfirmedError,
    UnreachableError,
)
from wsmb.client.outgoing import DEFAULT_PENDING, Later, Outcome, Outgoing, Send
from wsmb.client.subscription import Arrival, Subscription
from wsmb.errors import Code

TOO_BIG = 1009
NOBODY_S = 1.0
"""After which a refused `receive-message` is tried again."""
_HELLO = "wsmb"
"""A channel that is left at the beginning: every wsmb confirms that, and no original broker does."""

Answered = Callable[[Confirm | None], None]
"""Gets the confirm of a command; None if the connection ended before it came."""


class Exchange:
    """What a program wants, over one connection after the other. It is a core.Conversation.

    `clock` gives seconds, `later` calls back, `random` gives 0 to 1. `id_prefix` begins the message ids that
    are made here; no other client of the user may have it. `say` gets a line when a connection is lost or
    there again; `ended` the error with which all is over: refused, or closed.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        later: Later,
        random: Callable[[], float],
        id_prefix: str,
        say: Callable[[str], None],
        ended: Callable[[ClientError], None],
        max_pending: int = DEFAULT_PENDING,
    ) -> None:
        self._clock = clock
        self._later = later
        self._id_prefix = id_prefix
        self._say = say
        self._ended = ended
        self._numbers = count(1)
        self._connection: Connection | None = None
        self._asked: dict[str | int, Answered] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._ready: Callable[[], None] | None = None
        self._is_wsmb = False
        self._answers = 0
        self._was_lost = False
        self.outgoing = Outgoing(clock, later, random, max_pending)
        self.error: ClientError | None = None
        """Why all is over."""
        self.last_reason = ""
        """Why there is no connection."""
        self.is_well = False
        """What the last answer to a ping said."""

    # From the program

    def when_ready(self, ready: Callable[[], None]) -> None:
        """Call `ready` once there is a connection, to a broker that confirms."""
        self._ready = ready

    def send(
        self,
        channel: str,
        items: bytes,
        told: Callable[[Outcome], None],
        *,
        ttl: float | None = None,
        message_id: str | None = None,
        number_of_receiver: int | None = None,
    ) -> Send:
        """Send `items` (JSON, with commas between them) until it is known what has become of them.

        Raises ValueError for what is no channel, id, time to live or number, and ClientError if all is over.
        """
        if self.error is not None:
            raise self.error
        commands.check_channel(channel)
        number = next(self._numbers)
        if message_id is None:
            message_id = f"{self._id_prefix}{number}"
        else:
            commands.check_message_id(message_id)
        if ttl is not None and not ttl >= 0:
            raise ValueError("ttl is less than 0")
        payload = commands.send_message(
            channel, items, number_of_receiver, confirm=number, message_id=message_id
        )
        send = Send(number, channel, message_id, payload, None if ttl is None else self._clock() + ttl, told)
        self.outgoing.add(send)
        return send

    def subscribe(self, subscription: Subscription) -> None:
        """Receive, on this connection and all that follow. Raises as `send` does."""
        if self.error is not None:
            raise self.error
        commands.check_channel(subscription.channel)
        if subscription.channel in self._subscriptions:
            raise ValueError(f"it receives on {subscription.channel} already")
        self._subscriptions[subscription.channel] = subscription
        if self._connection is not None:
            self._ask_for(subscription, self._connection)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Receive no more. What has not been taken from it goes to others; what has can be acknowledged."""
        if self._subscriptions.get(subscription.channel) is not subscription:
            return
        del self._subscriptions[subscription.channel]
        untaken = [arrival.number for arrival in subscription.untaken() if self._is_open(arrival)]
        if self._connection is not None:
            self._connection.send(commands.leave_channel(subscription.channel))
            numbers = [number for number in untaken if number is not None]
            if numbers:
                self._connection.send(commands.reject_message(numbers))

    def acknowledge(self, arrival: Arrival, answered: Answered | None = None) -> bool:
        """It has been dealt with. False if its connection is gone: it comes again, and is not `answered`."""
        return self._answer(arrival, answered, commands.ack_message)

    def reject(
        self, arrival: Arrival, answered: Answered | None = None, *, requeue: bool, delay_s: float
    ) -> bool:
        """It has not been dealt with. False as above. Raises ValueError for what is no delay."""
        if not 0 <= delay_s <= wire.MAX_DELAY_S:
            raise ValueError(f"delay is not from 0 to {wire.MAX_DELAY_S}")

        def command(numbers: list[int], confirm: int | None) -> bytes:
            return commands.reject_message(numbers, confirm, delay_s=delay_s if requeue else None)

        return self._answer(arrival, answered, command)

    def ping(self, answered: Answered) -> None:
        """Have the broker say whether it `is_well`."""
        if self._connection is None:
            answered(None)
        else:
            self._connection.send(commands.ping(self._expect(answered)))

    @property
    def awaits_answers(self) -> bool:
        """Whether the broker is to say something that somebody may wait for."""
        return bool(self._asked or len(self.outgoing))

    def is_wanted(self, arrival: Arrival) -> bool:
        """Whether it is still to be dealt with here; else it comes again."""
        return arrival.number is None or self._is_open(arrival)

    def close(self) -> None:
        """All is over, since the program says so."""
        self._fail(ClosedError("closed"))

    def give_up(self) -> None:
        """All is over, since there was no connection in time."""
        self._fail(UnreachableError(f"no connection in time: {self.last_reason or 'no answer'}"))

    # From the connections: see core.Conversation

    def opened(self, connection: Connection) -> None:
        """A connection is open."""
        self._connection = connection
        self._answers = 0
        if not self._is_wsmb:
            connection.send(commands.leave_channel(_HELLO, self._expect(self._hello)))
            connection.send(commands.PING)
        for subscription in self._subscriptions.values():
            self._ask_for(subscription, connection)
        self.outgoing.opened(connection)

    def received(self, event: Event) -> None:
        """The broker has said something."""
        if self._was_lost:
            self._was_lost = False
            self._say("connected")
        if isinstance(event, Confirm):
            if not self.outgoing.confirmed(event):
                answered = self._asked.pop(event.confirm, None)
                if answered is not None:
                    answered(event)
        elif isinstance(event, Delivery):
            self._arrived(event)
        elif isinstance(event, Answer):
            self.is_well = event.is_accepted
            self._answers += 1
            # The greeting, and that to the ping, which stands behind what every wsmb confirms.
            if self._answers > 1 and not self._is_wsmb:
                self._fail(UnconfirmedError("this broker is no wsmb: it gives no confirms"))
        elif isinstance(event, Refusal) and event.response_code == Code.FORBIDDEN.number:
            self._withdrawn(event.channel, RefusedError(event.response_code, event.response_text))

    def lost(self, loss: Loss) -> None:
        """A connection has ended, or was not made."""
        was_open = self._connection is not None
        self._connection = None
        self.last_reason = loss.reason
        if loss.close_code == TOO_BIG:
            self.outgoing.too_large(loss.reason)
        self.outgoing.lost()
        asked, self._asked = self._asked, {}
        for answered in asked.values():
            answered(None)
        if loss.status is not None and loss.is_refusal:
            self._fail(AdmissionError(loss.status, loss.reason))
        elif loss.is_untrusted and not self._is_wsmb:
            self._fail(UnreachableError(loss.reason))
        elif self.error is None and (was_open or not self._was_lost):
            self._was_lost = True
            self._say(f"{loss.reason}; trying again")

    # Inside

    def _fail(self, error: ClientError) -> None:
        if self.error is not None:
            return
        self.error = error
        self._connection = None
        self.outgoing.fail(error)
        subscriptions, self._subscriptions = self._subscriptions, {}
        for subscription in subscriptions.values():
            subscription.ended(error)
        self._ended(error)

    def _expect(self, answered: Answered) -> int:
        number = next(self._numbers)
        self._asked[number] = answered
        return number

    def _hello(self, confirm: Confirm | None) -> None:
        if confirm is not None:
            self._is_wsmb = True
            if self._ready is not None:
                self._ready()

    def _ask_for(self, subscription: Subscription, connection: Connection) -> None:
        def answered(confirm: Confirm | None) -> None:
            if confirm is None or confirm.is_accepted:
                return
            if confirm.response_code in PASSING:
                self._later(NOBODY_S, again)
            else:
                error = RefusedError(confirm.response_code, confirm.response_text)
                self._withdrawn(subscription.channel, error)

        def again() -> None:
            if self._connection is connection and self._is_subscribed(subscription):
                self._ask_for(subscription, connection)

        number = self._expect(answered)
        channel, prefetch = subscription.channel, subscription.prefetch
        connection.send(commands.receive_message(channel, prefetch=prefetch, confirm=number))

    def _is_subscribed(self, subscription: Subscription) -> bool:
        return self._subscriptions.get(subscription.channel) is subscription

    def _withdrawn(self, channel: str, error: ClientError) -> None:
        subscription = self._subscriptions.pop(channel, None)
        if subscription is not None:
            subscription.ended(error)

    def _arrived(self, event: Delivery) -> None:
        subscription = self._subscriptions.get(str(event.channel))
        number = event.number
        if subscription is not None:
            subscription.arrived(Arrival(event, self._connection))
        elif number is not None and self._connection is not None:
            self._connection.send(commands.reject_message([number]))

    def _is_open(self, arrival: Arrival) -> bool:
        return self._connection is not None and arrival.connection is self._connection

    def _answer(
        self,
        arrival: Arrival,
        answered: Answered | None,
        command: Callable[[list[int], int | None], bytes],
    ) -> bool:
        if arrival.is_answered or arrival.number is None:
            return False
        if self._connection is None or not self._is_open(arrival):
            return False
        arrival.is_answered = True
        confirm = None if answered is None else self._expect(answered)
        self._connection.send(command([arrival.number], confirm))
        return True


def items_of(data: object) -> bytes:
    """What stands between the brackets of `data`: of a list its elements, else the one item that it is.

    Raises TypeError or ValueError for what is not to be had in JSON.
    """
    text = msgspec.json.encode(data)
    return text[1:-1] if isinstance(data, list | tuple) else text
