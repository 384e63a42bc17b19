"""What is sent: in order, again after a lost connection, until the broker has confirmed it. No I/O."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable
from functools import partial

from wsmb.client.core import Backoff, Confirm, Connection
from wsmb.client.errors import PASSING, ClientError, ExpiredError, RefusedError
from wsmb.client.sends import Later, Outcome, Send, Timer, receipt
from wsmb.errors import Code

DEFAULT_PENDING = 4_000
"""What keeps the commits of a broker busy, and less than the 5,000 at which it reads no more for a while."""
MOST_PENDING = 10_000
"""Far below the 100,000 message ids that the broker remembers: what is sent again has to be among them."""


class _Rest:
    """A channel on which something was refused for now.

    After `timer` it is tried again, at first one at a time, then twice as many with each that is accepted:
    a broker that takes so many a second is not to refuse thousands again and again.
    """

    def __init__(self, backoff: Backoff) -> None:
        self.backoff = backoff
        self.sends: list[Send] = []
        self.out: set[int] = set()
        self.most_out = 1
        self.timer: Timer | None = None

    @property
    def has_turn(self) -> bool:
        """Whether the next one may go."""
        return self.timer is None and bool(self.sends) and len(self.out) < self.most_out


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
            self._settle(send, receipt(send.message_id, confirm))
        elif confirm.response_code in PASSING and send.told is not None:
            self._put_back(send, confirm.response_text)
        else:
            self._settle(send, RefusedError(confirm.response_code, confirm.response_text))
        if self._rests:
            self._answered(send, is_accepted=confirm.is_accepted)
        if self._next or self._rests:
            self._go_on()
        return True

    def fail(self, error: ClientError) -> None:
        """Nothing more will be sent."""
        self.lost()
        unsettled, self._unsettled = self._unsettled, {}
        for send in unsettled.values():
            send.tell(error)

    def _go_on(self) -> None:
        while self._connection is not None and self._next and self._out < self._most:
            send = self._next.popleft()
            rest = self._rests.get(send.channel) if self._rests else None
            if rest is None:
                self._write(send, self._connection)
            else:
                rest.sends.append(send)
        for rest in list(self._rests.values()):
            while self._connection is not None and rest.has_turn and self._out < self._most:
                send = rest.sends.pop(0)
                if self._write(send, self._connection):
                    rest.out.add(send.number)

    def _write(self, send: Send, connection: Connection) -> bool:
        """Send it, if there is still somebody and time for it; whether it went out."""
        if send.told is None:
            return False
        payload = send.payload(self._clock)
        if not payload:
            self._settle(send, ExpiredError("its time to live was over before it was confirmed"))
            return False
        send.is_out = True
        self._out += 1
        connection.send(payload)
        return True

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
        insort(rest.sends, send, key=_number_of)
        rest.most_out = 1
        if rest.timer is None:
            rest.timer = self._later(rest.backoff.next_delay_s(), partial(self._rested, rest))

    def _rested(self, rest: _Rest) -> None:
        rest.timer = None
        self._go_on()

    def _answered(self, send: Send, *, is_accepted: bool) -> None:
        """The broker has answered one of a channel that may rest."""
        rest = self._rests.get(send.channel)
        if rest is None or send.number not in rest.out:
            return
        rest.out.remove(send.number)
        if is_accepted:
            rest.backoff.reset()
        if rest.timer is None:
            rest.most_out *= 2
            if not rest.sends and not rest.out:
                del self._rests[send.channel]


def _number_of(send: Send) -> int:
    return send.number
