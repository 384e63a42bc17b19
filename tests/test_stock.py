"""Tests for wsmb.stock: what waits, as the store tells of it, and what is too much."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from wsmb.errors import Code
from wsmb.settings import ChannelSettings, Limits
from wsmb.stock import FLOOR_BYTES, MOST_CHANNELS, Disk, Rows, Stock, Tally, is_low

ANY = ChannelSettings()


class Coming:
    """So many items, of so many bytes together."""

    def __init__(self, channel: str, items: int, size_bytes: int) -> None:
        self.channel = channel
        self.items = [b""] * items
        self.size_bytes = size_bytes


class RuleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stock = Stock()
        self.next_id = 1

    def put(self, channel: str, items: int, size_bytes: int, within: ChannelSettings | None = ANY) -> str:
        """Add so much, which is in the store at once. What is said if it is refused."""
        coming = Coming(channel, items, size_bytes)
        refusal = self.stock.begin(coming, within)
        if refusal is not None:
            self.assertIs(refusal.code, Code.TOO_MANY)
            return refusal.detail
        ids = range(self.next_id, self.next_id + items)
        self.next_id += items
        self.stock.finish(coming, ids, size_bytes)
        return ""

    def test_items_of_a_channel(self) -> None:
        within = ChannelSettings(max_waiting_items_per_channel=10)
        self.assertEqual(self.put("a", 9, 0, within), "")
        self.assertIn("10 items may wait on this channel", self.put("a", 2, 0, within))
        self.assertEqual(self.put("a", 1, 0, within), "")
        self.assertIn("10 items", self.put("a", 1, 0, within))
        self.assertEqual(self.put("b", 10, 0, within), "")

    def test_bytes_of_a_channel(self) -> None:
        within = ChannelSettings(max_waiting_bytes_per_channel=100)
        self.assertEqual(self.put("a", 1, 99, within), "")
        self.assertIn("100 bytes may wait on this channel", self.put("a", 1, 2, within))
        self.assertEqual(self.put("a", 1, 1, within), "")
        self.assertIn("100 bytes", self.put("a", 1, 1, within))

    def test_items_in_all(self) -> None:
        self.stock.limits = Limits(max_waiting_items=10)
        self.assertEqual((self.put("a", 5, 0), self.put("b", 5, 0)), ("", ""))
        self.assertIn("10 items may wait on all channels", self.put("c", 1, 0))

    def test_bytes_in_all(self) -> None:
        self.stock.limits = Limits(max_waiting_bytes=100)
        self.assertEqual((self.put("a", 1, 50), self.put("b", 1, 50)), ("", ""))
        self.assertIn("100 bytes may wait on all channels", self.put("c", 1, 1))

    def test_zero_is_no_limit(self) -> None:
        self.stock.limits = Limits(max_waiting_items=0, max_waiting_bytes=0)
        within = ChannelSettings(max_waiting_items_per_channel=0, max_waiting_bytes_per_channel=0)
        self.stock._known.add("a", 10**12, 0)
        self.assertEqual(self.put("a", 1, 10**15, within), "")
        self.assertEqual(self.put("a", 1, 1, within), "")

    def test_what_was_taken_before_is_never_refused_and_counts(self) -> None:
        within = ChannelSettings(max_waiting_items_per_channel=1)
        self.assertEqual(self.put("a", 5, 0, None), "")
        self.assertIn("1 items", self.put("a", 1, 0, within))
        self.stock.removed([Rows("a", 4, 0)])
        self.assertIn("1 items", self.put("a", 1, 0, within))
        self.stock.removed([Rows("a", 1, 0)])
        self.assertEqual(self.put("a", 1, 0, within), "")

    def test_what_is_on_its_way_counts_until_it_fails(self) -> None:
        within = ChannelSettings(max_waiting_items_per_channel=1)
        first = Coming("a", 1, 5)
        self.assertIsNone(self.stock.begin(first, within))
        self.assertIsNotNone(self.stock.begin(Coming("a", 1, 5), within))
        self.stock.finish(first, (), 0)
        self.assertEqual((self.stock.items, self.stock.bytes, self.stock.of("a")), (0, 0, (0, 0)))
        self.assertIsNone(self.stock.begin(Coming("a", 1, 5), within))

    def test_the_bytes_that_count_are_those_in_the_store(self) -> None:
        coming = Coming("a", 1, 3)
        self.stock.begin(coming, None)
        self.stock.finish(coming, [1], 7)
        self.assertEqual((self.stock.bytes, self.stock.of("a")), (7, (1, 7)))

    def test_the_floor_of_a_disk(self) -> None:
        self.assertFalse(is_low(Disk(1_000, 10**12), 1_000))
        self.assertTrue(is_low(Disk(999, 10**12), 1_000))
        self.assertFalse(is_low(Disk(FLOOR_BYTES, 10**12), None))
        self.assertTrue(is_low(Disk(FLOOR_BYTES - 1, 10**12), None))
        self.assertFalse(is_low(Disk(5, 100), None))
        self.assertTrue(is_low(Disk(4, 100), None))


class ReportTests(SynchronousTestCase):
    def test_what_was_refused_by_reason_and_channel_and_when_it_is_over(self) -> None:
        stock = Stock()
        none = ChannelSettings(max_waiting_items_per_channel=1)
        self.assertEqual(stock.take_report(), "")
        for channel in ("a", "b\n", "b\n"):
            stock.begin(Coming(channel, 2, 2), none)
        stock.no_room("a")
        self.assertEqual(
            stock.take_report(),
            "messages refused in the last minute, since as much waits as may: 2 on 'b\\n', 1 on 'a'; "
            "messages refused in the last minute, since the disk has less room left than min_free_disk_bytes:"
            " 1 on 'a'",
        )
        self.assertEqual(stock.take_report(), "no message was refused in the last minute for want of room")
        self.assertEqual(stock.take_report(), "")

    def test_names_that_senders_make_up_take_no_memory(self) -> None:
        stock = Stock()
        none = ChannelSettings(max_waiting_items_per_channel=1)
        for number in range(5_000):
            stock.begin(Coming(f"c{number}", 2, 2), none)
        self.assertLessEqual(len(stock._refused), 1_001)
        self.assertTrue(stock.take_report().endswith(", others 4990"))


class TallyTests(SynchronousTestCase):
    def test_of_more_channels_than_it_remembers_it_knows_those_with_most_and_the_sum(self) -> None:
        tally = Tally()
        for number in range(MOST_CHANNELS + 1):
            tally.add(f"c{number}", 1, number)
        self.assertEqual((tally.items, tally.of("c0")), (MOST_CHANNELS + 1, (0, 0)))
        self.assertEqual(tally.of(f"c{MOST_CHANNELS}"), [1, MOST_CHANNELS])
        self.assertLessEqual(len(tally._channels), MOST_CHANNELS)
        tally.add("c0", -1, 0)
        self.assertEqual((tally.items, tally.of("c0")), (MOST_CHANNELS, (0, 0)))

    def test_there_are_never_fewer_than_none(self) -> None:
        tally = Tally()
        tally.add("a", 1, 1)
        tally.add("a", -2, -2)
        self.assertEqual((tally.items, tally.bytes, tally.of("a")), (0, 0, (0, 0)))

    def test_a_channel_on_which_nothing_is_left_is_forgotten(self) -> None:
        tally = Tally()
        tally.add("a", 2, 2)
        tally.add("a", -2, -2)
        self.assertEqual(tally._channels, {})


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.sampled_from("ab"), st.integers(1, 3)),
        st.tuples(st.just("finish")),
        st.tuples(st.just("remove"), st.integers(0, 50)),
        st.tuples(st.sampled_from(["count", "portion", "portion"])),
        st.tuples(st.sampled_from(["foreign insert", "foreign remove", "portion"]), st.integers(0, 50)),
    ),
    min_size=5,
    max_size=40,
)


class Table:
    """A table with a size by id, and a store that tells `stock` of what it does there."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[str, int]] = {}
        self.stock = Stock()
        self.largest = 0
        self.counted_to = 0
        self.coming: list[Coming] = []

    def begin(self, channel: str, count: int) -> None:
        self.coming.append(Coming(channel, count, count))
        self.stock.begin(self.coming[-1], None)

    def finish(self) -> None:
        """The oldest that was begun is stored; some fail."""
        if self.coming:
            coming = self.coming.pop(0)
            fails = len(coming.items) == 3
            ids = [] if fails else [self.insert(coming.channel, 2) for _ in coming.items]
            self.stock.finish(coming, ids, 2 * len(ids))

    def insert(self, channel: str, size: int) -> int:
        self.largest += 1
        self.rows[self.largest] = channel, size
        return self.largest

    def remove(self, pick: int, *, is_told: bool) -> None:
        if self.rows:
            item_id = list(self.rows)[pick % len(self.rows)]
            channel, size = self.rows.pop(item_id)
            if is_told:
                self.stock.removed([Rows(channel, 1, size, item_id <= self.counted_to)])

    def others_do(self, kind: str, number: int) -> None:
        if kind.endswith("insert"):
            self.insert("ab"[number % 2], 1)
        else:
            self.remove(number, is_told=False)

    def begin_count(self) -> None:
        self.stock.begin_count()
        self.counted_to = 0

    def count_to_the_end(self) -> None:
        while self.stock.is_counting:
            self.portion()

    def portion(self) -> None:
        """Of two rows."""
        seen = sorted(item_id for item_id in self.rows if item_id > self.counted_to)[:2]
        self.counted_to = seen[-1] if len(seen) == 2 else 2**63
        rows = [Rows(self.rows[item_id][0], 1, self.rows[item_id][1]) for item_id in seen]
        self.stock.counted(rows, seen[-1] if len(seen) == 2 else None)

    def truth(self) -> tuple[int, int, dict[str, tuple[int, int]]]:
        """What is there, and what is on its way."""
        coming = [(each.channel, 1) for each in self.coming for _ in each.items]
        all_rows = [*self.rows.values(), *coming]
        items = Counter(channel for channel, _ in all_rows)
        sizes = {name: sum(size for channel, size in all_rows if channel == name) for name in "ab"}
        return len(all_rows), sum(sizes.values()), {name: (items[name], sizes[name]) for name in "ab"}

    def known(self) -> tuple[int, int, dict[str, tuple[int, int]]]:
        return self.stock.items, self.stock.bytes, {name: tuple(self.stock.of(name)) for name in "ab"}


