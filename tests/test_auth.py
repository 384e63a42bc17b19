from __future__ import annotations

from twisted.logger import capturedLogs, formatEvent

from tests.support_auth import (
    HASH,
    RIGHT,
    WRONG,
    AuthenticatorCase,
    write_file,
)


def is_like_hash(one: str) -> bool:
    """Whether `one` takes as long to verify as HASH."""
    return one.startswith("$2") and one.split("$")[2] == HASH.split("$")[2]


class Check(AuthenticatorCase):
    def test_right_and_wrong(self):
        answers = [self.answer(), self.answer(password=WRONG), self.answer(user="nobody")]
        self.assertEqual(answers, [True, False, False])

    def test_odd_passwords_are_plain_failures(self):
        for password in (b"", b"\0", RIGHT + b"\0", b"x" * 73, b"x" * 5000, b"\xff"):
            self.assertIs(self.answer(password=password), False)

    def test_odd_users_are_plain_failures(self):
        for user in ("", "\0", "\ud800", "qa\0", "x" * 5000):
            self.assertIs(self.answer(user=user), False)

    def test_nothing_is_answered_before_it_is_verified(self):
        answers = self.ask()
        self.assertEqual((answers, self.verify.hashes), ([], []))
        self.pool.run()
        self.assertEqual((answers, self.verify.hashes), ([True], [HASH]))

    def test_same_credentials_at_the_same_time_are_verified_once(self):
        first, second, other = self.ask(), self.ask(), self.ask(password=WRONG)
        self.pool.run()
        self.assertEqual((first, second, other), ([True], [True], [False]))
        self.assertEqual(len(self.verify.hashes), 2)

    def test_done_that_raises_costs_the_others_nothing(self):
        def fail(_: bool) -> None:
            raise ValueError("not ours")

        self.auth.check("qa", RIGHT, fail)
        answers = self.ask()
        self.pool.run()
        self.assertEqual(answers, [True])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_verification_that_raises_is_a_failure_and_tells_nothing(self):
        def fail(password: bytes, password_hash: str) -> bool:
            raise ValueError(password, password_hash)

        self.verify = fail
        self.auth = self.made([self.file])
        with capturedLogs() as events:
            self.assertIs(self.answer(), False)
        self.assertEqual(
            [formatEvent(one) for one in events], ["A password could not be verified: ValueError"]
        )
        self.assertNotIn(RIGHT.decode(), f"{events}")

    def test_neither_password_nor_hash_is_logged(self):
        with capturedLogs() as events:
            self.auth = self.made([self.file])
            self.answer()
            self.answer(password=WRONG)
            self.change(f"qa:{HASH}\nplain:{WRONG.decode()}\n")
            self.answer()
            self.change("qa:" + WRONG.decode())
            self.answer()
        self.assertGreater(len(events), 3)
        for secret in (RIGHT.decode(), WRONG.decode(), HASH, "plain"):
            self.assertNotIn(secret, "".join(formatEvent(one) for one in events))


class SameTime(AuthenticatorCase):
    """A user that is not there costs what one costs that is; shown by what is verified, without a clock."""

    def test_unknown_user_is_verified_against_a_dummy_hash_of_the_files_own_kind(self):
        self.answer(password=WRONG)
        self.answer("nobody", WRONG)
        known, unknown = self.verify.hashes
        self.assertEqual(known, HASH)
        self.assertNotEqual(unknown, HASH)
        self.assertTrue(is_like_hash(unknown), unknown)

    def test_every_unknown_user_is_verified_against_the_same_hash(self):
        self.answer("nobody", WRONG)
        self.answer("someone", RIGHT)
        self.assertEqual(len(self.verify.hashes), 2)
        self.assertEqual(len(set(self.verify.hashes)), 1)

    def test_user_with_a_bad_line_is_like_one_that_is_not_there(self):
        self.change(f"qa:{HASH}\nqb:!\n")
        self.assertIs(self.answer("qb", b"!"), False)
        self.assertTrue(is_like_hash(self.verify.hashes[0]))

    def test_unknown_user_does_not_come_in_even_if_the_dummy_hash_is_met(self):
        self.verify = lambda password, password_hash: True
        self.auth = self.made([self.file])
        self.assertIs(self.answer("nobody"), False)
        self.assertIs(self.answer("nobody"), False)


class Successes(AuthenticatorCase):
    def test_what_was_right_is_answered_at_once(self):
        self.answer()
        self.assertEqual(self.ask(), [True])
        self.assertEqual(len(self.verify.hashes), 1)

    def test_other_credentials_do_not_profit(self):
        self.answer()
        self.assertEqual((self.ask(password=WRONG), self.ask("q", b"a" + RIGHT)), ([], []))

    def test_what_was_wrong_is_verified_again(self):
        self.answer(password=WRONG)
        self.assertEqual(self.ask(password=WRONG), [])

    def test_is_bounded_and_loses_the_oldest(self):
        users = [f"user{n}" for n in range(3)]
        write_file(self.file, "".join(f"{user}:{HASH}\n" for user in users))
        self.auth = self.made([self.file], max_successes=2)
        for user in users:
            self.answer(user)
        self.assertEqual([self.ask(user) for user in users], [[], [True], [True]])

    def test_password_is_nowhere_in_what_is_remembered(self):
        self.answer()
        self.assertEqual(len(self.auth._successes), 1)
        self.assertNotIn(RIGHT, b"".join(self.auth._successes))

    def test_key_is_of_the_process(self):
        self.answer()
        (before,) = self.auth._successes
        self.auth = self.made([self.file])
        self.answer()
        self.assertNotIn(before, self.auth._successes)


class Stop(AuthenticatorCase):
    def test_open_checks_are_answered_once_and_not_verified(self):
        under_way = self.ask()
        self.change(f"qb:{HASH}\n")
        held = self.ask("qb")
        self.auth.stop()
        self.reactor.pool.run()
        self.assertEqual((under_way, held, self.verify.hashes), ([False], [False], []))

    def test_nobody_comes_in_after_it(self):
        self.answer()
        self.auth.stop()
        self.assertEqual(self.ask(), [False])


class Remembers(AuthenticatorCase):
    def test_what_was_right(self):
        self.assertIs(self.auth.remembers("qa", RIGHT), False)
        self.answer()
        known = [self.auth.remembers("qa", word) for word in (RIGHT, WRONG)]
        self.assertEqual((known, self.auth.remembers("qb", RIGHT)), ([True, False], False))

    def test_not_what_was_wrong(self):
        self.answer(password=WRONG)
        self.assertIs(self.auth.remembers("qa", WRONG), False)

    def test_nothing_once_the_files_have_changed(self):
        self.answer()
        self.change(f"qa:{HASH}\nqb:{HASH}\n")
        self.assertIs(self.auth.remembers("qa", RIGHT), False)

    def test_nothing_after_the_end(self):
        self.answer()
        self.auth.stop()
        self.assertIs(self.auth.remembers("qa", RIGHT), False)
