"""Messages that found nobody, for the first who comes within two seconds.

Who calls somebody by a channel in the URL sends first, and then opens the channel of the answer.
"""

from __future__ import annotations

from collections.abc import Collection

from wsmb.deliveries import Message
from wsmb.interfaces import Peer
from wsmb.pulse import BEATS_PER_SECOND, Pulse

LINGER_BEATS = 2 * BEATS_PER_SECOND + 1  # the first one may come at once
MESSAGE_COST = 1_000
PEER_COST = 8


class _Entry:
    __slots__ = ("cost_bytes", "due_beat", "given", "message", "name")

    def __init__(self, name: str, message: Message, given: Collection[Peer], due_beat: int) -> None:
        self.name = name
        self.message = message
        self.given = given
        self.due_beat = due_beat
        texts_bytes = sum(map(len, message.texts or ()))
        self.cost_bytes = MESSAGE_COST + len(message.payload) + texts_bytes + PEER_COST * len(given)


class _Name:
    """What lingers on one channel, in its order, and the newest of each sender."""

    __slots__ = ("entries", "newest")

    def __init__(self) -> None:
        self.entries: dict[_Entry, None] = {}
        self.newest: dict[Peer | None, _Entry] = {}


class Lingering:
    """Those of all channels. Beyond `max_bytes`, the oldest are let go of."""

    __slots__ = ("_names", "_pulse", "_queue", "bytes", "max_bytes")

    def __init__(self, pulse: Pulse, max_bytes: int) -> None:
        self._pulse = pulse
        self._queue: dict[_Entry, None] = {}  # oldest first
        self._names: dict[str, _Name] = {}
        self.bytes = 0
        self.max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, name: str, message: Message, given: Collection[Peer]) -> None:
        """`message` on the channel `name` lingers. Those in `given` got it, but may be gone in a moment."""
        entry = _Entry(name, message, given, self._pulse.beats + LINGER_BEATS)
        if not self._queue:
            self._pulse.waiting.add(self)
        self._queue[entry] = None
        there = self._names.setdefault(name, _Name())
        there.entries[entry] = None
        there.newest[message.sender] = entry
        self.bytes += entry.cost_bytes
        while self.bytes > self.max_bytes:
            self._forget(next(iter(self._queue)))

    def take(self, name: str, peer: Peer) -> list[Message]:
        """What lingers on `name` and is for `peer`, who has come to stay: all but what it has sent itself
        or got already. Nobody else gets it any more."""
        there = self._names.get(name)
        found = (
            [] if there is None else [entry for entry in there.entries if entry.message.sender is not peer]
        )
        for entry in found:
            self._forget(entry)
        return [entry.message for entry in found if peer not in entry.given]

    def is_behind(self, message: Message, name: str, peer: Peer) -> bool:
        """Whether something lingers that `peer` is to get before `message`: of the same sender.

        What comes behind such a message lingers as well, so the newest one tells.
        """
        there = self._names.get(name)
        newest = None if there is None else there.newest.get(message.sender)
        return newest is not None and peer not in newest.given

    def beat(self) -> None:
        """See Beating."""
        beats = self._pulse.beats
        while self._queue and (entry := next(iter(self._queue))).due_beat <= beats:
            self._forget(entry)
        if self._queue:
            self._pulse.waiting.add(self)

    def _forget(self, entry: _Entry) -> None:
        del self._queue[entry]
        self.bytes -= entry.cost_bytes
        there = self._names[entry.name]
        del there.entries[entry]
        sender = entry.message.sender
        if there.newest[sender] is entry:
            del there.newest[sender]
        if not there.entries:
            del self._names[entry.name]
