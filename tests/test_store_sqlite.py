"""The SQLite store, on real files."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.trial.unittest import TestCase

from tests.contracts.store_contract import StoreContract, ask, data_of
from wsmb.errors import SettingError, StoreError
from wsmb.interfaces import MessageStore
from wsmb.settings import DatabaseSettings
from wsmb.store import open_store
from wsmb.store.sqlite import SqliteDialect


class SqliteCase(TestCase):
    """One file, and a way to look into it beside the store."""

    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())
        self.settings = DatabaseSettings(driver="sqlite", path=self.path)

    def open(self) -> MessageStore:
        store = open_store(self.settings, reactor)
        self.addCleanup(lambda: ask(store.close))
        return store

    def sql(self, statement: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def locked(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        self.addCleanup(connection.close)
        return connection


class SqliteStoreContract(StoreContract, SqliteCase):
    def setUp(self) -> None:
        SqliteCase.setUp(self)
        StoreContract.setUp(self)

    def open_store(self) -> MessageStore:
        return open_store(self.settings, reactor)

    def grow_older(self, seconds: int) -> None:
        self.sql(f"UPDATE mq_data SET created = datetime(created, '{-seconds} seconds')")


class SqliteFileTest(SqliteCase):
    async def test_items_outlive_the_store(self) -> None:
        first = self.open()
        await ask(first.append, "sms", [b"1", b"2"])
        await ask(first.close)
        second = self.open()
        self.assertEqual(data_of(await ask(second.page, "sms", 0, 9, 99)), [b"1", b"2"])

    async def test_ids_are_not_given_again_after_a_restart(self) -> None:
        first = self.open()
        ids = await ask(first.append, "sms", [b"1", b"2"])
        first.remove(ids)
        await ask(first.close)
        self.assertGreater((await ask(self.open().append, "sms", [b"3"]))[0], ids[-1])

    async def test_only_the_owner_can_read_it(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"1"])
        for path in (self.path, self.path + "-wal"):
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600, path)

    def test_what_is_committed_survives_a_power_cut(self) -> None:
        dialect = SqliteDialect(self.settings)
        dialect.open()
        self.addCleanup(dialect.close)
        dialect.connect().close()
        with closing(dialect.connect()) as connection:
            self.assertEqual(connection.execute("PRAGMA journal_mode").fetchone(), (b"wal",))
            self.assertEqual(connection.execute("PRAGMA synchronous").fetchone(), (2,))

    async def test_the_original_can_read_it(self) -> None:
        item = {"message": "é💬/", "n": [1]}
        await ask(self.open().append, "sms", [json.dumps(item, ensure_ascii=False).encode()])
        ((channel, data, created),) = self.sql("SELECT channel, data, created FROM mq_data")
        self.assertEqual((channel, json.loads(data), data.isascii()), ("sms", item, True))
        self.assertEqual(self.sql("SELECT abs(julianday('now') - julianday(?)) < 0.01", created), [(1,)])

    async def test_an_existing_table_is_used_as_it_stands(self) -> None:
        self.sql(
            "CREATE TABLE mq_data (data_id integer primary key, channel text collate nocase, data blob, "
            "created text)"
        )
        self.sql("INSERT INTO mq_data VALUES (70, 'SMS', '1', NULL), (71, 'sms', '[\"\xe9\"]', NULL)")
        store = self.open()
        self.assertEqual(await ask(store.append, "sms", [b"2"]), [72])
        self.assertEqual(data_of(await ask(store.page, "sms", 0, 9, 99)), ['["é"]'.encode(), b"2"])

    async def test_rows_that_are_no_json_are_passed_over_and_left_there(self) -> None:
        store = self.open()
        bad = [None, "", "{", "nope", '"a', b'"\xff"', b"\xff", "1 2"]
        for data in bad:
            self.sql("INSERT INTO mq_data (channel, data) VALUES ('sms', ?)", data)
        self.sql("INSERT INTO mq_data (channel, data) VALUES (NULL, '1'), ('sms', ' {\"a\": \"é\"}\n')")
        found = await ask(store.page, "sms", 0, 1, 1)
        self.assertEqual([json.loads(data) for data in data_of(found)], [{"a": "é"}])
        self.assertEqual(self.sql("SELECT COUNT(*) FROM mq_data"), [(len(bad) + 2,)])

    async def test_a_page_of_bytes_that_are_not_unicode_is_empty(self) -> None:
        store = self.open()
        self.assertEqual(await ask(store.page, "\ud800", 0, 9, 99), [])

    async def test_what_is_not_unicode_is_refused_and_its_fellows_are_stored(self) -> None:
        store = self.open()
        answers = await gatherResults(
            [
                ask(store.append, "sms", [b"1"]),
                ask(store.append, "\ud800", [b"2"]),
                ask(store.append, "sms", [b'"\xff"']),
                ask(store.append, "sms", [b"4"]),
            ]
        )
        self.assertEqual([isinstance(answer, StoreError) for answer in answers], [False, True, True, False])
        self.assertEqual(data_of(await ask(store.page, "sms", 0, 9, 99)), [b"1", b"4"])

    async def test_a_large_channel_is_read_a_page_at_a_time(self) -> None:
        store = self.open()
        self.sql(
            "INSERT INTO mq_data (channel, data) WITH RECURSIVE n(i) AS "
            "(SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT 'sms', i FROM n"
        )
        (plan,) = self.sql(
            "EXPLAIN QUERY PLAN " + SqliteDialect(self.settings).table._read, "sms", b"sms", 150_000
        )
        self.assertIn("SEARCH mq_data USING INDEX mq_data_channel (channel=? AND rowid>?)", plan[3])
        found = await ask(store.page, "sms", 150_000, 3, 10**6)
        self.assertEqual(data_of(found), [b"150001", b"150002", b"150003"])


class SqliteLockTest(SqliteCase):
    def assert_in_use(self, path: str) -> None:
        with self.assertRaises(SettingError) as caught:
            open_store(DatabaseSettings(driver="sqlite", path=path), reactor)
        self.assertIn("[database] path: another broker uses " + path, str(caught.exception))

    def test_a_second_broker_is_refused_while_the_first_is_idle(self) -> None:
        self.open()
        self.assert_in_use(self.path)

    def test_under_another_name_as_well(self) -> None:
        self.open()
        link = self.path + "-link"
        os.symlink(self.path, link)
        self.assert_in_use(link)

    async def test_the_next_one_may_have_it_when_the_first_is_closed(self) -> None:
        first = self.open()
        await ask(first.append, "sms", [b"1"])
        closing_down = ask(first.close)
        self.assert_in_use(self.path)
        await closing_down
        await ask(self.open().append, "sms", [b"2"])
        self.assertEqual(stat.S_IMODE(os.stat(self.path + ".lock").st_mode), 0o600)

    async def test_a_start_that_failed_leaves_no_lock(self) -> None:
        self.sql("CREATE TABLE mq_data (data_id integer primary key)")
        with self.assertRaises(SettingError):
            self.open()
        self.sql("DROP TABLE mq_data")
        await ask(self.open().append, "sms", [b"1"])

    async def test_a_program_that_looks_into_it_does_not_end_the_lock(self) -> None:
        """POSIX locks end when any descriptor of their file is closed."""
        store = self.open()
        Path(self.path).read_bytes()
        Path(self.path + ".lock").read_bytes()
        self.assert_in_use(self.path)
        await ask(store.append, "sms", [b"1"])


class SqliteOpenTest(SqliteCase):
    def assert_refused(self, *words: str, **changes: Any) -> None:
        settings = DatabaseSettings(**{"driver": "sqlite", "path": self.path} | changes)
        with self.assertRaises(SettingError) as caught:
            open_store(settings, reactor)
        text = str(caught.exception)
        self.assertNotIn("\n", text)
        for word in words:
            self.assertIn(word, text)

    def test_no_folder(self) -> None:
        self.assert_refused("[database] path", "/no/such", path="/no/such/file")

    def test_no_path(self) -> None:
        self.assert_refused("[database] path", path="")

    def test_a_folder(self) -> None:
        os.mkdir(self.path)
        self.assert_refused("[database] path", self.path)

    def test_not_a_database(self) -> None:
        Path(self.path).write_bytes(b"not a database, but long enough to look like something" * 100)
        self.assert_refused("[database] path", self.path, "not an SQLite database")

    def test_locked(self) -> None:
        self.sql("CREATE TABLE t (a)")
        self.locked()
        self.assert_refused("[database] path", self.path, "another program")

    def test_another_table(self) -> None:
        self.sql("CREATE TABLE mq_data (data_id integer primary key, data text)")
        self.assert_refused("[database] prefix", "mq_data", "channel, created")

    def test_a_prefix_that_is_no_name(self) -> None:
        self.assert_refused("[database] prefix", prefix='x"; DROP')

    def test_an_unknown_driver(self) -> None:
        self.assert_refused("[database] driver", "oracle", driver="oracle")
