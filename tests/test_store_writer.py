"""The writer, on a database that the test steps through."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsmb.errors import Code, StoreError
from wsmb.interfaces import StoredItem
from wsmb.store.dialects import Fault
from wsmb.store.operations import Ages, Append, Batch, Check, NoteTries, Page, Remove
from wsmb.store.writer import LONGEST_DELAY_S, Writer


class FailingError(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


class SteppedDatabase:
    """Carries out one batch with each `step`, or fails it as a real one would."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple[str, bytes]] = {}
        self.tries: dict[int, int] = {}
        self.room = 10**6
        """How many more rows it takes."""
        self.stuck = False
        """Whether even a removal finds no room."""
        self.away = False
        self.poison = b""
        self.steps = 0
        self._running: list[tuple[Batch, Deferred[None]]] = []

    def run(self, batch: Batch) -> Deferred[None]:
        running: Deferred[None] = Deferred()
        self._running.append((batch, running))
        return running

    def step(self) -> bool:
        """Whether there was anything to do."""
        if not self._running:
            return False
        self.steps += 1
        batch, running = self._running.pop()
        before = dict(self.rows), dict(self.tries), self.room
        try:
            for operation in batch.operations:
                self._carry_out(operation)
        except FailingError as failing:
            self.rows, self.tries, self.room = before
            running.errback(failing)
        else:
            running.callback(None)
        return True

    def _carry_out(self, operation: Any) -> None:
        if self.away:
            raise FailingError(Fault.PASSING)
        if operation.refusal is not None:
            return
        match operation:
            case Append():
                for item_id, item in zip(operation.ids, operation.items, strict=True):
                    self._insert(item_id, operation.channel, item)
            case Remove():
                self._need(0)
                for item_id in operation.ids:
                    self.room += self.rows.pop(item_id, None) is not None
            case NoteTries():
                self._need(1)
                self.tries |= operation.tries
            case Page():
                operation.found = [
                    StoredItem(item_id, item)
                    for item_id, (channel, item) in sorted(self.rows.items())
                    if channel == operation.channel and item_id not in operation.hidden
                ][: operation.max_items]

    def _insert(self, item_id: int, channel: str, item: bytes) -> None:
        if item == self.poison:
            raise FailingError(Fault.POISON)
        self._need(1)
        if item_id in self.rows:
            raise FailingError(Fault.TAKEN)
        self.rows[item_id] = (channel, item)
        self.room -= 1

    def _need(self, rows: int) -> None:
        if self.stuck or self.room < rows:
            raise FailingError(Fault.FULL)


class WriterTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.database = SteppedDatabase()
        self.writer = Writer(
            self.database.run, lambda error: error.fault, self.clock.callLater, 0, self.clock.seconds
        )
        self.answers: list[object] = []
        """What was reported, in order: (name, result)."""

    def append(self, name: str, channel: str = "sms") -> None:
        self.writer.submit(
            Append(channel, [name.encode()], lambda result: self.answers.append((name, result)))
        )

    def page(self, name: str, channel: str = "sms") -> None:
        def found(result: Any) -> None:
            items = result if isinstance(result, StoreError) else [item.data for item in result]
            self.answers.append((name, items))

        self.writer.submit(Page(channel, 0, 100, 10**6, found))

    def check(self) -> None:
        self.writer.submit(Check(lambda alive: self.answers.append(("check", alive))))

    def settle(self) -> None:
        """Until the database has nothing to do."""
        while self.database.step():
            pass

    def taken(self) -> list[Any]:
        answers, self.answers = self.answers, []
        return answers

    def items(self) -> list[bytes]:
        return [item for _, (_, item) in sorted(self.database.rows.items())]


