"""Stands between the requests and the password check: slows down guessing, keeps the checks in turn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote

from twisted.logger import Logger

from wsmb.addresses import site
from wsmb.cores import PASSWORDS_AT_ONCE
from wsmb.fair_queue import FairQueue
from wsmb.handshake import Refusal
from wsmb.interfaces import PasswordChecker
from wsmb.throttle import Throttle

MAX_WAITING = 2_000
MAX_TOLD_ADDRESSES = 1_000
"""Addresses with a line of their own in the log, in a minute."""
MAX_SHOWN_USER = 100
BUSY = Refusal(503)

_log = Logger()

Answer = Callable[[Refusal | None], None]
"""Gets None for the right password, else why not: 401, 429 or 503."""


@dataclass(slots=True, eq=False)
class _Check:
    """One request's password."""

    address: str
    place: str
    user: str
    password: bytes = field(repr=False)
    done: Answer | None

    @property
    def key(self) -> tuple[str, bytes]:
        """What is to be checked, whoever asks."""
        return self.user, self.password

    def answer(self, refusal: Refusal | None) -> None:
        done, self.done = self.done, None
        if done is not None:
            done(refusal)


@dataclass(slots=True)
class _Failed:
    """What failed from one place since the last report."""

    address: str
    user: str
    count: int = 0


class Guard:
    """Answers who may come in.

    A password that was right before is right at once, whoever else fails. Where too many have failed
    (see Throttle), passwords are not looked at. All others wait for their turn, in which addresses
    alternate, or until the same password has turned out to be right for another one; when too many
    wait, the address with most of them gives way.
    """

    def __init__(
        self,
        checker: PasswordChecker,
        throttle: Throttle,
        now: Callable[[], float],
        *,
        at_once: int = PASSWORDS_AT_ONCE,
        max_waiting: int = MAX_WAITING,
        max_told: int = MAX_TOLD_ADDRESSES,
    ) -> None:
        """`now` returns seconds of a monotonic clock."""
        self._checker = checker
        self.throttle = throttle
        self._now = now
        self._at_once = at_once
        self._max_waiting = max_waiting
        self._max_told = max_told
        self._queue: FairQueue[_Check] = FairQueue()
        self._alike: dict[tuple[str, bytes], dict[_Check, None]] = {}  # those in the queue, by password
        self._running = 0
        self._is_going_on = False
        self._failed: dict[str, _Failed] = {}
        self._failed_elsewhere = 0

    def check(self, user: str, password: bytes, address: str, done: Answer) -> Callable[[], None]:
        """Call `done`, at once or later, unless what this returns has been called before."""
        check = _Check(address, site(address), user, password, done)
        if self._checker.remembers(user, password):
            check.answer(None)
        elif not self._is_throttled(check):
            self._queue.put(check.place, check)
            self._alike.setdefault(check.key, {})[check] = None
            if len(self._queue) > self._max_waiting:
                self._taken(self._queue.take_last_of_longest()).answer(BUSY)
            self._go_on()
        return lambda: self._forget(check)

    def remembers(self, credentials: tuple[str, bytes] | None) -> bool:
        """Whether this user and password were right before."""
        return credentials is not None and self._checker.remembers(*credentials)

    def _forget(self, check: _Check) -> None:
        check.done = None
        self._queue.remove(check.place, check)
        self._taken(check)

    def _taken(self, check: _Check) -> _Check:
        """It is not in the queue any more; returns it."""
        alike = self._alike.get(check.key, {})
        alike.pop(check, None)
        if not alike:
            self._alike.pop(check.key, None)
        return check

    def _is_throttled(self, check: _Check) -> bool:
        wait_s = self.throttle.wait_s(check.place, check.user, self._now())
        if wait_s:
            self._note(check)
            check.answer(Refusal(429, math.ceil(wait_s)))
        return wait_s > 0

    def _go_on(self) -> None:
        """Begin what may be begun. A check may be finished before this returns, and so come here again."""
        if self._is_going_on:
            return
        self._is_going_on = True
        try:
            while self._running < self._at_once:
                check = self._queue.take()
                if check is None:
                    return
                self._taken(check)
                # Others from there may have failed while this one waited.
                if self._checker.remembers(check.user, check.password) or not self._is_throttled(check):
                    self._running += 1
                    self._checker.check(check.user, check.password, partial(self._checked, check))
        finally:
            self._is_going_on = False

    def _checked(self, check: _Check, is_right: bool) -> None:
        self._running -= 1
        if not is_right:
            self.throttle.failed(check.place, check.user, self._now())
            self._note(check)
        check.answer(None if is_right else Refusal(401))
        for alike in self._alike.pop(check.key, ()) if is_right else ():
            self._queue.remove(alike.place, alike)
            alike.answer(None)
        self._go_on()

    def _note(self, check: _Check) -> None:
        failed = self._failed.get(check.place)
        if failed is None:
            if len(self._failed) >= self._max_told:
                self._failed_elsewhere += 1
                return
            failed = self._failed[check.place] = _Failed(check.address, check.user)
        failed.address, failed.user = check.address, check.user
        failed.count += 1

    def report(self) -> None:
        """Log what has failed since the last report: a line for each address. To be called every minute."""
        all_failed, self._failed = self._failed, {}
        elsewhere, self._failed_elsewhere = self._failed_elsewhere, 0
        for failed in all_failed.values():
            # examples/fail2ban reads this line. Nothing in a user's name may look like the rest of it.
            _log.warn(
                "failed login for {user} from {address}: {count} in the last minute",
                user=quote(failed.user[:MAX_SHOWN_USER], safe="@+"),
                address=failed.address,
                count=failed.count,
            )
        if elsewhere:
            _log.warn("failed logins from further addresses: {count} in the last minute", count=elsewhere)
