"""When the store sweeps."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsmb.errors import Code, StoreError
from wsmb.stock import Rows, Stock
from wsmb.store.operations import Append, Sweep
from wsmb.store.sweeper import EVERY_S, FIRST_AFTER_S, Sweeper


class SweeperTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[Sweep] = []
        self.stock = Stock()
        self.sweeper = Sweeper(
            self.asked.append, self.clock.callLater, lambda: 1e9 + self.clock.seconds(), self.stock
        )

    def swept(self, more: bool = False, next_orphans_after: int | None = None) -> None:
        sweep = self.asked.pop()
        self.assertEqual(self.asked, [])
        sweep.more, sweep.next_orphans_after = more, next_orphans_after
        sweep.report(None)

    def test_what_it_has_removed_is_counted(self) -> None:
        self.stock.begin(Append("a", [b"1"] * 3, lambda _result: None), None)
        for error, left in ((StoreError(Code.UNAVAILABLE, "no"), 3), (None, 1)):
            self.clock.advance(EVERY_S)
            sweep = self.asked.pop()
            sweep.gone = [Rows("a", 2, 2)]
            sweep.report(error)
            self.assertEqual(self.stock.items, left)

    def test_it_sweeps_soon_after_the_start_and_then_every_minute(self) -> None:
        self.assertEqual(self.asked, [])
        self.clock.advance(FIRST_AFTER_S)
        self.assertEqual((self.asked[0].now, self.asked[0].orphans_after), (1e9 + FIRST_AFTER_S, 0))
        self.swept()
        self.clock.advance(EVERY_S - 1)
        self.assertEqual(self.asked, [])
        self.clock.advance(1)
        self.assertEqual(
            (self.asked[0].now, self.asked[0].orphans_after), (1e9 + FIRST_AFTER_S + EVERY_S, None)
        )

    def test_one_portion_follows_the_other(self) -> None:
        self.clock.advance(FIRST_AFTER_S)
        self.swept(more=True, next_orphans_after=17)
        self.assertEqual(self.asked[0].orphans_after, 17)
        self.swept(more=True)
        self.assertIsNone(self.asked[0].orphans_after)
        self.swept()
        self.assertEqual(self.asked, [])

    def test_there_is_one_at_a_time_however_long_it_takes(self) -> None:
        self.clock.advance(FIRST_AFTER_S)
        self.clock.advance(10 * EVERY_S)
        self.assertEqual(len(self.asked), 1)

    def test_after_a_failure_it_sweeps_in_the_next_minute(self) -> None:
        self.clock.advance(FIRST_AFTER_S)
        sweep = self.asked.pop()
        sweep.more = True
        sweep.report(StoreError(Code.UNAVAILABLE, "no"))
        self.assertEqual(self.asked, [])
        self.clock.advance(EVERY_S)
        self.assertEqual(len(self.asked), 1)

    def test_it_stops(self) -> None:
        self.sweeper.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_it_stops_while_a_sweep_is_under_way(self) -> None:
        self.clock.advance(FIRST_AFTER_S)
        self.sweeper.stop()
        self.swept(more=True)
        self.assertEqual((self.asked, self.clock.getDelayedCalls()), ([], []))
