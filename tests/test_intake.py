"""Tests for wsmb.intake: what all senders together may have unfinished."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsmb.errors import Code, CommandError
from wsmb.intake import PATIENCE_BEATS, Intake
from wsmb.pulse import BEATS_PER_SECOND, Pulse


class Sender:
    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.waits = False
        self.refused = 0
        self.begun: list[int] = []

    def begin(self, cost_bytes: int = 10) -> None:
        self.intake.begin(self, cost_bytes)
        self.begun.append(self.intake.beats)

    def hold_on(self) -> None:
        self.waits = True

    def go_on(self) -> None:
        self.waits = False

    def give_up(self, before_beat: int) -> None:
        old = [beat for beat in self.begun if beat <= before_beat]
        self.refused += len(old)
        self.begun = self.begun[len(old) :]
        if not self.begun:
            self.intake.leave(self)


class IntakeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pulse = Pulse()
        self.intake = Intake(100, self.pulse)
        self.one, self.two = Sender(self.intake), Sender(self.intake)

    def beats(self, count: int) -> None:
        for _ in range(count):
            self.pulse.beat(0.0)

    def test_slowed_beyond_the_limit_and_let_go_on_at_half_of_it(self) -> None:
        for _ in range(10):
            self.one.begin()
        self.assertFalse(self.one.waits)
        self.two.begin()
        self.assertEqual((self.one.waits, self.two.waits), (False, True))
        for _ in range(5):
            self.intake.finish(10, is_stored=True)
        self.assertTrue(self.two.waits)
        self.intake.finish(10, is_stored=True)
        self.assertFalse(self.two.waits)

    def test_refused_beyond_twice_the_limit(self) -> None:
        for _ in range(21):
            self.one.begin()
        problem = self.assertRaises(CommandError, self.two.begin)
        self.assertEqual(problem.code, Code.UNAVAILABLE)
        self.assertEqual(self.intake.bytes, 210)

    def test_told_when_nothing_gets_finished(self) -> None:
        for _ in range(11):
            self.one.begin()
        self.beats(PATIENCE_BEATS - 1)
        self.assertEqual((self.one.refused, self.one.waits), (0, True))
        self.beats(BEATS_PER_SECOND)
        self.assertEqual((self.one.refused, self.one.waits), (11, False))
        self.assertRaises(CommandError, self.two.begin)
        for _ in range(6):
            self.intake.finish(10, is_stored=True)
        self.two.begin()

    def test_told_again_and_taken_while_there_is_room(self) -> None:
        self.one.begin()
        self.beats(PATIENCE_BEATS + BEATS_PER_SECOND)
        self.one.begin()
        self.beats(PATIENCE_BEATS + BEATS_PER_SECOND)
        self.assertEqual(self.one.refused, 2)

    def test_not_told_while_things_get_finished(self) -> None:
        for _ in range(9):
            self.one.begin()
        for _ in range(5):
            self.beats(PATIENCE_BEATS - 1)
            self.intake.finish(10, is_stored=True)
        self.assertEqual(self.one.refused, 0)

    def test_what_is_finished_in_memory_says_nothing_of_the_database(self) -> None:
        self.one.begin()
        for _ in range(PATIENCE_BEATS + BEATS_PER_SECOND):
            self.two.begin()
            self.intake.finish(10, is_stored=False)
            self.two.begun.clear()
            self.beats(1)
        self.assertEqual((self.one.refused, self.two.refused), (1, 0))

    def test_who_has_just_begun_is_not_told(self) -> None:
        self.one.begin()
        self.beats(PATIENCE_BEATS - 1)
        self.two.begin()
        self.beats(BEATS_PER_SECOND)
        self.assertEqual((self.one.refused, self.two.refused), (1, 0))

    def test_who_has_gone_is_not_spoken_to(self) -> None:
        for _ in range(11):
            self.one.begin()
        self.intake.forget(self.one)
        self.beats(PATIENCE_BEATS + BEATS_PER_SECOND)
        self.assertEqual((self.one.refused, self.one.waits), (0, True))
