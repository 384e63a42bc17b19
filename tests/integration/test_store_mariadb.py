"""The MySQL store, on a MariaDB of the tests' own."""

from __future__ import annotations

import json
import signal
import threading
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pymysql
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.contracts.store_contract import NAMES, StoreContract, ask, data_of
from tests.integration.mariadb import MariaDB, mariadb
from tests.integration.tcp_proxy import LossyProxy
from wsmb.errors import Code, SettingError, StoreError
from wsmb.interfaces import MessageStore
from wsmb.settings import DatabaseSettings
from wsmb.store import open_store
from wsmb.store.mysql import MysqlDialect

ORIGINAL_TABLE = """
CREATE TABLE `mq_data` (`data_id` bigint(20) NOT NULL AUTO_INCREMENT, `channel` varchar(100) DEFAULT NULL,
`data` longtext, `created` datetime DEFAULT NULL, PRIMARY KEY (`data_id`), KEY `channel` (`channel`))
ENGINE=InnoDB DEFAULT CHARSET={charset}
"""


def store_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.daemon and "PoolThread" in thread.name]


class MariaDBCase(TestCase):
    timeout = 120

    server: MariaDB
    settings: DatabaseSettings

    def setUp(self) -> None:
        self.server = mariadb()
        self.settings = self.server.new_database()

    def open(self, settings: DatabaseSettings | None = None) -> MessageStore:
        store = open_store(settings or self.settings, reactor)
        self.addCleanup(lambda: ask(store.close))
        return store

    def sql(self, statement: str, *values: object) -> Any:
        return self.server.query(statement, *values, database=self.settings.name)

    def rows(self) -> list[tuple[str, str]]:
        return list(self.sql("SELECT channel, data FROM mq_data ORDER BY data_id"))


class MariaDBStoreContract(StoreContract, MariaDBCase):
    def setUp(self) -> None:
        MariaDBCase.setUp(self)
        StoreContract.setUp(self)

    def open_store(self) -> MessageStore:
        return open_store(self.settings, reactor)


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
        for data in (None, "", "{", *["nope"] * 600, "1"):
            self.sql("INSERT INTO mq_data(channel, data) VALUES ('sms', %s)", data)
        self.sql("INSERT INTO mq_data(channel, data) VALUES (NULL, '1')")
        self.assertEqual(data_of(await ask(self.open().page, "sms", 0, 2, 2)), [b"1"])
        self.assertEqual(len(self.rows()), 605)


class CarelessServerTest(MariaDBCase):
    """The server is not strict, in another time zone and takes small packets."""

    async def test_a_long_name_is_refused_and_not_cut(self) -> None:
        store = self.open()
        self.assertIsInstance(await ask(store.append, "x" * 101, [b"1"]), StoreError)
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


