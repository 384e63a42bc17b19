"""Tests for wsmb.periodic, on a clock."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsmb.periodic import Periodic


class PeriodicTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.periodic = Periodic(self.clock)
        self.called: list[str] = []

    def test_each_at_its_own_interval(self) -> None:
        self.periodic.repeat(lambda: self.called.append("a"), 1.0)
        self.periodic.repeat(lambda: self.called.append("b"), 2.0)
        self.assertEqual(self.called, [])
        for _ in range(4):
            self.clock.advance(1.0)
        self.assertEqual((self.called.count("a"), self.called.count("b")), (4, 2))

    def test_one_that_fails_is_told_and_called_again(self) -> None:
        def fails() -> None:
            self.called.append("fails")
            raise ValueError("odd")

        self.periodic.repeat(fails, 1.0)
        self.clock.advance(1.0)
        self.clock.advance(1.0)
        self.assertEqual(self.called, ["fails", "fails"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_after_the_stop_nothing_is_called(self) -> None:
        self.periodic.repeat(lambda: self.called.append("a"), 1.0)
        self.periodic.stop()
        self.clock.advance(5.0)
        self.assertEqual((self.called, self.clock.getDelayedCalls()), ([], []))