class CountTests(SynchronousTestCase):
    @examples(300)
    @given(STEPS)
    def test_a_count_sees_each_item_once_whatever_goes_on_meanwhile(self, steps: list[tuple]) -> None:
        """What others do is known once a count is through that has begun after it; all else at once."""
        table = Table()
        is_known = will_be_known = True
        for kind, *arguments in steps:
            if kind == "begin":
                table.begin(*arguments)
            elif kind == "finish":
                table.finish()
            elif kind.startswith("foreign"):
                is_known = will_be_known = False
                table.others_do(kind, *arguments)
            elif kind == "remove":
                table.remove(*arguments, is_told=True)
            elif kind == "count":
                table.begin_count()
                will_be_known = True
            elif table.stock.is_counting:
                table.portion()
                if not table.stock.is_counting:
                    is_known = will_be_known
            if is_known:
                self.assertEqual(table.known(), table.truth())
        table.begin_count()
        table.count_to_the_end()
        self.assertEqual(table.known(), table.truth())

    def test_a_count_that_is_given_up_changes_nothing(self) -> None:
        table = Table()
        for _ in range(3):
            table.begin("a", 2)
            table.finish()
        table.begin_count()
        table.portion()
        table.stock.give_up_count()
        self.assertEqual((table.known(), table.stock.is_counting), (table.truth(), False))
