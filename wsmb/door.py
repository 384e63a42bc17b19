"""How many may be in at a time: in all, from one address, as one user, and before they have a user."""

from __future__ import annotations

from collections import Counter

from wsmb.addresses import site
from wsmb.handshake import Refusal
from wsmb.settings import Limits

SPARE_SOCKETS = 20
"""So many beyond the most sockets are answered before they are closed; they stay until the turn's end."""
_FULL = Refusal(503)
_TOO_MANY = Refusal(429)


class Door:
    """Counts the connections, each of which has a Visit, and says which are too many."""

    def __init__(self, limits: Limits) -> None:
        self.most_files: int | None = None
        """How many connections there are file descriptors for, if that is known."""
        self.use(limits)
        self.connections = self.handshakes = self.waiting = 0
        self.handshakes_of: Counter[str] = Counter()
        self.connections_of: Counter[str] = Counter()
        self.connections_as: Counter[str] = Counter()

    def use(self, limits: Limits) -> None:
        """From now on these limits count, for who comes then."""
        self.limits = limits

    @property
    def max_sockets(self) -> int:
        """Most TCP connections of both kinds. (Lower where there are not so many file descriptors.)"""
        wanted = self.limits.max_connections + self.limits.max_handshakes
        return wanted if self.most_files is None else min(wanted, self.most_files)

    @property
    def sockets(self) -> int:
        """All TCP connections."""
        return self.handshakes + self.waiting + self.connections

    @property
    def is_overrun(self) -> bool:
        """Whether there is not even room for a connection that is told so."""
        return self.sockets >= self.max_sockets + SPARE_SOCKETS


class Visit:
    """One TCP connection, from its beginning (when this is made) to its end."""

    __slots__ = ("_door", "_is_in", "_is_waiting", "_site", "_user")

    def __init__(self, door: Door) -> None:
        self._door = door
        self._site = self._user = ""
        self._is_in = self._is_waiting = False
        door.handshakes += 1

    def knocks(self) -> Refusal | None:
        """Why there is no room to read its request; None if there is."""
        door = self._door
        is_full = door.handshakes > door.limits.max_handshakes
        return _FULL if is_full or door.sockets > door.max_sockets else None

    def is_from(self, address: str) -> Refusal | None:
        """It has turned out where it comes from."""
        door = self._door
        self._leave_site()
        self._site = site(address)
        door.handshakes_of[self._site] += 1
        most = door.limits.max_handshakes_per_address
        return _TOO_MANY if door.handshakes_of[self._site] > most else None

    def may_enter(self) -> Refusal | None:
        """Why nobody can come in from there now; None if somebody can."""
        door = self._door
        if door.connections >= door.limits.max_connections:
            return _FULL
        most = door.limits.max_connections_per_address
        return _TOO_MANY if door.connections_of[self._site] >= most else None

    def waits(self) -> None:
        """Its request is complete, and waits for its password to be checked: it is not the slow one now.

        A thousand clients of one address that come back at once are no abuse; how many passwords may
        wait is the Guard's to say.
        """
        self._leave_handshake()
        self._is_waiting = True
        self._door.waiting += 1

    def is_checked(self) -> None:
        """The password has been checked: what is left to do is up to the client again."""
        if self._is_waiting:
            self._is_waiting = False
            self._door.waiting -= 1
            self._door.handshakes += 1
            self._door.handshakes_of[self._site] += 1

    def enters(self, user: str) -> Refusal | None:
        """It has turned out to be `user`, who is in now, unless the answer is a Refusal."""
        door = self._door
        refusal = self.may_enter()
        if refusal is None and door.connections_as[user] >= door.limits.max_connections_per_user:
            refusal = _TOO_MANY
        if refusal is None:
            self._leave_handshake()
            self._is_in, self._user = True, user
            door.connections += 1
            door.connections_of[self._site] += 1
            door.connections_as[user] += 1
        return refusal

    def ends(self) -> None:
        """The TCP connection has ended. To be called once."""
        self.is_checked()
        if not self._is_in:
            self._leave_handshake()
            return
        door = self._door
        door.connections -= 1
        _take_one(door.connections_of, self._site)
        _take_one(door.connections_as, self._user)

    def _leave_handshake(self) -> None:
        self._door.handshakes -= 1
        self._leave_site()

    def _leave_site(self) -> None:
        if self._site:
            _take_one(self._door.handshakes_of, self._site)


def _take_one(counter: Counter[str], key: str) -> None:
    """A Counter would keep what has come down to zero."""
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
