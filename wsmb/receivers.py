"""The receivers of one channel, and which of them are next."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

from wsmb.interfaces import Peer
from wsmb.settings import ReceiverChoice


class Receivers:
    """Connections in the order in which they came, each once.

    Some may be *passing*: they get what is sent, but nothing that waits.
    """

    __slots__ = ("_members", "_order", "_others", "_others_than", "_turn", "choice", "passing")

    def __init__(self, choice: ReceiverChoice) -> None:
        self.choice = choice
        """Which are next, if there are more than are wanted."""
        self._order: list[Peer] = []  # replaced, never changed: who is given it may keep it
        self._members: set[Peer] = set()
        self._turn = 0
        # What the last sender that is here itself does not get: asked for again by its next frame.
        self._others: Sequence[Peer] = ()
        self._others_than: Peer | None = None
        self.passing: set[Peer] = set()
        """Who may be gone in a moment, having come to send. (Not to be changed.)"""

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, peer: Peer) -> bool:
        return peer in self._members

    def join(self, peer: Peer, *, is_passing: bool = False) -> bool:
        """Add `peer` as the newest. False if it was there already."""
        if peer in self._members:
            return False
        self._members.add(peer)
        self._reorder([*self._order, peer])
        if is_passing:
            self.passing.add(peer)
        return True

    def stays(self, peer: Peer) -> bool:
        """`peer` is not passing. False if it was not before."""
        if peer not in self.passing:
            return False
        self.passing.remove(peer)
        return True

    def leave(self, peer: Peer) -> bool:
        """Remove `peer`; whose turn it is stays so. False if it was not there."""
        if peer not in self._members:
            return False
        self._members.remove(peer)
        self.passing.discard(peer)
        place = self._order.index(peer)
        self._reorder(self._order[:place] + self._order[place + 1 :])
        if place < self._turn:
            self._turn -= 1
        return True

    def _reorder(self, order: list[Peer]) -> None:
        self._order = order
        self._others, self._others_than = (), None

    @property
    def any_to_stay(self) -> bool:
        """Whether there is one that is not passing."""
        return len(self.passing) < len(self._order)

    def any_for_waiting(self, absent: Set[Peer]) -> bool:
        """Whether something that waits may be for a receiver that is not in `absent`: one that stays, or, if
        none does so far, any that may."""
        takers = self._members - self.passing if self.passing else self._members
        return not (takers or self._members) <= absent

    def any_but(self, absent: Set[Peer]) -> bool:
        """Whether there is a receiver that is not in `absent`."""
        return not self._members <= absent

    def choose(self, limit: int, sender: Peer | None) -> Sequence[Peer]:
        """The receivers of one frame: `limit` of them, 0 is all, never its sender."""
        order = self._order
        candidates: Sequence[Peer] = order
        if sender in self._members:
            if sender is not self._others_than:
                self._others = [peer for peer in order if peer is not sender]
                self._others_than = sender
            candidates = self._others
        if not limit or limit >= len(candidates):
            return candidates
        if self.choice is ReceiverChoice.OLDEST:
            return candidates[:limit]
        return self._next(limit, sender)

    def _next(self, limit: int, sender: Peer | None) -> list[Peer]:
        order, place = self._order, self._turn
        chosen: list[Peer] = []
        while len(chosen) < limit:
            place %= len(order)
            if order[place] is not sender:
                chosen.append(order[place])
            place += 1
        self._turn = place
        return chosen

    def choose_free(self, limit: int, sender: Peer | None, is_full: Callable[[Peer], bool]) -> Sequence[Peer]:
        """As `choose`, but where there are more receivers than `limit`, first those that are not full.

        Nobody if all are full.
        """
        order = self._order
        if not limit or limit >= len(order) - (sender in self._members):
            chosen = self.choose(0, sender)
            return () if all(map(is_full, chosen)) else chosen
        is_oldest = self.choice is ReceiverChoice.OLDEST
        start = 0 if is_oldest else self._turn
        free: list[int] = []
        full: list[int] = []
        for place in range(start, start + len(order)):
            peer = order[place % len(order)]
            if peer is not sender:
                (full if is_full(peer) else free).append(place)
                if len(free) == limit:
                    break
        if not free:
            return ()
        places = free + full[: limit - len(free)]
        if not is_oldest:
            self._turn = places[-1] % len(order) + 1
        return [order[place % len(order)] for place in places]

    def taker(self, absent: Set[Peer], is_full: Callable[[Peer], bool]) -> Peer | None:
        """The next receiver for waiting items: not in `absent`, passing or full."""
        order, count = self._order, len(self._order)
        start = 0 if self.choice is ReceiverChoice.OLDEST else self._turn
        for step in range(count):
            place = (start + step) % count
            peer = order[place]
            if peer not in absent and peer not in self.passing and not is_full(peer):
                self._turn = place + 1
                return peer
        return None
