"""Tests for wsmb.guard: whose password is looked at, in which order, and what is told and logged."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from wsmb.guard import BUSY, Guard
from wsmb.handshake import Refusal
from wsmb.settings import Limits
from wsmb.throttle import Throttle

WRONG_PASSWORD = Refusal(401)
LIMITS = Limits(max_failures=3, max_failures_per_address=6, max_failures_per_user=10)


class Checker:
    """A PasswordChecker that knows what was right before; it checks when the test says so."""

    def __init__(self) -> None:
        self.known: set[tuple[str, bytes]] = set()
        self.open: list[tuple[str, bytes, Callable[[bool], None]]] = []
        self.asked: list[str] = []

    def remembers(self, user: str, password: bytes) -> bool:
        return (user, password) in self.known

    def check(self, user: str, password: bytes, done: Callable[[bool], None]) -> None:
        self.asked.append(user)
        if self.remembers(user, password):
            done(True)
        else:
            self.open.append((user, password, done))

    def step(self) -> None:
        user, password, done = self.open.pop(0)
        if password == b"right":
            self.known.add((user, password))
        done(password == b"right")

    def work(self) -> None:
        while self.open:
            self.step()


class GuardCase(SynchronousTestCase):
    at_once, max_waiting = 2, 6

    def setUp(self) -> None:
        self.clock = Clock()
        self.checker = Checker()
        self.guard = Guard(
            self.checker,
            Throttle(LIMITS),
            self.clock.seconds,
            at_once=self.at_once,
            max_waiting=self.max_waiting,
        )

    def ask(self, user: str = "qa", password: bytes = b"wrong", address: str = "a") -> list[Refusal | None]:
        """Begin a check; its answer will be in the list."""
        answers: list[Refusal | None] = []
        self.forget = self.guard.check(user, password, address, answers.append)
        return answers

    def answer(self, user: str = "qa", password: bytes = b"wrong", address: str = "a") -> Refusal | None:
        answers = self.ask(user, password, address)
        self.checker.work()
        (answer,) = answers
        return answer

    def logged(self) -> list[str]:
        with capturedLogs() as events:
            self.guard.report()
        return [str(formatEvent(event)) for event in events]


class ThrottleTests(GuardCase):
    def test_after_some_failures_no_password_is_looked_at(self) -> None:
        for _ in range(3):
            self.assertEqual(self.answer(), WRONG_PASSWORD)
        self.assertEqual(self.answer(), Refusal(429, 20))
        self.assertEqual(self.answer(password=b"right"), Refusal(429, 20))
        self.assertEqual(len(self.checker.asked), 3)

    def test_it_is_looked_at_when_it_was_waited_for(self) -> None:
        for _ in range(4):
            self.answer()
        self.clock.advance(20)
        self.assertIsNone(self.answer(password=b"right"))

    def test_users_that_are_there_and_others_are_told_the_same(self) -> None:
        told = [[self.answer(user, address=user) for _ in range(5)] for user in ("qa", "nobody")]
        self.assertEqual(told[0], told[1])

    def test_a_right_password_from_another_address_comes_in_whoever_guesses(self) -> None:
        for number in range(20):
            self.answer(address=f"address{number % 5}")
        self.assertIsNone(self.answer(password=b"right", address="b"))

    def test_what_was_right_before_comes_in_at_once_even_from_there(self) -> None:
        self.assertIsNone(self.answer(password=b"right"))
        for _ in range(10):
            self.answer()
        self.assertEqual(self.ask(password=b"right"), [None])

    def test_right_ones_are_no_failures(self) -> None:
        for number in range(50):
            self.assertIsNone(self.answer(f"user{number}", b"right"))

    def test_many_at_a_time_are_no_way_round(self) -> None:
        answers = [self.ask() for _ in range(6)]
        self.checker.work()
        self.assertEqual([one for (one,) in answers], [WRONG_PASSWORD] * 4 + [Refusal(429, 20)] * 2)
        self.assertEqual(len(self.checker.asked), 4)

    def test_all_of_a_64_are_one(self) -> None:
        for number in range(3):
            self.answer(address=f"2001:db8::{number}")
        self.assertEqual(self.answer(address="2001:db8::9"), Refusal(429, 20))
        self.assertEqual(self.answer(address="2001:db8:1::9"), WRONG_PASSWORD)


class QueueTests(GuardCase):
    def test_no_more_than_some_run_at_a_time(self) -> None:
        for number in range(5):
            self.ask(f"user{number}")
        self.assertEqual(len(self.checker.open), 2)
        self.checker.step()
        self.assertEqual(self.checker.asked, ["user0", "user1", "user2"])

    def test_addresses_take_turns(self) -> None:
        for number in range(5):
            self.ask(f"many{number}")
        self.ask("one", b"right", "b")
        self.checker.work()
        self.assertEqual(self.checker.asked[:4], ["many0", "many1", "many2", "one"])

    def test_when_too_many_wait_who_has_most_of_them_gives_way(self) -> None:
        answers = [self.ask(f"user{number}") for number in range(8)]
        late = self.ask("late", b"right", "b")
        self.assertEqual((answers[6:], late), ([[], [BUSY]], []))
        self.assertEqual(self.ask("further"), [BUSY])
        self.checker.work()
        self.assertEqual(late, [None])

    def test_who_has_gone_is_not_checked(self) -> None:
        self.ask("first"), self.ask("second")
        gone = self.ask("gone")
        self.forget()
        self.ask("third")
        self.checker.work()
        self.assertEqual((self.checker.asked, gone), (["first", "second", "third"], []))

    def test_who_goes_while_it_is_checked_has_failed_all_the_same(self) -> None:
        for _ in range(3):
            answers = self.ask()
            self.forget()
            self.checker.work()
            self.assertEqual(answers, [])
        self.assertEqual(self.ask(), [Refusal(429, 20)])

    def test_who_waits_with_the_same_password_comes_in_with_the_first(self) -> None:
        self.guard = Guard(self.checker, Throttle(LIMITS), self.clock.seconds, at_once=1)
        first = self.ask(password=b"right")
        other = self.ask("other")
        alike = self.ask(password=b"right", address="b")
        gone = self.ask(password=b"right", address="c")
        self.forget()
        self.checker.step()
        self.assertEqual((first, other, alike, gone), ([None], [], [None], []))
        self.checker.work()
        self.assertEqual((self.checker.asked, other), (["qa", "other"], [WRONG_PASSWORD]))

    def test_a_wrong_one_is_looked_at_again(self) -> None:
        self.guard = Guard(self.checker, Throttle(LIMITS), self.clock.seconds, at_once=1)
        answers = [self.ask(address=address) for address in "abc"]
        self.checker.step()
        self.assertEqual(answers, [[WRONG_PASSWORD], [], []])
        self.checker.work()
        self.assertEqual(len(self.checker.asked), 3)

    def test_a_thousand_with_the_same_password_are_one_check(self) -> None:
        self.guard = Guard(self.checker, Throttle(LIMITS), self.clock.seconds, at_once=1)
        answers = [self.ask(password=b"right") for _ in range(500)]
        self.checker.step()
        self.assertEqual({tuple(one) for one in answers}, {(None,)})
        self.assertEqual(self.checker.open, [])


class LogTests(GuardCase):
    def test_one_line_for_an_address_with_refused_tries_counted(self) -> None:
        for _ in range(5):
            self.answer()
        self.answer("other", address="2001:db8::1")
        self.assertEqual(
            self.logged(),
            [
                "failed login for qa from a: 5 in the last minute",
                "failed login for other from 2001:db8::1: 1 in the last minute",
            ],
        )
        self.assertEqual(self.logged(), [])

    def test_a_name_cannot_look_like_the_rest_of_the_line(self) -> None:
        self.answer("x from 192.0.2.9: 5 in the last minute")
        self.answer("caf\xe9\n\x1b[31m", address="b")
        self.answer("u" * 256, address="c")
        self.assertEqual(
            self.logged(),
            [
                "failed login for x%20from%20192.0.2.9%3A%205%20in%20the%20last%20minute from a: "
                "1 in the last minute",
                "failed login for caf%C3%A9%0A%1B%5B31m from b: 1 in the last minute",
                f"failed login for {'u' * 100} from c: 1 in the last minute",
            ],
        )

    def test_lines_are_bounded(self) -> None:
        self.guard = Guard(self.checker, Throttle(LIMITS), self.clock.seconds, max_told=2)
        for number in range(4):
            self.answer(address=f"address{number}")
        self.assertEqual(self.logged()[2:], ["failed logins from further addresses: 2 in the last minute"])

    def test_no_password_is_shown(self) -> None:
        self.answer(password=b"wr0ng-w0rd")
        for _ in range(self.max_waiting + 4):
            self.ask(password=b"wr0ng-w0rd")
        self.forget()
        self.checker.work()
        self.assertNotIn("wr0ng-w0rd", f"{self.logged()}{vars(self.guard)}")