class FiguresTest(WriterTest):
    def test_how_long_transactions_take(self) -> None:
        self.append("a")
        self.clock.advance(0.3)
        self.append("b")
        self.settle()
        figures = self.writer.figures
        self.assertAlmostEqual(figures.transactions.sum, 0.3)
        self.assertEqual(sum(figures.transactions.counts), 2)
        self.assertEqual(figures.queued, 0)

    def test_what_is_only_looked_at_is_no_transaction(self) -> None:
        ages = Ages(["sms"], lambda _: None)
        self.writer.submit(ages)
        self.settle()
        self.assertEqual((sum(self.writer.figures.transactions.counts), self.writer.batches), (0, 0))
        self.append("a")
        self.writer.submit(ages)
        self.append("b")
        self.settle()
        self.assertEqual((sum(self.writer.figures.transactions.counts), self.writer.batches), (2, 2))

    def test_the_queue_while_there_is_no_room(self) -> None:
        self.database.room = 0
        self.append("a")
        self.page("p")
        self.append("b", "other")
        self.settle()
        self.assertEqual((self.writer.figures.queued, self.taken()), (3, []))
        self.assertTrue(self.writer.figures.is_full)
        self.assertEqual(+self.writer.figures.failures, {"full": 1})
        self.database.room = 9
        self.clock.advance(LONGEST_DELAY_S)
        self.settle()
        self.assertEqual((self.writer.figures.queued, len(self.taken())), (0, 3))
        self.assertFalse(self.writer.figures.is_full)

    def test_the_queue_when_it_is_given_up(self) -> None:
        self.database.away = True
        self.append("a")
        self.settle()
        self.append("b")
        self.assertEqual(self.writer.figures.queued, 2)
        self.writer.abandon()
        self.append("c")
        self.clock.advance(0)
        self.assertEqual((self.writer.figures.queued, len(self.taken())), (0, 3))
        self.assertEqual(+self.writer.figures.failures, {"passing": 1})


class AwayTest(WriterTest):
    def test_it_is_tried_again_within_half_a_second_however_long_it_was_away(self) -> None:
        self.database.away = True
        self.append("a")
        self.settle()
        waits = []
        for _ in range(100):
            (timer,) = self.clock.getDelayedCalls()
            waits.append(timer.getTime() - self.clock.seconds())
            self.clock.advance(waits[-1])
            self.settle()
        self.assertLess(waits[0], 0.1)
        self.assertLessEqual(max(waits), 0.5)
        self.assertLess(sum(waits[:4]), 1)
        self.database.away = False
        self.clock.advance(LONGEST_DELAY_S)
        self.settle()
        self.assertEqual(self.taken(), [("a", [1])])

    def test_nothing_overtakes_while_it_is_away(self) -> None:
        self.database.away = True
        self.append("a")
        self.page("page")
        self.settle()
        self.check()
        self.settle()
        self.assertEqual(self.taken(), [])
        self.database.away = False
        self.clock.advance(LONGEST_DELAY_S)
        self.settle()
        self.assertEqual(self.taken(), [("a", [1]), ("page", [b"a"]), ("check", True)])


