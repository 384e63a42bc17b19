from __future__ import annotations

import threading

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support_auth import (
    HASH,
    RIGHT,
    MemoryPool,
    write_file,
)
from wsmb import htpasswd
from wsmb.auth import Authenticator
from wsmb.cores import PASSWORDS_AT_ONCE
from wsmb.user_files import UserFiles

SHA1 = "{SHA}/vNB+F2HQ559kaLUZbmHHvZrXpg="  # of RIGHT


class Threads(TestCase):
    """With real threads and the real reactor."""

    def setUp(self) -> None:
        self.file = self.mktemp()
        write_file(self.file, "".join(f"user{n}:{HASH}\n" for n in range(8)) + f"sha:{SHA1}\n")
        self.threads: set[int] = set()

    def verify(self, password: bytes, password_hash: str) -> bool:
        self.threads.add(threading.get_ident())
        return htpasswd.verify(password, password_hash)

    def made(self, pool: ThreadPool | None = None) -> Authenticator:
        auth = Authenticator(
            UserFiles([self.file]), reactor=reactor, now=Clock().seconds, pool=pool, verify=self.verify
        )
        auth.start()
        self.addCleanup(auth.stop)
        return auth

    def test_verifies_off_the_reactor_thread_in_few_threads_and_answers_in_it(self):
        auth = self.made()
        answered_in: set[int] = set()

        def check(user: str) -> Deferred[bool]:
            answer: Deferred[bool] = Deferred()

            def done(is_right: bool) -> None:
                answered_in.add(threading.get_ident())
                answer.callback(is_right)

            auth.check(user, RIGHT, done)
            return answer

        def answered(answers: list[bool]) -> None:
            self.assertEqual(answers, [True] * 9 + [False])
            self.assertEqual(answered_in, {threading.get_ident()})
            self.assertNotIn(threading.get_ident(), self.threads)
            self.assertLessEqual(len(self.threads), PASSWORDS_AT_ONCE)

        users = [f"user{n}" for n in range(8)] + ["sha", "nobody"]
        return gatherResults([check(user) for user in users]).addCallback(answered)

    def test_stop_does_not_wait_for_what_has_not_begun(self):
        pool = ThreadPool(0, 1)
        auth = Authenticator(
            UserFiles([self.file]), reactor=reactor, now=Clock().seconds, pool=pool, verify=self.verify
        )
        # The pool is at work with something else, and the check waits behind it.
        at_work, go_on = threading.Event(), threading.Event()
        pool.callInThread(lambda: (at_work.set(), go_on.wait()))
        pool.start()
        at_work.wait()
        answers: list[bool] = []
        auth.check("user0", RIGHT, lambda is_right: (answers.append(is_right), go_on.set()))
        auth.stop()
        self.assertEqual((answers, self.threads), ([False], set()))


class PoolLikeThreadPool(SynchronousTestCase):
    """What the tests count on in MemoryPool, asked of ThreadPool as well."""

    def test_stop_works_off_the_queue_and_then_takes_nothing(self):
        for pool in (MemoryPool(), ThreadPool(0, 1)):
            outcomes: list[object] = []
            for work in (lambda: 1, lambda: int("x")):
                pool.callInThreadWithCallback(
                    lambda ok, result, seen=outcomes: seen.append(result if ok else result.type), work
                )
            pool.start()
            pool.stop()
            pool.callInThreadWithCallback(lambda ok, result, seen=outcomes: seen.append("late"), int)
            self.assertEqual(outcomes, [1, ValueError])
