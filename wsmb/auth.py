"""Who may come in: passwords, checked against htpasswd files off the reactor thread."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from wsmb import htpasswd
from wsmb.cores import PASSWORDS_AT_ONCE
from wsmb.errors import SettingError
from wsmb.htpasswd import Users
from wsmb.interfaces import PasswordChecker
from wsmb.user_files import Reading, Stamps, UserFiles

LOOK_INTERVAL_S = 1.0
"""How often to look whether a file has changed."""
SOONEST_LOOK_S = 0.9
"""Shortest time between two looks. Less than the above: a beat that comes a little early is not to be for
nothing."""
MAX_SUCCESSES = 10_000
"""Most credentials that are remembered as right, at about 150 bytes each."""


@dataclass(slots=True)
class _Verification:
    """One password being verified, for all who ask for the same one."""

    key: bytes
    users: Users
    user: str
    password: bytes = field(repr=False)
    waiting: list[Callable[[bool], None]]


class Authenticator(PasswordChecker):
    """Checks credentials against htpasswd files.

    They are read when this is made (SettingError if one has no users) and again when one has changed;
    a file that has become unusable leaves the users as they were. Passwords are verified in `pool`,
    files are read in the reactor's own thread pool, so that they do not wait behind verifications.
    `reactor` is an IReactorThreads, `now` returns seconds of a monotonic clock. `start` goes before the
    first check, `stop` behind the last.
    """

    _log = Logger()

    def __init__(
        self,
        files: UserFiles,
        *,
        reactor: Any,
        now: Callable[[], float],
        pool: ThreadPool | None = None,
        verify: Callable[[bytes, str], bool] = htpasswd.verify,
        max_successes: int = MAX_SUCCESSES,
    ) -> None:
        self._files = files
        self._reactor = reactor
        self._now = now
        self._pool = pool or ThreadPool(0, PASSWORDS_AT_ONCE, name="wsmb-auth")
        self._verify = verify
        self._max_successes = max_successes
        self._under_way: dict[bytes, _Verification] = {}
        self._held: list[tuple[str, bytes, Callable[[bool], None]]] = []
        self._is_reading = self._is_stopped = False
        self._trouble = ""
        self._failed_readings = 0
        self._looked_s = now()
        self._seen: Stamps = ()
        self.withdrawn: Callable[[Set[str]], None] = lambda users: None
        """Told of users who have been removed, or have another hash."""
        self._users = Users({}, "")
        self._use(files.read())

    def start(self) -> None:
        """Let the threads run. They are made when there is something to verify."""
        self._pool.start()

    def stop(self) -> None:
        """Answer what is open with False, and end the threads once they have done what they are at."""
        self._is_stopped = True
        dones = [done for check in self._under_way.values() for done in check.waiting]
        dones += [done for _, _, done in self._held]
        self._under_way.clear()
        self._held.clear()
        self._answer(dones, False)
        self._pool.stop()

    def remembers(self, user: str, password: bytes) -> bool:
        """See PasswordChecker. Nothing is known while the files are read again, and after `stop`."""
        self.look()
        is_known = self._key_of(user, password) in self._successes
        return is_known and not (self._is_reading or self._is_stopped)

    def use(self, files: UserFiles, reading: Reading) -> None:
        """From now on the users are in these files, which have just been read."""
        if files != self._files or reading.stamps != self._stamps:
            self._files = files
            self._use(reading)

    def check(self, user: str, password: bytes, done: Callable[[bool], None]) -> None:
        """See PasswordChecker. What was right before is answered at once; after `stop` all is wrong."""
        self.look()
        if self._is_stopped:
            done(False)
        elif self._is_reading:
            self._held.append((user, password, done))
        else:
            self._check(user, password, done)

    def _key_of(self, user: str, password: bytes) -> bytes:
        return hmac.digest(self._key, user.encode("utf-8", "surrogatepass") + b"\0" + password, "sha256")

    def _check(self, user: str, password: bytes, done: Callable[[bool], None]) -> None:
        key = self._key_of(user, password)
        if key in self._successes:
            self._answer([done], True)
        elif key in self._under_way:
            self._under_way[key].waiting.append(done)
        else:
            check = _Verification(key, self._users, user, password, [done])
            self._under_way[key] = check
            deferToThreadPool(self._reactor, self._pool, self._verified, check).addCallbacks(
                self._finish, self._fail, callbackArgs=(check,), errbackArgs=(check,)
            )

    def _verified(self, check: _Verification) -> bool:
        """In a thread: whether the password is right."""
        if self._is_stopped:
            # The pool works off its queue before it ends.
            return False
        password_hash = check.users.hashes.get(check.user)
        is_right = self._verify(check.password, password_hash or check.users.dummy_hash)
        return is_right and password_hash is not None

    def _finish(self, is_right: bool, check: _Verification) -> None:
        if self._under_way.pop(check.key, None) is None:
            return
        if check.users.hashes.get(check.user) != self._users.hashes.get(check.user):
            # The files have been read meanwhile, and what was verified is no longer this user's password.
            for done in check.waiting:
                self._check(check.user, check.password, done)
            return
        if is_right and check.users is self._users:
            self._remember(check.key)
        self._answer(check.waiting, is_right)

    def _fail(self, failure: Failure, check: _Verification) -> None:
        # Its text might quote what it failed on.
        self._log.error("A password could not be verified: {kind}", kind=type(failure.value).__name__)
        self._finish(False, check)

    def _remember(self, key: bytes) -> None:
        if len(self._successes) >= self._max_successes:
            del self._successes[next(iter(self._successes))]
        self._successes[key] = None

    def _answer(self, dones: Iterable[Callable[[bool], None]], is_right: bool) -> None:
        for done in dones:
            try:
                done(is_right)
            except Exception:
                self._log.failure("What followed a password check failed")

    def look(self) -> None:
        """Begin to read the files again if one has changed since they were read with success, and stays as
        it is from one look to the next: half of one that is being written would put the others out.

        To be called every second or so; each check does, too.
        """
        now_s = self._now()
        if self._is_reading or self._is_stopped or now_s - self._looked_s < SOONEST_LOOK_S:
            return
        self._looked_s = now_s
        before, self._seen = self._seen, self._files.stamps()
        if self._seen == self._stamps or self._seen != before:
            return
        self._is_reading = True
        files = self._files
        reading = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), files.read)
        known = reading.addCallbacks(self._read, self._keep, callbackArgs=(files,), errbackArgs=(files,))
        known.addErrback(lambda failure: self._log.failure("What followed other users failed", failure))
        known.addCallback(self._go_on)

    def _read(self, reading: Reading, files: UserFiles) -> None:
        if files is self._files:  # else there are newer ones in their place
            self._use(reading)

    def _use(self, reading: Reading) -> None:
        old, new = self._users.hashes, reading.users.hashes
        self._users, self._stamps = reading.users, reading.stamps
        # A new key, so that nobody joins a verification that began with the old users.
        self._key = secrets.token_bytes(32)
        self._successes: dict[bytes, None] = {}
        self._log.info("{count} users read", count=len(reading.users.hashes))
        if self._failed_readings:
            self._log.info("It had failed {count} times before", count=self._failed_readings)
        for text in reading.passed_over:
            self._log.warn("Lines passed over in {text}", text=text)
        self._trouble, self._failed_readings = "", 0
        withdrawn = {user for user, password_hash in old.items() if new.get(user) != password_hash}
        if withdrawn:
            self.withdrawn(withdrawn)

    def _keep(self, failure: Failure, files: UserFiles) -> None:
        if files is not self._files:
            return
        error = failure.value
        # Of others the text might quote what they failed on.
        trouble = str(error) if isinstance(error, SettingError) else type(error).__name__
        self._failed_readings += 1
        if trouble != self._trouble:
            self._log.warn("The users stay as they were. {trouble}", trouble=trouble)
        self._trouble = trouble

    def _go_on(self, _: object) -> None:
        self._is_reading = False
        held, self._held = self._held, []
        for user, password, done in held:
            self._check(user, password, done)
