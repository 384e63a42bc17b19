"""What the tests of authentication share: a thread pool without threads, a verifier that keeps a record."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from wsmb import htpasswd
from wsmb.auth import LOOK_INTERVAL_S, Authenticator
from wsmb.user_files import UserFiles

RIGHT, WRONG, OTHER = b"s3cret", b"wr0ng", b"another"
HASH = htpasswd.bcrypt_hash(RIGHT, 4)
OTHER_HASH = htpasswd.bcrypt_hash(OTHER, 4)


class MemoryPool:
    """Like a ThreadPool, but what is given to it waits until `run` is called."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], None]] = deque()
        self._is_stopped = False

    def callInThreadWithCallback(
        self, on_result: Callable[[bool, Any], None], work: Callable[..., Any], *args: Any
    ) -> None:
        if not self._is_stopped:
            self.waiting.append(lambda: on_result(*_outcome(work, args)))

    def run(self) -> None:
        while self.waiting:
            self.waiting.popleft()()

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self._is_stopped = True
        self.run()


def _outcome(work: Callable[..., Any], args: tuple[Any, ...]) -> tuple[bool, Any]:
    try:
        return True, work(*args)
    except Exception:
        return False, Failure()


class MemoryReactor:
    """The part of a reactor that threads need. Its thread pool is one without threads."""

    def __init__(self) -> None:
        self.pool = MemoryPool()

    def getThreadPool(self) -> MemoryPool:
        return self.pool

    def callFromThread(self, call: Callable[..., object], *args: Any) -> None:
        call(*args)


class RecordingVerify:
    """Verifies, and keeps which hashes it was asked to verify."""

    def __init__(self) -> None:
        self.hashes: list[str] = []

    def __call__(self, password: bytes, password_hash: str) -> bool:
        self.hashes.append(password_hash)
        return htpasswd.verify(password, password_hash)


def write_file(path: str, text: str) -> None:
    """Put a new file in the place of the old one, so that the two differ in their inode."""
    with open(f"{path}.new", "w", encoding="utf-8", newline="") as file:
        file.write(text)
    os.replace(f"{path}.new", path)


class AuthenticatorCase(SynchronousTestCase):
    """An Authenticator over one file, with a clock and pools that the test moves."""

    def setUp(self) -> None:
        self.file = self.mktemp()
        write_file(self.file, f"qa:{HASH}\n")
        self.clock = Clock()
        self.reactor = MemoryReactor()
        self.pool = MemoryPool()
        self.verify = RecordingVerify()
        self.auth = self.made([self.file])

    def made(
        self, files: list[str], lines: list[str] | None = None, max_successes: int = 10
    ) -> Authenticator:
        return Authenticator(
            UserFiles(files, lines or []),
            reactor=self.reactor,
            now=self.clock.seconds,
            pool=self.pool,  # type: ignore[arg-type]
            verify=self.verify,
            max_successes=max_successes,
        )

    def ask(self, user: str = "qa", password: bytes = RIGHT) -> list[bool]:
        """Begin a check; its answer will be in the list."""
        answers: list[bool] = []
        self.auth.check(user, password, answers.append)
        return answers

    def answer(self, user: str = "qa", password: bytes = RIGHT) -> bool:
        answers = self.ask(user, password)
        self.reactor.pool.run()
        self.pool.run()
        (answer,) = answers
        return answer

    def change(self, text: str) -> None:
        write_file(self.file, text)
        self.settle()

    def settle(self) -> None:
        """A change is seen, and stays: the next check has the files read."""
        self.clock.advance(LOOK_INTERVAL_S)
        self.auth.look()
        self.clock.advance(LOOK_INTERVAL_S)