class FaultTest(MariaDBCase):
    def through_proxy(self) -> tuple[LossyProxy, MessageStore]:
        proxy = LossyProxy(self.server.port)
        self.addCleanup(proxy.close)
        there = replace(self.settings, host="127.0.0.1", port=proxy.port)
        return proxy, self.open(there)

    async def assert_stored_once(self, answers: Iterable[Deferred[Any]], store: MessageStore) -> None:
        results = await gatherResults(list(answers))
        ids = [item_id for result in results for item_id in result]
        self.assertEqual(ids, sorted(ids))
        expected = [b"%d" % number for number in range(len(ids))]
        self.assertEqual([data.encode() for _, data in self.rows()], expected)
        found = await ask(store.page, "sms", 0, len(ids) + 1, 10**7)
        self.assertEqual([item.item_id for item in found], ids)

    async def test_a_restarted_server_gets_each_append_once(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"0"])
        answers = [ask(store.append, "sms", [b"%d" % number]) for number in range(1, 500)]
        await answers[0]
        self.server.stop(signal.SIGKILL)
        self.server.launch()
        answers += [ask(store.append, "sms", [b"%d" % number]) for number in range(500, 1000)]
        await deferToThread(self.server.wait)
        await gatherResults(answers)
        self.assertTrue(await ask(store.check))
        self.assertEqual([data for _, data in self.rows()], [str(number) for number in range(1000)])

    async def test_a_lost_reply_to_commit_makes_no_second_row(self) -> None:
        proxy, store = self.through_proxy()
        for nth in (2, 1):  # what a result asks for gathers: in the second round all is one batch
            proxy.cut_at(b"\x03COMMIT", nth)
            first = len(self.rows())
            answers = [ask(store.append, "sms", [b"%d" % n]) for n in range(first, first + 50)]
            await gatherResults(answers)
        self.assertEqual(proxy.cuts, 2)
        self.assertEqual([data for _, data in self.rows()], [str(number) for number in range(100)])

    async def test_a_commit_that_never_arrived_is_made_up_for(self) -> None:
        proxy, store = self.through_proxy()
        proxy.cut_at(b"\x03COMMIT", 2, deliver=False)
        await self.assert_stored_once([ask(store.append, "sms", [b"%d" % n]) for n in range(50)], store)
        self.assertEqual(proxy.cuts, 1)

    async def test_after_a_lost_commit_each_page_is_as_if_it_had_not_been_lost(self) -> None:
        proxy, store = self.through_proxy()
        await ask(store.append, "sms", [b"0"])
        proxy.cut_at(b"\x03COMMIT")
        pages = []
        for number in range(1, 20):
            store.append("sms", [b"%d" % number], lambda _ids: None)
            pages.append(ask(store.page, "sms", 0, 99, 9999))
        for number, found in enumerate(await gatherResults(pages), 1):
            self.assertEqual(data_of(found), [b"%d" % n for n in range(number + 1)])
        self.assertEqual((proxy.cuts, len(self.rows())), (1, 20))

    async def test_what_another_program_took_after_a_lost_commit_is_not_stored_again(self) -> None:
        proxy, store = self.through_proxy()
        await ask(store.append, "sms", [b"0"])
        proxy.cut_at(b"\x03COMMIT")
        answer = ask(store.append, "sms", [b"1", b"2", b"3"])
        while not proxy.cuts:
            await deferToThread(self.rows)
        self.sql("DELETE FROM mq_data WHERE data = '1'")
        ids = await answer
        self.assertEqual([data for _, data in self.rows()], ["0", "2", "3"])
        self.assertEqual(len(ids), 3)

    async def test_foreign_inserts_in_between_lose_and_double_nothing(self) -> None:
        store = self.open()
        ids = []
        for number in range(30):
            answer = ask(store.append, "sms", [b"%d" % number])
            self.sql("INSERT INTO mq_data(channel, data) VALUES ('sms', %s)", str(1000 + number))
            ids += await answer
        self.assertEqual(ids, sorted(ids))
        numbers = [int(data) for _, data in self.rows()]
        self.assertEqual([n for n in numbers if n < 1000], list(range(30)))
        self.assertEqual([n for n in numbers if n >= 1000], list(range(1000, 1030)))

    async def test_a_row_like_ours_from_another_program_is_not_taken_for_ours(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"1"])
        self.sql("INSERT INTO mq_data(channel, data) VALUES ('sms', '2')")
        self.assertEqual(await ask(store.append, "sms", [b"2"]), [3])
        self.assertEqual(self.rows(), [("sms", "1"), ("sms", "2"), ("sms", "2")])

    async def test_a_foreign_unique_key_refuses_one_item_and_not_the_others(self) -> None:
        self.open()
        self.sql("ALTER TABLE mq_data ADD UNIQUE KEY u (channel, data(100))")
        store = self.open()
        results = await gatherResults([ask(store.append, "sms", [data]) for data in (b"1", b"2", b"1", b"3")])
        self.assertEqual([isinstance(result, StoreError) for result in results], [False, False, True, False])

    async def test_order_under_load(self) -> None:
        store = self.open()
        ids: list[int] = []
        for number in range(5000):
            answer = ask(store.append, f"c{number % 7}", [b"%d" % number]).addCallback(ids.extend)
            if number % 100 == 0:
                await answer
        self.assertTrue(await ask(store.check))
        self.assertEqual(ids, sorted(ids))
        self.assertEqual([int(data) for _, data in self.rows()], list(range(5000)))

    async def test_a_frozen_server_does_not_hold_up_check_and_close(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"0"])
        self.server.freeze()
        self.addCleanup(self.server.thaw)
        started = reactor.seconds()
        answer = ask(store.append, "sms", [b"1"])
        self.assertIs(await ask(store.check), False)
        self.assertLess(reactor.seconds() - started, 2.5)
        await ask(store.close)
        self.assertLess(reactor.seconds() - started, 2 + 5 + 2)
        self.assertFalse(store_threads())
        self.assertIs((await answer).code, Code.UNAVAILABLE)

    async def test_a_server_that_freezes_before_the_first_connection_does_not_hold_up_close(self) -> None:
        store = self.open()
        self.server.freeze()
        self.addCleanup(self.server.thaw)
        answer = ask(store.append, "sms", [b"1"])
        started = reactor.seconds()
        await ask(store.close)
        self.assertLess(reactor.seconds() - started, 5 + 2)
        self.assertFalse(store_threads())
        self.assertIs((await answer).code, Code.UNAVAILABLE)


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
        dialect = MysqlDialect(self.settings)
        dialect.open()
        for after_id in (0, 150_000, 300_000):
            plan = self.sql("EXPLAIN " + dialect.table._sizes, "other", b"other", after_id, 32)
            self.assertEqual((plan[0][3], plan[0][5]), ("range", "channel"), plan)
            self.assertNotIn("filesort", plan[0][-1])

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


