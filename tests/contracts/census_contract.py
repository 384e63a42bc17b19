"""How every SQL store counts what is in the original's table. A test case mixes this in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, gatherResults

from tests.contracts.store_contract import ask, data_of
from wsmb.interfaces import MessageStore
from wsmb.stock import Rows
from wsmb.store.operations import Sweep
from wsmb.store.recount import FIRST_ROWS

NAMES = ("sms", "SMS", "sms ", "smé")


async def counted(store: MessageStore) -> MessageStore:
    """Once the store has counted what is there."""
    await ask(store.check)  # the count begins in the turn after the start
    while store.stock.is_counting:
        await ask(store.check)
    return store


def recount(store: MessageStore) -> Deferred[MessageStore]:
    """Count again, from now on."""
    store._recount.stop()
    store._recount._stopped = False
    store._recount._begin()
    return ensureDeferred(counted(store))


class CensusContract:
    """Tests of wsmb.store.census, on a real database, beside another program."""

    original_table: str

    def open(self) -> MessageStore:
        """Open the store; it is closed after the test."""
        raise NotImplementedError

    def sql(self, statement: str) -> Sequence[tuple[Any, ...]]:
        """Run a statement beside the store."""
        raise NotImplementedError

    def there_before(self, *rows: tuple[str, str]) -> None:
        """Another program has put (channel, data) into a table of its own."""
        self.sql(self.original_table)
        values = ", ".join(f"({channel}, {data})" for channel, data in rows)
        self.sql(f"INSERT INTO mq_data (channel, data) VALUES {values}")

    async def test_what_was_there_at_the_start(self) -> None:
        self.there_before(*[(f"'{name}'", "'12'") for name in NAMES], ("'sms'", "NULL"), ("NULL", "'123'"))
        stock = (await counted(self.open())).stock
        self.assertEqual((stock.items, stock.bytes), (6, 11))
        self.assertEqual([stock.of(name) for name in NAMES], [(2, 2), (1, 2), (1, 2), (1, 2)])

    async def test_what_has_no_time_has_no_age(self) -> None:
        self.there_before(*[(f"'{name}'", "'12'") for name in NAMES])
        store = await counted(self.open())
        self.assertEqual(await ask(store.ages, NAMES), {})

    async def test_portion_by_portion_while_the_rest_goes_on(self) -> None:
        count = FIRST_ROWS + 7
        self.there_before(*[("'sms'", "'1'")] * count)
        store = await counted(self.open())
        self.assertEqual(store.stock.of("sms"), (count, count))
        self.sql("DELETE FROM mq_data WHERE data_id IN (3, 103)")
        first, *_, last = await ask(store.page, "sms", 0, count, 10**6)
        counting = recount(store)
        # Behind the first portion, and before the others.
        store.remove([first.item_id, last.item_id])
        appended = ask(store.append, "sms", [b"333"])
        self.assertTrue(store.stock.is_counting)
        await gatherResults([counting, appended])
        self.assertEqual((store.stock.items, store.stock.of("sms")), (count - 3, (count - 3, count - 1)))

    async def test_what_another_program_adds_and_takes_is_seen_by_the_next_count(self) -> None:
        store = await counted(self.open())
        await ask(store.append, "sms", [b"1", b"2"])
        self.sql("DELETE FROM mq_data WHERE data = '1'")
        self.sql("INSERT INTO mq_data (channel, data) VALUES ('other', '33')")
        self.assertEqual((store.stock.of("sms"), store.stock.of("other")), ((2, 2), (0, 0)))
        await recount(store)
        self.assertEqual((store.stock.of("sms"), store.stock.of("other")), ((1, 1), (1, 2)))
        self.assertEqual((store.stock.items, store.stock.bytes), (2, 3))
        self.assertEqual(data_of(await ask(store.page, "sms", 0, 9, 99)), [b"2"])

    async def test_what_a_sweep_removes_is_told(self) -> None:
        store = await counted(self.open())
        await ask(store.append, "sms", [b"1", b"22"], expires_at=1.0)
        swept: Deferred[Sweep] = Deferred()
        store._writer.submit(Sweep(100.0, swept.callback))
        self.assertEqual((await swept).gone, [Rows("sms", 2, 3)])
