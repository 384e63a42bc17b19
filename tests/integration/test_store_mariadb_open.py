"""Opening the MySQL store, and what the start says when that fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet import reactor
from twisted.logger import capturedLogs, formatEvent

from tests.contracts.side_tables_contract import sweep
from tests.contracts.store_contract import ask
from tests.integration.mariadb_case import ORIGINAL_TABLE, MariaDBCase
from wsmb.errors import SettingError
from wsmb.interfaces import StoredItem
from wsmb.store import open_store
from wsmb.store.mysql import MysqlDialect


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
        self.assert_refused("[database] host")

    def test_another_table(self) -> None:
        self.sql("CREATE TABLE mq_data (data_id int, channel text)")
        self.assert_refused("[database] prefix", "mq_data", "created, data")

    def test_a_prefix_of_ones_own(self) -> None:
        self.open(replace(self.settings, prefix="x_"))
        self.assertEqual(
            self.sql("SHOW TABLES"), (("x_data",), ("x_item",), ("x_message_id",), ("x_version",))
        )

    async def test_the_rights_that_the_original_had_are_enough(self) -> None:
        self.sql(ORIGINAL_TABLE.format(charset="latin1"))
        name = self.settings.name
        self.server.query("CREATE USER few@'%%' IDENTIFIED BY %s", "few")
        self.addCleanup(self.server.query, "DROP USER few@'%'")
        self.server.query(f"GRANT SELECT, INSERT, DELETE ON {name}.* TO few@'%'")
        with capturedLogs() as events:
            store = self.open(replace(self.settings, username="few", password="few"))
        (line,) = [line for line in map(formatEvent, events) if "may not make tables" in line]
        self.assertIn("few may not make tables beside mq_data", line)
        ids = await ask(store.append, "sms", [b"1", b"2"], expires_at=4e9, key=b"k" * 16)
        ids += await ask(store.append, "sms", [b"3"])
        store.note_tries({ids[0]: 1, 999: 1})
        store.remove(ids[1:2])
        expected = [StoredItem(ids[0], b"1", 1, 4e9), StoredItem(ids[2], b"3")]
        self.assertEqual(await ask(store.page, "sms", 0, 9, 99), expected)
        self.assertFalse((await sweep(store, 5e9, 0)).more)
        self.assertEqual(await ask(store.page, "sms", 0, 9, 99), expected[1:])
        self.assertEqual(len(store._dialect.side._memory), 0)
        self.assertEqual(self.sql("SHOW TABLES"), (("mq_data",),))

    async def test_tables_that_the_administrator_made_are_used(self) -> None:
        await ask(self.open().close)
        self.server.query("CREATE USER few@'%%' IDENTIFIED BY %s", "few")
        self.addCleanup(self.server.query, "DROP USER few@'%'")
        self.server.query(f"GRANT SELECT, INSERT, DELETE ON {self.settings.name}.* TO few@'%'")
        store = self.open(replace(self.settings, username="few", password="few"))
        ids = await ask(store.append, "sms", [b"1"], expires_at=4e9, key=b"k" * 16)
        self.assertEqual(await ask(store.page, "sms", 0, 9, 99), [StoredItem(ids[0], b"1", 0, 4e9)])

    def test_lost_rows_hold_no_locks_for_long(self) -> None:
        dialect = MysqlDialect(self.settings)
        dialect.open()
        self.addCleanup(dialect.close)
        dialect.connect().close()
        connection = dialect.connect()
        self.addCleanup(connection.close)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT @@innodb_lock_wait_timeout, @@idle_write_transaction_timeout, @@wait_timeout"
            )
            self.assertEqual(cursor.fetchone(), (10, 10, 150))
            cursor.execute("SELECT @@sql_mode")
            self.assertEqual(cursor.fetchone(), ("STRICT_ALL_TABLES",))
