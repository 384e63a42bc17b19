"""The frames of one channel that wait in memory for their turn.

They wait for what is in the store before them, or for receivers that have enough for now. If that takes
long, they are put into the store as well, so that their senders are told; they still go from here, each
to as many receivers as it asks for. Only what finds no room here, or nobody at all, is left to the store.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from wsmb.backlog import Backlog
from wsmb.deliveries import Done, Message
from wsmb.errors import StoreError
from wsmb.interfaces import Peer
from wsmb.pulse import BEATS_PER_SECOND
from wsmb.receivers import Receivers
from wsmb.surroundings import HeldRoom, Surroundings
from wsmb.unproved import Unproved

HELD_BYTES = 8_388_608
HELD_FRAME_COST = 500
LONGEST_WAIT_BEATS = 2


class Held:
    """See above. `stores_first`: whether nothing may go before it is in the store (`always`)."""

    def __init__(
        self,
        around: Surroundings,
        receivers: Receivers,
        backlog: Backlog,
        unproved: Unproved,
        *,
        stores_first: bool,
    ) -> None:
        self._later = around.later
        self._pulse = around.pulse
        self._receivers = receivers
        self._backlog = backlog
        self._unproved = unproved
        self._stores_first = stores_first
        self._queue = _Queue(around.held)
        # Until the backlog is clear, all goes to the store: there is too much for memory.
        self._is_full = False
        # What is here is in the store as well, since it has been waiting for a while.
        self._is_stuck = False
        # The beat at which it last got on, while something is here.
        self._still_since: int | None = None
        self._asks_for_room = False

    def __len__(self) -> int:
        return len(self._queue)

    def use_always(self, *, always: bool) -> None:
        """`always`: from now on nothing may go before it is in the store. What is outstanding goes there,
        too: nothing newer is to be there before it."""
        if always and not self._stores_first:
            self._unproved.persist()
            self.store()
        self._stores_first = always

    @property
    def first_id(self) -> int | None:
        """The smallest id in the store of what is here; None if nothing here is in the store."""
        return next((message.ids[0] for message in self._queue if message.ids), None)

    def put(self, message: Message, done: Done) -> None:
        """`message` goes behind all that waits; `done` is told when it has gone or is in the store."""
        if self._is_full or not (len(self._queue) or self._receivers.any_but(message.own)):
            self._keep(message, done)
        elif not self._queue.add(message):
            self.leave_to_store()
            self._is_full = True
            self._keep(message, done)
        else:
            # It may go at once, but who calls is not to be told before this has returned.
            message.done = lambda error, receivers=0, stored=0: self._tell_later(
                done, error, receivers, stored
            )
            self.send()
            if message.done is not None:
                message.done = done
                if self._stores_first or self._is_stuck:
                    self._unproved.store_first(message, self._committed, is_new=True)

    def _tell_later(self, done: Done, error: StoreError | None, receivers: int, stored: int) -> None:
        self._later(0, lambda: done(error, receivers, stored))

    def send(self) -> None:
        """Send what can go now."""
        if self._send():
            self._still_since = None
        if not self._queue:
            self._still_since = None
            self._is_stuck = False
        elif self._still_since is None:
            self._still_since = self._pulse.beats
            self._pulse.waiting.add(self)

    def _send(self) -> bool:
        """Whether anything could go."""
        got_on = False
        while self._queue and self._backlog.is_clear:
            message = self._queue.first
            if message.storing or (self._stores_first and not message.ids):
                break
            if not self._unproved.freshen(message):
                self._queue.drop(message)
                self._unproved.finish(message, 0)
                continue
            chosen = self.choose(message)
            if not chosen and self._receivers.any_but(message.own):
                self._ask_for_room()
                break
            got_on = True
            self._queue.drop(message)
            if chosen:
                self._unproved.outstanding.hand(message, chosen)
                self._unproved.finish(message, len(chosen))
            else:
                self._leave(message)
        return got_on

    def choose(self, message: Message) -> Sequence[Peer]:
        """Who is to have `message`; nobody if none can take more now."""
        is_full = self._unproved.outstanding.is_full
        return self._receivers.choose_free(message.limit, message.sender, is_full)

    def store(self) -> None:
        """Put what is here into the store as well: it will take a while, and its senders wait."""
        if self._queue and not self._is_stuck:
            self._is_stuck = True
            self._unproved.persist()
            for message in self._queue:
                if not message.ids and not message.storing:
                    self._unproved.store_first(message, self._committed, is_new=True)

    def leave_to_store(self) -> None:
        """Nothing is to go from here any more."""
        self._is_stuck = False
        self._still_since = None
        self._unproved.persist()
        for message in self._queue.take_all():
            self._leave(message)

    def cleared(self) -> None:
        """The backlog is clear."""
        self._is_full = False
        self.send()

    def room(self) -> None:
        """A receiver may be able to take more."""
        self._asks_for_room = False
        self.send()

    def beat(self) -> None:
        """See Beating: what has not got on for so long may not do so for much longer."""
        if self._still_since is None:
            return
        self._pulse.waiting.add(self)
        beats = self._pulse.beats - self._still_since
        if beats >= LONGEST_WAIT_BEATS:
            self.store()
        if beats % BEATS_PER_SECOND == 0:
            # Nobody tells when what is queued for a connection, of whatever channel, has gone.
            self.send()

    def _ask_for_room(self) -> None:
        """All who could have the next one have enough for now."""
        if not self._asks_for_room:
            self._asks_for_room = True
            self._unproved.outstanding.wait_for_room(self.room)

    def _keep(self, message: Message, done: Done) -> None:
        self._unproved.persist()
        self._backlog.keep(message, done, is_new=True)

    def _leave(self, message: Message) -> None:
        if message.ids:
            self._unproved.release(message)
            self._backlog.leave_there(message.sender, message.ids)
        elif message.done is not None and not message.storing:
            done, message.done = message.done, None
            self._keep(message, done)

    def _committed(self, message: Message, error: StoreError | None) -> None:
        done, message.done = message.done, None
        if error is not None:
            self._queue.drop(message)
        elif message not in self._queue:
            self._unproved.release(message)
            self._backlog.leave_there(message.sender, message.ids)
        if done is not None:
            done(error, stored=0 if error else len(message.ids))
        self.send()


class _Queue:
    """In order, with a bound in bytes."""

    __slots__ = ("_bytes", "_costs", "_queue", "_room")

    def __init__(self, room: HeldRoom) -> None:
        self._queue: deque[Message] = deque()
        self._costs: dict[Message, int] = {}
        self._bytes = 0
        self._room = room

    def __len__(self) -> int:
        return len(self._queue)

    def __iter__(self) -> Iterator[Message]:
        return iter(self._queue)

    def __contains__(self, message: Message) -> bool:
        return message in self._costs

    @property
    def first(self) -> Message:
        """The one whose turn is next."""
        return self._queue[0]

    def add(self, message: Message) -> bool:
        """Put `message` at the end. False if there is no room."""
        cost = len(message.payload) + sum(map(len, message.texts or ())) + HELD_FRAME_COST
        if self._bytes + cost > HELD_BYTES or self._room.bytes + cost > self._room.max_bytes:
            return False
        self._queue.append(message)
        self._costs[message] = cost
        self._bytes += cost
        self._room.bytes += cost
        return True

    def drop(self, message: Message) -> None:
        """Take `message` out, if it is here; cheap for the first one."""
        cost = self._costs.pop(message, None)
        if cost is None:
            return
        self._bytes -= cost
        self._room.bytes -= cost
        if self._queue[0] is message:
            self._queue.popleft()
        else:
            self._queue.remove(message)

    def take_all(self) -> list[Message]:
        """Take everything out, oldest first."""
        taken = list(self._queue)
        self._room.bytes -= self._bytes
        self._queue.clear()
        self._costs.clear()
        self._bytes = 0
        return taken
