"""One connection as a receiver: what it was sent and has not proved yet.

A write to a socket proves nothing. Where a channel keeps messages, a WebSocket ping follows what is
sent, and the pong proves all that was sent before the ping (every endpoint answers in order). A
receiver that acknowledges proves each frame by its number instead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from wsmb import frames
from wsmb.acks import Acks
from wsmb.deliveries import Delivery
from wsmb.errors import CloseCode
from wsmb.interfaces import Peer
from wsmb.pulse import Pulse

PING_FRAMES = 64
PING_BEATS = 2  # apart: more than one beat, so at least 100 ms
MOST_BYTES = 1_048_576
MOST_TIMES = 20  # the bound at which it counts as full, where others may still want all frames
_PING_NAME = b"wsmb "
_NO_PINGS = 1_000_000_000  # more frames than any number of them


class Receiver:
    """See above. `max_frames`: how many frames may be outstanding before it counts as full.

    `reads_texts`: whether it has the channel in its URL, so that each message is the text that was sent,
    or an item. `quiet_beats`: for so long it is not sent a ping for proof.
    """

    __slots__ = (
        "_acks",
        "_closed_bytes",
        "_closed_frames",
        "_handed",
        "_last_ping_beat",
        "_max_frames",
        "_max_pending_bytes",
        "_pinged",
        "_pings",
        "_pings_answered",
        "_proved",
        "_pulse",
        "_unpinged_frames",
        "_unproved",
        "_waiting_for_room",
        "peer",
        "reads_texts",
        "user",
    )

    def __init__(
        self,
        peer: Peer,
        user: str,
        pulse: Pulse,
        max_frames: int,
        max_pending_bytes: int,
        *,
        reads_texts: bool = False,
        quiet_beats: int = 0,
    ) -> None:
        self.peer = peer
        self.reads_texts = reads_texts
        self.user = user
        self._pulse = pulse
        self._max_frames = max_frames
        self._max_pending_bytes = max_pending_bytes
        # What many connections never need is made when it is first used.
        self._acks: Acks | None = None
        # Only the last delivery can still grow; the frames and bytes of the others are counted here.
        self._unproved: deque[Delivery] | None = None
        self._closed_frames = 0
        self._closed_bytes = 0
        # Deliveries in all: handed over, followed by a ping, proved.
        self._handed = 0
        self._pinged = 0
        self._proved = 0
        self._unpinged_frames = -_NO_PINGS if quiet_beats else 0  # until the first one
        # How many deliveries each open ping has followed.
        self._pings: deque[int] | None = None
        self._pings_answered = 0
        self._last_ping_beat = pulse.beats + quiet_beats - PING_BEATS
        self._waiting_for_room: set[Callable[[], None]] | None = None

    @property
    def acks(self) -> Acks:
        """What it acknowledges."""
        if self._acks is None:
            self._acks = Acks(self.peer, self.user, self._pulse, self._max_pending_bytes, self.tell_room)
        return self._acks

    @property
    def pings(self) -> int:
        """How many pings it has been sent."""
        return self._pings_answered + len(self._pings or ())

    @property
    def awaits_pong(self) -> bool:
        """Whether it has not answered all of them."""
        return bool(self._pings)

    @property
    def outstanding(self) -> int:
        """How many frames have not been proved."""
        last = len(self._unproved[-1].messages) if self._unproved else 0
        return self._closed_frames + last + (0 if self._acks is None else self._acks.outstanding)

    def is_full(self) -> bool:
        """Whether so much is outstanding that it should not be sent more."""
        if self._unproved:
            last = self._unproved[-1]
            if (
                self._closed_frames + len(last.messages) >= self._max_frames
                or self._closed_bytes + last.size_bytes >= MOST_BYTES
            ):
                return True
        return self.peer.is_full()

    def handed(self, delivery: Delivery) -> None:
        """It has been sent `delivery`, which a pong is to prove. It may grow until the next one."""
        if self._unproved:
            last = self._unproved[-1]
            self._closed_frames += len(last.messages)
            self._closed_bytes += last.size_bytes
            if self._pinged < self._handed:
                self._unpinged_frames += len(last.messages)
        elif self._unproved is None:
            self._unproved = deque()
        self._unproved.append(delivery)
        self._handed += 1
        delivery.is_tried = True
        if (
            self._closed_bytes > self._max_pending_bytes
            or self._closed_frames > MOST_TIMES * self._max_frames
        ):
            self.peer.end(CloseCode.TOO_SLOW)  # it may talk all the time, but proves nothing
        if self._unpinged_frames >= PING_FRAMES or self._pulse.beats - self._last_ping_beat >= PING_BEATS:
            self.ping()
        else:
            self._pulse.waiting.add(self)

    def ping(self) -> None:
        """Ask for a sign that it has got what it was sent."""
        number = self.pings
        if self._pings is None:
            self._pings = deque()
        self._pings.append(self._handed)
        self._pinged = self._handed
        self._unpinged_frames = 0
        self._last_ping_beat = self._pulse.beats
        self.peer.send_frame(frames.ping_frame(_PING_NAME + b"%d" % number))

    def beat(self) -> None:
        """See Beating: a ping may be due."""
        if self._pinged < self._handed and self._proved < self._handed:
            if self._pulse.beats - self._last_ping_beat >= PING_BEATS:
                self.ping()
            else:
                self._pulse.waiting.add(self)

    def pong(self, payload: bytes) -> None:
        """A pong has come. It proves the oldest open ping, or, by its payload, a newer one as well."""
        if not self._pings:
            return
        answered = 1
        if payload.startswith(_PING_NAME):
            # RFC 6455, 5.5.3: an endpoint may answer only the latest of several pings.
            number = payload[len(_PING_NAME) :]
            place = int(number) - self._pings_answered if number.isdigit() and len(number) < 20 else 0
            if 0 <= place < len(self._pings):
                answered = place + 1
        mark = 0
        for _ in range(answered):
            mark = self._pings.popleft()
        self._pings_answered += answered
        self._prove(mark)

    def _prove(self, mark: int) -> None:
        unproved = self._unproved
        while unproved and self._proved < mark:
            delivery = unproved.popleft()
            self._proved += 1
            if unproved:
                self._closed_frames -= len(delivery.messages)
                self._closed_bytes -= delivery.size_bytes
            delivery.prove()
        self.tell_room()

    def wait_for_room(self, room: Callable[[], None]) -> None:
        """Call `room` whenever something was proved, until it is not interested any more."""
        if self._waiting_for_room is None:
            self._waiting_for_room = set()
        self._waiting_for_room.add(room)

    def tell_room(self) -> None:
        """There may be room for more."""
        waiting, self._waiting_for_room = self._waiting_for_room, None
        for room in waiting or ():
            room()

    def ended(self) -> None:
        """The connection has ended, and has left its channels: what it has not proved has failed."""
        self._pulse.waiting.discard(self)
        unproved, self._unproved = self._unproved or (), None
        self._proved = self._handed
        self._pings = None
        for delivery in unproved:
            delivery.last_user = self.user
            delivery.is_acknowledged = False
            delivery.fail()
        shares = [] if self._acks is None else self._acks.ended()
        for redeliver in {delivery.redeliver for delivery in (*unproved, *shares)}:
            redeliver()
