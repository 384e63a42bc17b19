"""The core of all clients: commands out, events in, what is pending, what is asked for again. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import msgspec

from wsmb import wire
from wsmb.client import commands
from wsmb.client.core import Answer, Confirm, Connection, Delivery, Event, Loss, Refusal
from wsmb.client.errors import (
    AdmissionError,
    ClientError,
    ClosedError,
    RefusedError,
    UnconfirmedError,
    UnreachableError,
)
from wsmb.client.incoming import Answered, Arrival, Incoming, Subscription
from wsmb.client.outgoing import DEFAULT_PENDING, Outgoing
from wsmb.client.sends import Later, Outcome, Send
from wsmb.errors import Code

ID_BYTES = 12
"""Of chance in what message ids begin with."""
_TOO_BIG = 1009
_HELLO = "wsmb"
"""A channel that is left at the beginning: every wsmb confirms that, and no original broker does."""


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
        self._id_prefix = id_prefix
        self._say = say
        self._ended = ended
        self._numbers = count(1)
        self._connection: Connection | None = None
        self._asked: dict[str | int, Answered] = {}
        self._ready: Callable[[], None] | None = None
        self.is_ready = False
        """Whether there has been a connection to a broker that confirms."""
        self._answers = 0
        self._was_lost = False
        self.outgoing = Outgoing(clock, later, random, max_pending)
        self.incoming = Incoming(later, self._expect)
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
        self.incoming.subscribe(subscription)

    def acknowledge(self, arrival: Arrival, answered: Answered | None = None) -> bool:
        """It has been dealt with. False if its connection is gone: it comes again, and is not `answered`."""
        return self.incoming.answer(arrival, answered, commands.ack_message)

    def reject(
        self, arrival: Arrival, answered: Answered | None = None, *, requeue: bool, delay_s: float
    ) -> bool:
        """It has not been dealt with. False as above. Raises ValueError for what is no delay."""
        if not 0 <= delay_s <= wire.MAX_DELAY_S:
            raise ValueError(f"delay is not from 0 to {wire.MAX_DELAY_S}")

        def command(numbers: list[int], confirm: int | None) -> bytes:
            return commands.reject_message(numbers, confirm, delay_s=delay_s if requeue else None)

        return self.incoming.answer(arrival, answered, command)

    def ping(self, answered: Answered) -> None:
        """Have the broker say whether it `is_well`."""
        if self._connection is None:
            answered(None)
        else:
            self._connection.send(commands.ping(self._expect(answered)))

    @property
    def why_not(self) -> str:
        """What keeps the broker from confirming, as far as is known."""
        return self.last_reason if self._connection is None else self.outgoing.last_reason

    @property
    def awaits_answers(self) -> bool:
        """Whether the broker is to say something that somebody may wait for."""
        return bool(self._asked or len(self.outgoing))

    def is_wanted(self, arrival: Arrival) -> bool:
        """Whether it is still to be dealt with here; else it comes again."""
        return arrival.number is None or self.incoming.is_open(arrival)

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
        if not self.is_ready:
            connection.send(commands.leave_channel(_HELLO, self._expect(self._hello)))
            connection.send(commands.PING)
        self.incoming.opened(connection)
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
            self.incoming.arrived(event)
        elif isinstance(event, Answer):
            self.is_well = event.is_accepted
            self._answers += 1
            # The greeting, and that to the ping, which stands behind what every wsmb confirms.
            if self._answers > 1 and not self.is_ready:
                self._fail(UnconfirmedError("this broker is no wsmb: it gives no confirms"))
        elif isinstance(event, Refusal) and event.response_code == Code.FORBIDDEN.number:
            self.incoming.withdrawn(event.channel, RefusedError(event.response_code, event.response_text))

    def lost(self, loss: Loss) -> None:
        """A connection has ended, or was not made."""
        was_open = self._connection is not None
        self._connection = None
        self.last_reason = loss.reason
        if loss.close_code == _TOO_BIG:
            self.outgoing.too_large(loss.reason)
        self.outgoing.lost()
        self.incoming.lost()
        asked, self._asked = self._asked, {}
        for answered in asked.values():
            answered(None)
        if loss.status is not None and loss.is_refusal:
            self._fail(AdmissionError(loss.status, loss.reason))
        elif loss.is_untrusted and not self.is_ready:
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
        self.incoming.fail(error)
        self._ended(error)

    def _expect(self, answered: Answered) -> int:
        number = next(self._numbers)
        self._asked[number] = answered
        return number

    def _hello(self, confirm: Confirm | None) -> None:
        if confirm is not None:
            self.is_ready = True
            if self._ready is not None:
                self._ready()


def items_of(data: object) -> bytes:
    """What stands between the brackets of `data`: of a list its elements, else the one item that it is.

    Raises TypeError or ValueError for what is not to be had in JSON.
    """
    try:
        # Looked at, since a msgspec.Raw goes in unseen: it could end the command and begin another.
        text = commands.json_item(msgspec.json.encode(data))
    except RecursionError:
        raise ValueError("nested too deep") from None
    return text[1:-1] if isinstance(data, list | tuple) else text
