"""The MySQL store on tables of every kind: its own, the original's, somebody else's."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import gatherResults

from tests.contracts.store_contract import NAMES, StoreContract, ask, data_of
from tests.integration.mariadb_case import ORIGINAL_TABLE, MariaDBCase
from wsmb.errors import Code, StoreError
from wsmb.interfaces import MessageStore
from wsmb.store import open_store
from wsmb.store.mysql import MysqlDialect


class MariaDBStoreContract(StoreContract, MariaDBCase):
    def setUp(self) -> None:
        MariaDBCase.setUp(self)
        StoreContract.setUp(self)

    def open_store(self) -> MessageStore:
        return open_store(self.settings, reactor)

    def grow_older(self, seconds: int) -> None:
        self.sql(f"UPDATE mq_data SET created = created - INTERVAL {seconds} SECOND")


class CaseInsensitiveContract(MariaDBStoreContract):
    """The same on a table whose collation takes `Alice`, `alice ` and `ÁLICE` for one name."""

    def open_store(self) -> MessageStore:
        self.sql(ORIGINAL_TABLE.format(charset="utf8mb4 COLLATE utf8mb4_unicode_ci"))
        return super().open_store()


class OriginalTableTest(MariaDBCase):
    """A table that the original made and still uses."""

    def setUp(self) -> None:
        super().setUp()
        self.sql(ORIGINAL_TABLE.format(charset="latin1"))

    async def test_a_backlog_of_the_original_is_delivered_and_removed(self) -> None:
        texts = [r'{"message":"caf\u00e9 \ud83d\udcac","url":"http:\/\/x"}', '["\\u00e9"]']
        for text in texts:
            self.sql("INSERT INTO mq_data(channel, data, created) VALUES ('sms', %s, now())", text)
        store = self.open()
        found = await ask(store.page, "sms", 0, 10, 10_000)
        self.assertEqual([json.loads(data) for data in data_of(found)], [json.loads(text) for text in texts])
        store.remove([item.item_id for item in found])
        self.assertTrue(await ask(store.check))
        self.assertEqual(self.rows(), [])

    async def test_the_original_reads_what_we_have_kept(self) -> None:
        item = {"message": "é💬", "path": "a/b\\"}
        await ask(self.open().append, "sms", [json.dumps(item, ensure_ascii=False).encode()])
        ((_, data),) = self.sql(
            "select channel, data from mq_data where channel='sms' order by data_id asc limit 0, 10"
        )
        self.assertEqual((json.loads(data), data.isascii()), (item, True))

    async def test_a_name_that_latin1_cannot_hold_is_refused(self) -> None:
        store = self.open()
        answers = [ask(store.append, name, [b"1"]) for name in ("ok", "日本", "caf\u00e9 €", "💬")]
        results = await gatherResults(answers)
        self.assertEqual([isinstance(result, StoreError) for result in results], [False, True, False, True])
        self.assertEqual(await ask(store.page, "日本", 0, 9, 99), [])
        self.assertEqual(data_of(await ask(store.page, "caf\u00e9 €", 0, 9, 99)), [b"1"])

    async def test_the_collation_does_not_mix_channels(self) -> None:
        store = self.open()
        names = [name for name in NAMES if name != "💬"]
        for number, name in enumerate(names):
            await ask(store.append, name, [b"%d" % number])
        for number, name in enumerate(names):
            self.assertEqual(data_of(await ask(store.page, name, 0, 9, 99)), [b"%d" % number], name)

    async def test_hand_written_rows_do_not_block_a_channel(self) -> None:
        texts = [None, "", "{", *["nope"] * 600, "1"]
        self.sql(
            "INSERT INTO mq_data(channel, data) VALUES " + ", ".join(["('sms', %s)"] * len(texts)), *texts
        )
        self.sql("INSERT INTO mq_data(channel, data) VALUES (NULL, '1')")
        self.assertEqual(data_of(await ask(self.open().page, "sms", 0, 2, 2)), [b"1"])
        self.assertEqual(len(self.rows()), 605)


class CarelessServerTest(MariaDBCase):
    """The server is not strict, in another time zone and takes small packets."""

    async def test_a_long_name_is_refused_and_not_cut(self) -> None:
        store = self.open()
        refused = await ask(store.append, "x" * 101, [b"1"])
        # Before it got to the server, which would not take its fellows either.
        self.assertEqual(refused.detail, "the table's channel column cannot hold this name")
        await ask(store.append, "é" * 100, [b"1"])
        self.assertEqual(self.rows(), [("é" * 100, "1")])

    async def test_data_that_does_not_fit_is_refused_and_not_cut(self) -> None:
        self.sql(ORIGINAL_TABLE.format(charset="latin1").replace("longtext", "varchar(10)"))
        store = self.open()
        sizes = (8, 9, 8)
        results = await gatherResults([ask(store.append, "sms", [b'"' + b"x" * n + b'"']) for n in sizes])
        self.assertEqual([isinstance(result, StoreError) for result in results], [False, True, False])
        self.assertIs(results[1].code, Code.TOO_LARGE)
        self.assertEqual(len(self.rows()), 2)

    async def test_times_are_in_utc(self) -> None:
        await ask(self.open().append, "sms", [b"1"])
        distance = self.sql("SELECT ABS(TIMESTAMPDIFF(SECOND, created, UTC_TIMESTAMP())) FROM mq_data")
        self.assertLess(distance[0][0], 60)

    async def test_an_item_over_max_allowed_packet_is_refused_and_one_just_under_it_is_kept(self) -> None:
        limit = 65536
        before = self.server.query("SELECT @@GLOBAL.max_allowed_packet")[0][0]
        self.server.query("SET GLOBAL max_allowed_packet = %s", limit)
        self.addCleanup(self.server.query, "SET GLOBAL max_allowed_packet = %s", before)
        store = self.open()
        results = []
        for filler in (b"x", b'\\"'):
            escaped = len(filler) * (2 if filler != b"x" else 1)
            for size in range(limit - 200, limit + 8, 1 if filler == b"x" else 4):
                item = b'"' + filler * (size // escaped) + b'"'
                results.append(await ask(store.append, "sms", [item]))
        refused = [result for result in results if isinstance(result, StoreError)]
        self.assertTrue(20 < len(refused) < len(results) - 20, (len(refused), len(results)))
        self.assertEqual({error.code for error in refused}, {Code.TOO_LARGE})
        # Refused here and not by the server, which ends the connection for it.
        self.assertEqual(
            {error.detail for error in refused}, {"the item is over the database's max_allowed_packet"}
        )
        largest = self.sql("SELECT MAX(LENGTH(data)) FROM mq_data")[0][0]
        self.assertTrue(limit - 140 < largest < limit - 100, largest)
        self.assertEqual(len(self.rows()), len(results) - len(refused))

    async def test_a_batch_may_be_larger_than_max_allowed_packet(self) -> None:
        before = self.server.query("SELECT @@GLOBAL.max_allowed_packet")[0][0]
        self.server.query("SET GLOBAL max_allowed_packet = 65536")
        self.addCleanup(self.server.query, "SET GLOBAL max_allowed_packet = %s", before)
        items = [json.dumps("\\" * 1000).encode()] * 500
        store = self.open()
        self.assertEqual(len(await ask(store.append, "sms", items)), 500)
        self.assertEqual(data_of(await ask(store.page, "sms", 0, 500, 10**7)), items)


class OtherTablesTest(MariaDBCase):
    async def test_a_table_without_an_index_on_channel(self) -> None:
        self.sql(ORIGINAL_TABLE.format(charset="latin1").replace(", KEY `channel` (`channel`)", ""))
        store = self.open()
        await ask(store.append, "sms", [b"1", b"2"])
        self.assertEqual(data_of(await ask(store.page, "sms", 1, 9, 99)), [b"2"])

    async def test_a_table_in_upper_case_and_binary(self) -> None:
        self.sql(
            "CREATE TABLE mq_data (DATA_ID bigint auto_increment primary key, CHANNEL varbinary(6), "
            "DATA longblob, CREATED timestamp NULL, KEY `a``b` (channel))"
        )
        store = self.open()
        answers = [ask(store.append, name, [b"1"]) for name in ("ééé", "éééx")]
        self.assertIsInstance((await gatherResults(answers))[1], StoreError)
        self.assertEqual(data_of(await ask(store.page, "ééé", 0, 9, 99)), [b"1"])
        self.assertLess(
            self.sql("SELECT ABS(UNIX_TIMESTAMP() - UNIX_TIMESTAMP(created)) FROM mq_data")[0][0], 60
        )


class LargeChannelTest(MariaDBCase):
    def peak(self) -> int:
        return tracemalloc.get_traced_memory()[1]

    async def peak_of_page(self, store: MessageStore, *question: object) -> tuple[int, Any]:
        await ask(store.page, *question)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        found = await ask(store.page, *question)
        return self.peak(), found

    async def test_a_channel_of_many_rows_costs_no_more_memory_than_one_of_ten(self) -> None:
        store = self.open()
        self.sql("INSERT INTO mq_data(channel, data) SELECT 'many', seq FROM seq_1_to_300000")
        self.sql("INSERT INTO mq_data(channel, data) SELECT 'other', seq FROM seq_1_to_300000")
        self.sql("ANALYZE TABLE mq_data")
        peak, found = await self.peak_of_page(store, "many", 150_000, 10, 8192)
        self.assertEqual(data_of(found), [b"%d" % n for n in range(150_001, 150_011)])
        self.assertLess(peak, 200_000)
        await ask(store.close)
        dialect = MysqlDialect(self.settings)
        self.addCleanup(dialect.close)
        dialect.open()
        for after_id in (0, 150_000, 300_000):
            plan = self.sql("EXPLAIN " + dialect.table._sizes, "other", b"other", after_id, 32)
            self.assertEqual((plan[0][3], plan[0][5]), ("range", "channel"), plan)
            self.assertNotIn("filesort", plan[0][-1])
        (plan,) = self.sql("EXPLAIN " + dialect.table._age(place=0), "other", b"other", 0)
        self.assertEqual((plan[3], plan[5]), ("range", "channel"), plan)
        self.assertNotIn("filesort", plan[-1])

    async def test_a_page_of_large_items_is_not_fetched_beyond_its_bytes(self) -> None:
        store = self.open()
        self.sql(
            "INSERT INTO mq_data(channel, data) SELECT 'sms', CONCAT('\"', REPEAT('x', 1000000), '\"') "
            "FROM seq_1_to_100"
        )
        peak, found = await self.peak_of_page(store, "sms", 0, 1000, 8192)
        self.assertEqual(len(found), 1)
        self.assertLess(peak, 8_000_000)
        peak, found = await self.peak_of_page(store, "sms", 0, 1000, 3_100_000)
        self.assertEqual(len(found), 3)
        self.assertLess(peak, 20_000_000)
