"""What every SQL store keeps in the tables beside the original's. A test case mixes this in."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from twisted.internet.defer import Deferred

from tests.contracts.store_contract import FAR, ask, data_of
from wsmb.errors import SettingError
from wsmb.interfaces import MessageStore, StoredItem
from wsmb.store.dialects import Dialect
from wsmb.store.operations import Sweep


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


async def sweep(store: MessageStore, now: float, orphans_after: int | None = None) -> Sweep:
    """Carry out one portion of a sweep as of `now`."""
    swept: Deferred[Sweep] = Deferred()
    store._writer.submit(Sweep(now, swept.callback, orphans_after))
    return await swept


class SideTablesContract:
    """Tests of wsmb.store.side_tables, on a real database.

    `original_table` is how the original, or wsmb's own schema file 0001, would have made its table.
    """

    original_table: str

    def open(self) -> MessageStore:
        """Open the store; it is closed after the test."""
        raise NotImplementedError

    def sql(self, statement: str) -> Sequence[tuple[Any, ...]]:
        """Run a statement beside the store."""
        raise NotImplementedError

    def make_dialect(self) -> Dialect:
        """A dialect that is not open yet."""
        raise NotImplementedError

    def schema(self) -> dict[str, str]:
        """The definition of each table and index, by name, but for the original's table itself."""
        raise NotImplementedError

    def count(self, table: str) -> int:
        return self.sql(f"SELECT COUNT(*) FROM mq_{table}")[0][0]

    async def reopened(self, store: MessageStore) -> MessageStore:
        await ask(store.close)
        return self.open()

    async def test_a_table_of_the_original_is_brought_to_what_a_new_one_is(self) -> None:
        await ask(self.open().close)
        fresh = self.schema()
        for table in ("data", "item", "message_id", "version"):
            self.sql(f"DROP TABLE mq_{table}")
        self.sql(self.original_table)
        self.sql("INSERT INTO mq_data (channel, data, created) VALUES ('sms', '1', NULL)")
        store = self.open()
        self.assertEqual(self.schema(), fresh)
        self.assertLessEqual({"mq_item", "mq_message_id", "mq_version"}, set(fresh))
        self.assertEqual(list(self.sql("SELECT number FROM mq_version")), [(2,)])
        self.assertEqual(data_of(await ask(store.page, "sms", 0, 9, 99)), [b"1"])

    async def test_an_upgrade_that_was_cut_off_is_finished(self) -> None:
        await ask(self.open().close)
        fresh = self.schema()
        self.sql("DELETE FROM mq_version")
        self.sql("DROP TABLE mq_message_id")
        self.open()
        self.assertEqual(self.schema(), fresh)
        self.assertEqual(list(self.sql("SELECT number FROM mq_version")), [(2,)])

    async def test_tables_of_a_later_version_are_left_alone(self) -> None:
        await ask(self.open().close)
        self.sql("UPDATE mq_version SET number = 99")
        with self.assertRaises(SettingError) as caught:
            self.open()
        self.assertIn("later wsmb", str(caught.exception))

    async def test_the_original_goes_on_using_its_table(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"1"], expires_at=FAR, key=key(1))
        self.sql("INSERT INTO mq_data (channel, data, created) VALUES ('sms', '2', NULL)")
        rows = self.sql("SELECT data_id, data FROM mq_data WHERE channel = 'sms' ORDER BY data_id")
        self.assertEqual([data for _, data in rows], ["1", "2"])
        self.sql(f"DELETE FROM mq_data WHERE data_id = {rows[0][0]}")
        self.assertEqual(await ask(store.page, "sms", 0, 9, 99), [StoredItem(rows[1][0], b"2")])

    async def test_tries_and_expiry_outlive_the_store(self) -> None:
        store = self.open()
        ids = await ask(store.append, "sms", [b"1", b"2"], expires_at=FAR + 0.5)
        store.note_tries({ids[1]: 3})
        found = await ask((await self.reopened(store)).page, "sms", 0, 9, 99)
        self.assertEqual([(item.tries, item.expires_at) for item in found], [(0, FAR + 0.5), (3, FAR + 0.5)])

    async def test_what_is_removed_leaves_nothing_behind(self) -> None:
        store = self.open()
        ids = list(await ask(store.append, "sms", [b"1"] * 250, expires_at=FAR))
        ids += await ask(store.append, "sms", [b"2"])
        store.note_tries({ids[-1]: 1})
        self.assertTrue(await ask(store.check))
        self.assertEqual((self.count("data"), self.count("item")), (251, 251))
        store.remove(ids)
        self.assertTrue(await ask(store.check))
        self.assertEqual((self.count("data"), self.count("item")), (0, 0))

    async def test_what_was_noted_before_the_start_is_removed_as_well(self) -> None:
        store = self.open()
        ids = await ask(store.append, "sms", [b"1"], expires_at=FAR)
        store = await self.reopened(store)
        store.remove(ids)
        self.assertTrue(await ask(store.check))
        self.assertEqual(self.count("item"), 0)

    async def test_only_what_has_more_than_its_text_has_a_row_there(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"1", b"2"])
        self.assertEqual(self.count("item"), 0)

    async def test_keys_outlive_the_store_oldest_first(self) -> None:
        before = time.time()
        store = self.open()
        for number in range(9, 0, -1):
            await ask(store.append, "sms", [b"1"] * (number % 3), key=key(number))
        keys = (await self.reopened(store)).keys
        self.assertEqual([digest for digest, _ in keys], [key(number) for number in range(9, 0, -1)])
        self.assertTrue(all(before - 1 <= created <= time.time() + 1 for _, created in keys))
        self.assertEqual(keys[2:4], [keys[2], keys[3]])

    async def test_keys_of_ten_minutes_are_remembered(self) -> None:
        store = self.open()
        for number in range(3):
            await ask(store.append, "sms", [], key=key(number))
        self.sql("UPDATE mq_message_id SET created = created - 601 WHERE number = 1")
        self.sql("UPDATE mq_message_id SET created = created - 590 WHERE number = 2")
        keys = (await self.reopened(store)).keys
        self.assertEqual([digest for digest, _ in keys], [key(1), key(2)])

    async def test_the_last_hundred_thousand_keys_are_remembered(self) -> None:
        await ask(self.open().close)
        self.put_keys(100_150, time.time())
        store = self.open()
        self.assertEqual(
            (len(store.keys), store.keys[0][0], store.keys[-1][0]), (100_000, key(150), key(100_149))
        )

    async def test_keys_beyond_their_window_are_forgotten_in_portions(self) -> None:
        await ask(self.open().close)
        now = time.time()
        self.put_keys(112_000, now)
        store = self.open()
        left, more = [], True
        while more:
            more = (await sweep(store, now)).more
            left.append(self.count("message_id"))
        self.assertEqual(left, [107_000, 102_000, 100_000])
        self.sql("UPDATE mq_message_id SET created = created - 601 WHERE number <= 12100")
        await sweep(store, now)
        self.assertEqual(self.sql("SELECT MIN(number) FROM mq_message_id")[0][0], 12_101)
        await ask(store.append, "sms", [], key=key(1))
        self.assertEqual(self.sql("SELECT MAX(number) FROM mq_message_id")[0][0], 112_001)

    async def test_a_sweep_of_nothing(self) -> None:
        store = self.open()
        self.assertFalse((await sweep(store, time.time(), 0)).more)
        await ask(store.append, "sms", [b"1"], expires_at=FAR, key=key(1))
        await sweep(store, time.time(), 0)
        self.assertEqual([self.count(table) for table in ("data", "item", "message_id")], [1, 1, 1])

    async def test_what_has_expired_is_forgotten_in_portions(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"0"])
        await ask(store.append, "sms", [b"1"] * 2_500, expires_at=FAR)
        await ask(store.append, "sms", [b"2"], expires_at=FAR + 60)
        left, more = [], True
        while more:
            more = (await sweep(store, FAR + 11)).more
            left.append((self.count("data"), self.count("item")))
        self.assertEqual(left, [(1502, 1501), (502, 501), (2, 1)])
        self.assertEqual(data_of(await ask(store.page, "sms", 0, 9, 99)), [b"0", b"2"])

    async def test_what_has_only_just_expired_stays_a_while(self) -> None:
        """Somebody may have read it just before, and be about to hand it out."""
        store = self.open()
        await ask(store.append, "sms", [b"1"], expires_at=FAR)
        await sweep(store, FAR + 9)
        self.assertEqual(self.count("data"), 1)

    async def test_notes_of_an_item_that_the_original_took_do_not_stick_to_the_next_with_its_id(self) -> None:
        """InnoDB may give an id again after a restart, if all rows above have been deleted."""
        await ask(self.open().close)
        self.sql("INSERT INTO mq_item (data_id, tries, expires_at) VALUES (1, 5, 1.5), (2, 5, 1.5)")
        store = self.open()
        self.sql("INSERT INTO mq_data (data_id, channel, data) VALUES (1, 'sms', '1')")
        await sweep(store, time.time())
        self.assertEqual(await ask(store.page, "sms", 0, 9, 99), [StoredItem(1, b"1")])
        self.assertEqual(self.count("item"), 0)

    async def test_notes_without_an_item_are_swept_after_the_start(self) -> None:
        store = self.open()
        ids = await ask(store.append, "sms", [b"1"] * 1_200, expires_at=FAR)
        kept = ids[::300]
        self.sql(f"DELETE FROM mq_data WHERE data_id NOT IN ({', '.join(map(str, kept))})")
        first = await sweep(store, time.time(), 0)
        self.assertEqual((first.more, first.next_orphans_after), (True, ids[999]))
        second = await sweep(store, time.time(), first.next_orphans_after)
        self.assertEqual((second.more, second.next_orphans_after), (True, ids[-1]))
        self.assertFalse((await sweep(store, time.time(), second.next_orphans_after)).more)
        self.assertEqual([row[0] for row in self.sql("SELECT data_id FROM mq_item ORDER BY 1")], kept)

    def put_keys(self, count: int, now: float) -> None:
        """As many appends would have, with the numbers as keys."""
        dialect = self.make_dialect()
        dialect.open()
        self.addCleanup(dialect.close)
        with closing(dialect.connect()) as connection:
            dialect.side.put_keys(connection, [key(number) for number in range(count)], now)
            connection.commit()
        dialect.close()
