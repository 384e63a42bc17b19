from __future__ import annotations

import os
from collections.abc import Callable

from twisted.logger import capturedLogs, formatEvent

from tests.support_auth import (
    HASH,
    OTHER,
    OTHER_HASH,
    WRONG,
    AuthenticatorCase,
    write_file,
)
from wsmb.auth import LOOK_INTERVAL_S


class Change(AuthenticatorCase):
    """The file changes while the broker runs."""

    def test_new_user_comes_in_and_a_removed_one_does_not(self):
        self.answer()
        self.change(f"qb:{HASH}\n")
        self.assertEqual((self.answer("qb"), self.answer("qa")), (True, False))

    def test_is_looked_for_once_a_second(self):
        write_file(self.file, f"qb:{HASH}\n")
        for part in (1.0, 0.8):
            self.clock.advance(LOOK_INTERVAL_S * part)
            self.assertIs(self.answer("qb"), False)
        self.clock.advance(LOOK_INTERVAL_S * 0.2)
        self.assertIs(self.answer("qb"), True)

    def test_a_look_that_comes_a_little_early_counts(self):
        write_file(self.file, f"qb:{HASH}\n")
        self.clock.advance(LOOK_INTERVAL_S * 0.99)
        self.auth.look()
        self.clock.advance(LOOK_INTERVAL_S * 0.99)
        self.assertIs(self.answer("qb"), True)

    def test_a_file_that_is_being_written_is_waited_for(self):
        write_file(self.file, f"qa:{HASH}\nqb:{HASH}\n")
        self.settle()
        self.assertIs(self.answer("qb"), True)
        gone: list[str] = []
        self.auth.withdrawn = gone.extend
        for half in (f"qa:{HASH}\n", f"qa:{HASH}\nqb:{HASH}\n"):
            write_file(self.file, half)
            self.clock.advance(LOOK_INTERVAL_S)
            self.assertIs(self.answer("qb"), True)
        self.settle()
        self.answer()
        self.assertEqual(gone, [])

    def test_unchanged_file_is_not_read_again(self):
        self.clock.advance(LOOK_INTERVAL_S)
        self.ask()
        self.assertEqual(len(self.reactor.pool.waiting), 0)

    def test_check_waits_until_the_file_is_read(self):
        self.answer()
        self.change(f"qa:{OTHER_HASH}\n")
        first, second = self.ask(), self.ask(password=OTHER)
        self.pool.run()
        self.assertEqual((first, second), ([], []))
        self.reactor.pool.run()
        self.pool.run()
        self.assertEqual((first, second), ([False], [True]))

    def test_reading_does_not_wait_behind_verifications(self):
        slow = self.ask()
        self.change(f"qa:{HASH}\nqb:{HASH}\n")
        self.ask("qb")
        self.reactor.pool.run()
        self.assertEqual((len(self.pool.waiting), slow), (2, []))

    def test_nothing_remembered_outlives_it(self):
        self.answer()
        self.change(f"qa:{HASH}\n# changed\n")
        self.answer(password=WRONG)
        self.assertEqual(len(self.auth._successes), 0)
        self.assertEqual(self.ask(), [])

    def test_verification_that_began_before_is_not_remembered_after(self):
        before = self.ask()
        self.change(f"qa:{HASH}\n# changed\n")
        self.ask(password=WRONG)
        self.reactor.pool.run()
        self.pool.run()
        self.assertEqual(len(self.auth._successes), 0)
        self.assertEqual((before, self.ask()), ([True], []))

    def test_verification_that_began_before_is_not_joined_after(self):
        before = self.ask()
        self.change(f"qa:{HASH}\n# changed\n")
        after = self.ask()
        self.reactor.pool.run()
        self.pool.run()
        self.assertEqual((before, after, len(self.verify.hashes)), ([True], [True], 2))

    def test_verification_that_began_before_does_not_let_a_removed_user_in(self):
        before = self.ask()
        self.change(f"qb:{HASH}\n")
        self.ask("qb")
        self.reactor.pool.run()
        self.pool.run()
        self.assertEqual(before, [False])

    def test_verification_that_began_before_knows_a_new_password(self):
        before = self.ask(password=OTHER)
        self.change(f"qa:{OTHER_HASH}\n")
        self.ask()
        self.reactor.pool.run()
        self.pool.run()
        self.assertEqual(before, [True])


class UnusableFile(AuthenticatorCase):
    """A file that has become unusable keeps the old users."""

    def spoil_and_ask(self, spoil: Callable[[], None]) -> list[str]:
        """The log's lines; the old user must be in all the while."""
        with capturedLogs() as events:
            for _ in range(3):
                spoil()
                self.settle()
                self.assertIs(self.answer(), True)
        return [formatEvent(one) for one in events]

    def test_missing(self):
        (line,) = self.spoil_and_ask(lambda: os.path.exists(self.file) and os.remove(self.file))
        self.assertIn("The users stay as they were", line)
        self.assertIn(f"{self.file}: no such file", line)

    def test_not_to_be_read(self):
        os.remove(self.file)
        (line,) = self.spoil_and_ask(lambda: os.makedirs(self.file, exist_ok=True))
        self.assertIn(f"{self.file}: Is a directory", line)

    def test_a_fifo_blocks_nobody(self):
        os.remove(self.file)
        (line,) = self.spoil_and_ask(lambda: os.path.exists(self.file) or os.mkfifo(self.file))
        self.assertIn(f"{self.file}: not a regular file", line)

    def test_empty_or_half_written(self):
        self.assertEqual(len(self.spoil_and_ask(lambda: write_file(self.file, ""))), 1)
        self.assertEqual(len(self.spoil_and_ask(lambda: write_file(self.file, f"qa:{HASH[:20]}"))), 1)

    def test_one_of_two(self):
        second = self.mktemp()
        write_file(second, f"qb:{HASH}\n")
        self.auth = self.made([self.file, second])
        os.remove(second)
        self.settle()
        self.assertIs(self.answer("qb"), True)

    def test_is_read_as_soon_as_it_is_usable_and_the_failures_are_counted(self):
        self.spoil_and_ask(lambda: write_file(self.file, ""))
        with capturedLogs() as events:
            self.change(f"qb:{HASH}\n")
            self.assertIs(self.answer("qb"), True)
        texts = [formatEvent(one) for one in events]
        self.assertEqual(texts, ["1 users read", "It had failed 3 times before"])

    def test_what_was_right_stays_so(self):
        self.answer()
        self.change("")
        self.ask()
        self.reactor.pool.run()
        self.assertEqual(self.ask(), [True])
