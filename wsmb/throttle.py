"""Slows down who guesses passwords, without ever shutting out who knows one."""

from __future__ import annotations

from wsmb.settings import Limits

WINDOW_S = 60.0
"""The time over which failures are forgotten, one after the other."""
MAX_ENTRIES = 10_000
"""Most addresses, users, and pairs of both that are remembered, at about 150 bytes each."""


class _Failures:
    """How many failures each key has, of which `most` are forgotten in WINDOW_S."""

    def __init__(self, most: int, max_entries: int) -> None:
        self.most = most
        self._max_entries = max_entries
        # Hashes of the keys, which others choose, and which may be long.
        self._levels: dict[int, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._levels)

    def level(self, key: object, now_s: float) -> float:
        level, then_s = self._levels.get(hash(key), (0.0, now_s))
        return max(0.0, level - (now_s - then_s) * self.most / WINDOW_S)

    def wait_s(self, key: object, now_s: float, most: int | None = None) -> float:
        """Seconds until there is room for a further one among `most`."""
        excess = self.level(key, now_s) - (self.most if most is None else most) + 1
        return max(0.0, excess) * WINDOW_S / self.most

    def add(self, key: object, now_s: float) -> None:
        level = min(self.level(key, now_s) + 1, self.most)
        self._levels.pop(hash(key), None)
        if len(self._levels) >= self._max_entries:
            # The one whose last failure is the longest ago.
            del self._levels[next(iter(self._levels))]
        self._levels[hash(key)] = (level, now_s)


class Throttle:
    """Who has failed so often that its next password is not even looked at.

    That is one address as one user (`max_failures`) or as any user (`max_failures_per_address`). After so
    many failures within a minute there is room for a further one every minute / so many.

    A user at whom many addresses guess (`max_failures_per_user`) is not shut out: each address then has
    one try instead of several before it has to wait. Whether there is such a user makes no difference.
    """

    def __init__(self, limits: Limits, max_entries: int = MAX_ENTRIES) -> None:
        self._pairs = _Failures(limits.max_failures, max_entries)
        self._addresses = _Failures(limits.max_failures_per_address, max_entries)
        self._users = _Failures(limits.max_failures_per_user, max_entries)

    def use(self, limits: Limits) -> None:
        """From now on these limits count; what has failed is not forgotten."""
        self._pairs.most = limits.max_failures
        self._addresses.most = limits.max_failures_per_address
        self._users.most = limits.max_failures_per_user

    def __len__(self) -> int:
        """The most entries of one kind."""
        return max(map(len, (self._pairs, self._addresses, self._users)))

    def wait_s(self, address: str, user: str, now_s: float) -> float:
        """How many seconds `address` has to wait before it can try again to be `user`; 0 is not at all."""
        is_attacked = self._users.wait_s(user, now_s) > 0
        return max(
            self._addresses.wait_s(address, now_s),
            self._pairs.wait_s((address, user), now_s, 1 if is_attacked else None),
        )

    def failed(self, address: str, user: str, now_s: float) -> None:
        """`address` has tried to be `user` with a wrong password."""
        self._pairs.add((address, user), now_s)
        self._addresses.add(address, now_s)
        self._users.add(user, now_s)
