"""What is sent: in order, again after a lost connection, until the broker has confirmed it. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import msgspec

from wsmb.client.core import Backoff, Confirm, Connection
from wsmb.client.errors import PASSING, ClientError, ExpiredError, RefusedError
from wsmb.errors import Code

DEFAULT_PENDING = 4_000
"""What keeps the commits of a broker busy, and less than the 5,000 at which it reads no more for a while."""
MOST_PENDING = 10_000
"""Far below the 100,000 message ids that the broker remembers: what is sent again has to be among them."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What has become of what was sent. Either `receivers` or `stored` is 0.

    Both are 0 if nobody was there and nothing is kept, or if it `is_duplicate`: sent before under its id.
    """

    message_id: str
    receivers: int = 0
    """How many connections it was handed to."""
    stored: int = 0
    """How many of its items are committed to the database."""
    is_duplicate: bool = False
    time_stamp: str = ""
    """The broker's."""


Outcome = Receipt | ClientError


class Timer(Protocol):
    """Something that is to happen later."""

    def cancel(self) -> object:
        """It is not to happen."""


Later = Callable[[float, Callable[[], None]], Timer]
"""(seconds, what to call then), as the `call_later` of asyncio and the `callLater` of Twisted."""


class Send:
    """One `send-message` on its way. `told` gets its outcome; None once nobody waits for it any more."""

    __slots__ = ("_expires_s", "_payload", "channel", "is_out", "message_id", "number", "told")

    def __init__(
        self,
        number: int,
        channel: str,
        message_id: str,
        payload: bytes,
        expires_s: float | None,
        told: Callable[[Outcome], None],
    ) -> None:
        self.number = number
        self.channel = channel
        self.message_id = message_id
        self._payload = payload
        self._expires_s = expires_s
        self.told: Callable[[Outcome], None] | None = told
        self.is_out = False
        """Whether it is on the present connection, and not answered."""

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._payload)

    def payload(self, clock: Callable[[], float]) -> bytes:
        """The command as it is to be sent now; empty if its time to live is over."""
        if self._expires_s is None:
            return self._payload
        left_s = self._expires_s - clock()
        return b"" if left_s < 0 else b'%s,"ttl":%s}' % (self._payload[:-1], _encode(left_s))

    def tell(self, outcome: Outcome) -> None:
        """This is what has become of it."""
        told, self.told = self.told, None
        if told is not None:
            told(outcome)


class _Rest:
    """A channel on which something was refused for now: what waits until it is tried again."""

    def __init__(self, backoff: Backoff) -> None:
        self.backoff = backoff
        self.sends: list[Send] = []
        self.timer: Timer | None = None