class OpenTest(MariaDBCase):
    def assert_refused(self, *words: str, **changes: Any) -> None:
        with self.assertRaises(SettingError) as caught:
            open_store(replace(self.settings, **changes), reactor)
        text = str(caught.exception)
        self.assertNotIn("\n", text)
        self.assertNotIn(changes.get("password", self.settings.password), text)
        for word in words:
            self.assertIn(word, text)

    async def test_over_tcp(self) -> None:
        store = self.open(self.server.new_database(over_tcp=True))
        self.assertEqual(await ask(store.append, "sms", [b"1"]), [1])

    async def test_ids_go_on_after_a_restart(self) -> None:
        first = self.open()
        ids = await ask(first.append, "sms", [b"1", b"2"])
        first.remove(ids)
        await ask(first.close)
        self.assertEqual(await ask(self.open().append, "sms", [b"3"]), [3])

    def test_a_wrong_password(self) -> None:
        self.assert_refused("[database] username", "'wsmb'", password="hunter2-π")

    def test_an_unknown_database(self) -> None:
        self.assert_refused("[database] name", "'nowhere'", name="nowhere")

    def test_nobody_there(self) -> None:
        self.assert_refused("[database] host", "127.0.0.1:1", host="127.0.0.1", port=1)
        self.assert_refused("[database] host", "/no/socket", host="/no/socket")

    def test_a_server_that_does_not_answer(self) -> None:
        self.server.freeze()
        self.addCleanup(self.server.thaw)
        started = reactor.seconds()
        self.assert_refused("[database] host")
        self.assertLess(reactor.seconds() - started, 8)

    def test_another_table(self) -> None:
        self.sql("CREATE TABLE mq_data (data_id int, channel text)")
        self.assert_refused("[database] prefix", "mq_data", "created, data")

    def test_a_prefix_of_ones_own(self) -> None:
        self.open(replace(self.settings, prefix="x_"))
        self.assertEqual(self.sql("SHOW TABLES"), (("x_data",),))

    def test_lost_rows_hold_no_locks_for_long(self) -> None:
        dialect = MysqlDialect(self.settings)
        dialect.open()
        connection = _connected(dialect)
        self.addCleanup(connection.close)
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@innodb_lock_wait_timeout, @@idle_write_transaction_timeout, @@sql_mode")
            self.assertEqual(cursor.fetchone(), (10, 10, "STRICT_ALL_TABLES"))


def _connected(dialect: MysqlDialect) -> Any:
    connection = pymysql.connect(**dialect.connect_arguments())
    dialect.prepare(connection)
    return connection
