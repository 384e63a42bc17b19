"""What a receiver that acknowledges was sent: each frame by its number, not more than its prefetch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from wsmb import frames, replies
from wsmb.deliveries import Delivery, Message
from wsmb.errors import CloseCode
from wsmb.interfaces import Peer
from wsmb.pulse import BEATS_PER_SECOND, Pulse

TIMED_OUT = "not acknowledged in time"


class Care(Protocol):
    """Whoever looks after a channel's messages while they are with a receiver."""

    def note_try(self, message: Message) -> None:
        """`message` is not acknowledged at once."""

    def freshen(self, message: Message) -> bool:
        """Take out of `message` what is too old. False if nothing is left of it."""


class Subscription:
    """One channel that a connection acknowledges. Frames beyond `prefetch` wait for their turn here."""

    __slots__ = ("_acks", "_pending", "_pending_bytes", "care", "outstanding", "prefetch", "timeout_s")

    def __init__(self, acks: Acks, prefetch: int, timeout_s: float, care: Care) -> None:
        self._acks = acks
        self.prefetch = prefetch
        self.timeout_s = timeout_s
        self.care = care
        self.outstanding = 0
        self._pending: deque[Delivery] = deque()
        self._pending_bytes = 0

    def is_full(self) -> bool:
        """Whether it should not be given more."""
        return self.outstanding >= self.prefetch or bool(self._pending)

    def give(self, delivery: Delivery) -> None:
        """Send the one message of `delivery`, now or when there is room."""
        if self.is_full():
            self._pending.append(delivery)
            self._pending_bytes += delivery.size_bytes
            self._acks.check_pending(self._pending_bytes)
        else:
            self._acks.send(self, delivery)

    def finished_one(self) -> None:
        """One of those outstanding is not so any more."""
        self.outstanding -= 1
        while self._pending and self.outstanding < self.prefetch:
            delivery = self._pending.popleft()
            self._pending_bytes -= delivery.size_bytes
            if self.care.freshen(delivery.messages[0]):
                self._acks.send(self, delivery)
            else:
                delivery.fail()

    def left(self) -> None:
        """It takes no more: what is pending goes to others. What it was sent can still be acknowledged."""
        pending, self._pending, self._pending_bytes = self._pending, deque(), 0
        for delivery in pending:
            delivery.fail()


class _Share:
    """One frame with its number."""

    __slots__ = ("delivery", "due_beat", "is_noted", "subscription")

    def __init__(self, subscription: Subscription, delivery: Delivery, due_beat: float) -> None:
        self.subscription = subscription
        self.delivery = delivery
        self.due_beat = due_beat
        self.is_noted = False


class Acks:
    """All that one connection has to acknowledge. `room` is called when it can take more."""

    __slots__ = (
        "_last_number",
        "_max_pending_bytes",
        "_peer",
        "_pulse",
        "_room",
        "_shares",
        "_user",
        "_young",
    )

    def __init__(
        self, peer: Peer, user: str, pulse: Pulse, max_pending_bytes: int, room: Callable[[], None]
    ) -> None:
        self._peer = peer
        self._user = user
        self._pulse = pulse
        self._max_pending_bytes = max_pending_bytes
        self._room = room
        self._last_number = 0
        self._shares: dict[int, _Share] = {}
        self._young: list[_Share] = []

    @property
    def outstanding(self) -> int:
        """How many frames have not been acknowledged."""
        return len(self._shares)

    def send(self, subscription: Subscription, delivery: Delivery) -> None:
        """Send a frame with the next number."""
        self._last_number += 1
        message = delivery.messages[0]
        payload = replies.numbered(message.payload, self._last_number, message.tries > 0)
        due_beat = self._pulse.beats + subscription.timeout_s * BEATS_PER_SECOND + 1
        share = _Share(subscription, delivery, due_beat)
        self._shares[self._last_number] = share
        self._young.append(share)
        subscription.outstanding += 1
        delivery.is_tried = True
        self._peer.send_frame(frames.text_frame(payload))
        self._pulse.waiting.add(self)

    def check_pending(self, pending_bytes: int) -> None:
        """So much waits for its acknowledgements in memory; beyond the limit, it is too slow."""
        if pending_bytes > self._max_pending_bytes:
            self._peer.end(CloseCode.TOO_SLOW)

    def acknowledge(self, number: int) -> bool:
        """The frame `number` has been dealt with. False if there is none."""
        share = self._shares.pop(number, None)
        if share is None:
            return False
        share.is_noted = True
        share.delivery.prove()
        share.subscription.finished_one()
        self._room()
        return True

    def reject(self, number: int, dead_reason: str, delay_s: float) -> bool:
        """The frame `number` is for somebody else, after `delay_s`, or, for a reason, for nobody."""
        share = self._shares.pop(number, None)
        if share is None:
            return False
        self._fail(share, dead_reason, delay_s)
        share.subscription.finished_one()
        self._room()
        return True

    def beat(self) -> None:
        """See Beating: what is late goes to another receiver."""
        young, self._young = self._young, []
        for share in young:
            if not share.is_noted:
                share.is_noted = True
                share.subscription.care.note_try(share.delivery.messages[0])
        beats = self._pulse.beats
        if beats % BEATS_PER_SECOND == 0:
            for number in [number for number, share in self._shares.items() if share.due_beat <= beats]:
                self.reject(number, "", 0.0)
        if self._shares:
            self._pulse.waiting.add(self)

    def ended(self) -> list[Delivery]:
        """The connection has ended: nothing will be acknowledged any more. What has failed by that."""
        self._pulse.waiting.discard(self)
        shares, self._shares, self._young = self._shares, {}, []
        for share in shares.values():
            self._fail(share, "", 0.0)
        return [share.delivery for share in shares.values()]

    def _fail(self, share: _Share, dead_reason: str, delay_s: float) -> None:
        share.is_noted = True
        delivery = share.delivery
        delivery.last_user = self._user
        delivery.is_acknowledged = True
        delivery.dead_reason = dead_reason
        delivery.delay_s = delay_s
        delivery.fail()