class Outgoing:
    """All that is not confirmed, in the order in which it was given.

    `clock`: seconds, of any beginning. Not more than `max_pending` are on the connection at a time. What
    the broker refuses for now (PASSING) is sent again after a while, and what is behind it on its channel
    and has not gone out yet waits.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        later: Later,
        random: Callable[[], float],
        max_pending: int = DEFAULT_PENDING,
    ) -> None:
        if not 1 <= max_pending <= MOST_PENDING:
            raise ValueError(f"max_pending is not from 1 to {MOST_PENDING}")
        self._clock = clock
        self._later = later
        self._random = random
        self._most = max_pending
        self._connection: Connection | None = None
        self._unsettled: dict[str | int, Send] = {}
        self._next: deque[Send] = deque()
        self._out = 0
        self._rests: dict[str, _Rest] = {}
        self.last_reason = ""
        """Why something was refused for now."""

    def __len__(self) -> int:
        return len(self._unsettled)

    @property
    def has_room(self) -> bool:
        """Whether what is given now would go out at once if there is a connection."""
        return len(self._unsettled) < self._most

    def add(self, send: Send) -> None:
        """Send this one, after all that were given before."""
        self._unsettled[send.number] = send
        self._next.append(send)
        self._go_on()

    def forget(self, send: Send) -> None:
        """Nobody waits for it any more: it is not to be sent again."""
        send.told = None
        if not send.is_out:
            self._unsettled.pop(send.number, None)

    def opened(self, connection: Connection) -> None:
        """A connection is open: begin with the oldest."""
        self._connection = connection
        self._next = deque(self._unsettled.values())
        self._go_on()

    def lost(self) -> None:
        """It has ended; nobody knows what has become of what was on it."""
        self._connection = None
        rests, self._rests = self._rests, {}
        for rest in rests.values():
            if rest.timer is not None:
                rest.timer.cancel()
        self._next.clear()
        for send in list(self._unsettled.values()):
            send.is_out = False
            if send.told is None:
                del self._unsettled[send.number]
        self._out = 0

    def too_large(self, text: str) -> None:
        """The broker ends the connection for a frame that is too large: the largest is one, surely."""
        out = [send for send in self._unsettled.values() if send.is_out]
        if out:
            self._settle(max(out, key=lambda send: send.size), RefusedError(Code.TOO_LARGE.number, text))

    def confirmed(self, confirm: Confirm) -> bool:
        """The broker has answered; False if that was none of these."""
        send = self._unsettled.get(confirm.confirm)
        if send is None:
            return False
        if confirm.is_accepted:
            if self._rests:
                self._is_well(send.channel)
            self._settle(send, _receipt(send.message_id, confirm))
        elif confirm.response_code in PASSING and send.told is not None:
            self._put_back(send, confirm.response_text)
        else:
            self._settle(send, RefusedError(confirm.response_code, confirm.response_text))
        if self._next:
            self._go_on()
        return True

    def fail(self, error: ClientError) -> None:
        """Nothing more will be sent."""
        self.lost()
        unsettled, self._unsettled = self._unsettled, {}
        for send in unsettled.values():
            send.tell(error)

    def _go_on(self) -> None:
        connection = self._connection
        while connection is not None and self._next and self._out < self._most:
            send = self._next.popleft()
            rest = self._rests.get(send.channel) if self._rests else None
            if send.told is None:
                continue  # forgotten before it went out
            if rest is not None and rest.timer is not None:
                rest.sends.append(send)
                continue
            payload = send.payload(self._clock)
            if payload:
                send.is_out = True
                self._out += 1
                connection.send(payload)
            else:
                self._settle(send, ExpiredError("its time to live was over before it was confirmed"))

    def _settle(self, send: Send, outcome: Outcome) -> None:
        del self._unsettled[send.number]
        self._is_back(send)
        send.tell(outcome)

    def _is_back(self, send: Send) -> None:
        if send.is_out:
            send.is_out = False
            self._out -= 1

    def _put_back(self, send: Send, reason: str) -> None:
        """Refused for now: once more after a while, before what came behind it."""
        self.last_reason = reason
        self._is_back(send)
        rest = self._rests.get(send.channel)
        if rest is None:
            rest = self._rests[send.channel] = _Rest(Backoff(self._random))
        rest.sends.append(send)
        if rest.timer is None:
            rest.timer = self._later(rest.backoff.next_delay_s(), partial(self._rested, rest))

    def _rested(self, rest: _Rest) -> None:
        rest.timer = None
        again, rest.sends = rest.sends, []
        self._next = deque(sorted((*again, *self._next), key=lambda send: send.number))
        self._go_on()

    def _is_well(self, channel: str) -> None:
        rest = self._rests.get(channel)
        if rest is not None and rest.timer is None:
            del self._rests[channel]


def _receipt(message_id: str, confirm: Confirm) -> Receipt:
    if not confirm.data:
        return Receipt(message_id)
    said = confirm.data[0]
    return Receipt(
        message_id,
        _number(said.get("receivers")),
        _number(said.get("stored")),
        said.get("duplicate") is True,
        str(said.get("time_stamp", "")),
    )


def _number(said: object) -> int:
    return said if isinstance(said, int) else 0


_encode = msgspec.json.encode
