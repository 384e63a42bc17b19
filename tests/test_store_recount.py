"""When the store counts what waits."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsmb.errors import Code, StoreError
from wsmb.settings import ChannelSettings
from wsmb.stock import Rows, Stock
from wsmb.store.operations import Append, Count
from wsmb.store.recount import EVERY_LOOKS, FIRST_ROWS, LOOK_EVERY_S, MOST_ROWS, PORTION_BYTES, Recount


class RecountTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[Count] = []
        self.stock = Stock()
        self.recount = Recount(self.asked.append, self.clock.callLater, self.stock)
        self.clock.advance(0)

    def counted(self, items: int = 0, size_bytes: int = 0, last_id: int | None = None) -> None:
        count = self.asked.pop()
        self.assertEqual(self.asked, [])
        count.found, count.last_id = [Rows("a", items, size_bytes)], last_id
        count.report(None)

    def test_at_the_start_portion_by_portion(self) -> None:
        self.assertEqual((self.asked[0].after_id, self.asked[0].most), (0, FIRST_ROWS))
        self.counted(FIRST_ROWS, 100, last_id=500)
        self.assertEqual((self.asked[0].after_id, self.stock.items), (500, 0))
        self.counted(3, 3)
        self.assertEqual((self.asked, self.stock.items, self.stock.is_counting), ([], FIRST_ROWS + 3, False))

    def test_a_portion_is_of_so_many_rows_and_about_so_many_bytes(self) -> None:
        self.counted(FIRST_ROWS, 100 * FIRST_ROWS, last_id=500)
        self.assertEqual(self.asked[0].most, MOST_ROWS)
        self.counted(MOST_ROWS, 2 * PORTION_BYTES, last_id=20_000)
        self.assertEqual(self.asked[0].most, MOST_ROWS // 2)
        self.counted(MOST_ROWS // 2, 10**6 * PORTION_BYTES, last_id=30_000)
        self.assertEqual(self.asked[0].most, 1)

    def test_every_hour(self) -> None:
        self.counted()
        self.clock.pump([LOOK_EVERY_S] * (EVERY_LOOKS - 1))
        self.assertEqual(self.asked, [])
        self.clock.advance(LOOK_EVERY_S)
        self.assertEqual(len(self.asked), 1)

    def test_a_minute_after_something_was_too_many(self) -> None:
        self.counted(1, 1)
        append = Append("a", [b"1"], lambda _result: None)
        self.stock.begin(append, ChannelSettings(max_waiting_items_per_channel=1))
        self.clock.advance(LOOK_EVERY_S)
        self.counted(1, 1)
        self.clock.advance(LOOK_EVERY_S)
        self.assertEqual(self.asked, [])

    def test_one_that_fails_is_given_up_until_the_next(self) -> None:
        self.asked.pop().report(StoreError(Code.UNAVAILABLE, "no"))
        self.assertFalse(self.stock.is_counting)
        self.clock.pump([LOOK_EVERY_S] * EVERY_LOOKS)
        self.assertEqual(self.asked[0].after_id, 0)

    def test_it_stops(self) -> None:
        self.counted()
        self.recount.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_it_stops_while_a_count_is_under_way(self) -> None:
        self.recount.stop()
        self.counted(last_id=7)
        self.assertEqual((self.asked, self.clock.getDelayedCalls()), ([], []))