class FullTest(WriterTest):
    """There is no room on the disk."""

    def make_room(self, rows: int = 10**6) -> None:
        self.database.room = rows
        self.clock.advance(LONGEST_DELAY_S)
        self.settle()

    def fill(self) -> None:
        """Two items are there, and no third finds room."""
        self.append("a")
        self.append("b")
        self.settle()
        self.taken()
        self.database.room = 0

    def test_pages_removals_and_checks_go_on(self) -> None:
        self.fill()
        self.append("c")
        self.page("page")
        self.check()
        self.settle()
        self.assertEqual(self.taken(), [("page", [b"a", b"b"]), ("check", True)])
        self.writer.submit(Remove([1]))
        self.page("after")
        self.settle()
        self.assertEqual(self.taken(), [("after", [b"b"])])

    def test_appends_are_confirmed_in_their_order_once_there_is_room(self) -> None:
        self.fill()
        for name in "cdefg":
            self.append(name)
            self.settle()
        self.clock.advance(10 * LONGEST_DELAY_S)
        self.settle()
        self.assertEqual((self.taken(), self.items()), ([], [b"a", b"b"]))
        self.make_room()
        self.append("h")
        self.settle()
        self.assertEqual(self.taken(), [(name, [number]) for number, name in enumerate("cdefgh", 3)])
        self.assertEqual(self.items(), [b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h"])

    def test_a_removal_makes_room_for_what_waits(self) -> None:
        self.fill()
        self.append("c")
        self.append("d")
        self.settle()
        self.writer.submit(Remove([1, 2]))
        self.settle()
        self.clock.advance(LONGEST_DELAY_S)
        self.settle()
        self.assertEqual(self.taken(), [("c", [3]), ("d", [4])])

    def test_a_page_that_would_be_empty_waits_for_the_appends_before_it(self) -> None:
        """An empty one says that nothing is left, and new items would overtake those that wait."""
        self.fill()
        self.append("c", "other")
        self.settle()
        self.page("other", "other")
        self.page("third", "third")
        self.settle()
        self.assertEqual(self.taken(), [("third", [])])
        self.make_room()
        self.assertEqual(self.taken(), [("c", [3]), ("other", [b"c"])])

    def test_once_it_is_there_a_channel_is_as_any_other(self) -> None:
        self.fill()
        self.append("c", "other")
        self.settle()
        self.make_room()
        self.database.room = 0
        self.append("d")
        self.writer.submit(Remove([3]))
        self.page("other", "other")
        self.settle()
        self.assertEqual(self.taken(), [("c", [3]), ("other", [])])
        self.make_room()

    def test_removals_that_find_no_room_hold_up_no_page_and_are_not_seen_by_it(self) -> None:
        self.fill()
        self.database.stuck = True
        self.append("c")
        self.writer.submit(Remove([1]))
        self.page("page")
        self.settle()
        self.assertEqual(self.taken(), [("page", [b"b"])])
        self.page("page")
        self.settle()
        self.assertEqual((self.taken(), self.items()), ([("page", [b"b"])], [b"a", b"b"]))
        self.database.stuck = False
        self.clock.advance(LONGEST_DELAY_S)
        self.settle()
        self.assertEqual((self.taken(), self.items()), ([("c", [3])], [b"b", b"c"]))

    def test_what_is_refused_anyway_does_not_wait_for_room(self) -> None:
        self.fill()
        refusal = StoreError(Code.TOO_MANY, "no")
        for _ in range(2):  # in a batch that finds no room, and once it is known that there is none
            self.append("c")
            self.writer.submit(Append("sms", [b"d"], self.answers.append, refusal=refusal))
            self.settle()
            self.assertEqual(self.taken(), [refusal])
        self.assertEqual(self.items(), [b"a", b"b"])

    def test_tries_wait_as_well(self) -> None:
        self.fill()
        self.writer.submit(NoteTries({1: 1}))
        self.append("c")
        self.page("page")
        self.settle()
        self.assertEqual(self.taken(), [("page", [b"a", b"b"])])
        self.make_room()
        self.assertEqual((self.taken(), self.database.tries), ([("c", [3])], {1: 1}))

    def test_one_poisonous_item_among_those_that_wait_fails_alone(self) -> None:
        self.fill()
        for name in "cdefg":
            self.append(name)
        self.settle()
        self.database.poison = b"e"
        self.make_room(2)
        self.make_room()
        answers = self.taken()
        self.assertEqual([name for name, _ in answers], list("cdefg"))
        self.assertEqual([name for name, result in answers if isinstance(result, StoreError)], ["e"])
        self.assertEqual(self.items(), [b"a", b"b", b"c", b"d", b"f", b"g"])

    def test_the_disk_is_looked_at_every_half_a_second(self) -> None:
        self.fill()
        self.append("c")
        self.settle()
        self.clock.pump([0.05] * 200)
        self.settle()
        self.database.steps = 0
        for _ in range(200):
            self.clock.advance(0.05)
            self.settle()
        self.assertTrue(19 <= self.database.steps <= 21, self.database.steps)

    def test_a_database_that_goes_away_meanwhile(self) -> None:
        self.fill()
        self.append("c")
        self.settle()
        self.database.away = True
        self.clock.advance(LONGEST_DELAY_S)
        self.settle()
        self.append("d")
        self.page("page")
        self.settle()
        self.assertEqual(self.taken(), [])
        self.database.away = False
        self.clock.advance(LONGEST_DELAY_S)
        self.settle()
        self.make_room()
        self.assertEqual([name for name, _ in self.taken()], ["page", "c", "d"])

    def test_a_close_waits_for_what_waits_and_may_give_it_up(self) -> None:
        self.fill()
        self.append("c")
        self.page("empty", "nobody")
        self.settle()
        self.page("nothing", "sms")
        self.settle()
        self.taken()
        idle: list[bool] = []
        self.writer.drain(lambda: idle.append(True))
        self.assertEqual(idle, [])
        self.writer.abandon()
        ((name, result),) = self.taken()
        self.assertEqual((name, type(result)), ("c", StoreError))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_close_ends_when_there_is_room(self) -> None:
        self.fill()
        self.append("c")
        self.settle()
        idle: list[bool] = []
        self.writer.drain(lambda: idle.append(True))
        self.make_room()
        self.assertEqual((self.taken(), idle), ([("c", [3])], [True]))
        self.assertEqual(self.clock.getDelayedCalls(), [])
