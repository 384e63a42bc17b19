"""Opening the MySQL store, and what the start says when that fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.logger import capturedLogs, formatEvent

from tests.contracts.side_tables_contract import sweep
from tests.contracts.store_contract import ask
from tests.integration.mariadb_case import ORIGINAL_TABLE, MariaDBCase
from tests.integration.open_contract import OpenContract
from wsmb.interfaces import StoredItem
from wsmb.settings import DatabaseSettings
from wsmb.store.mysql import MysqlDialect


class OpenTest(OpenContract, MariaDBCase):
    def make_few(self) -> DatabaseSettings:
        self.server.query("CREATE USER few@'%%' IDENTIFIED BY %s", "few")
        self.addCleanup(self.server.query, "DROP USER few@'%'")
        self.server.query(f"GRANT SELECT, INSERT, DELETE ON {self.settings.name}.* TO few@'%'")
        return replace(self.settings, username="few", password="few")

    async def test_ids_go_on_after_a_restart(self) -> None:
        first = self.open()
        ids = await ask(first.append, "sms", [b"1", b"2"])
        first.remove(ids)
        await ask(first.close)
        self.assertEqual(await ask(self.open().append, "sms", [b"3"]), [3])

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
        few = self.make_few()
        with capturedLogs() as events:
            store = self.open(few)
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

    def test_a_server_that_hangs_is_not_waited_for_for_long(self) -> None:
        """PyMySQL itself would wait for ever: each statement, and so the end of the process."""
        for connection in self.connections():
            self.assertEqual(
                (connection.connect_timeout, connection._read_timeout, connection._write_timeout), (5, 30, 30)
            )

    def connections(self) -> list[Any]:
        """The one of the start, and one that the pool gets after it has lost that."""
        dialect = MysqlDialect(self.settings)
        dialect.open()
        self.addCleanup(dialect.close)
        connections = [dialect.connect(), dialect.connect()]
        for connection in connections:
            self.addCleanup(connection.close)
        return connections

    def test_lost_rows_hold_no_locks_for_long(self) -> None:
        _, connection = self.connections()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT @@innodb_lock_wait_timeout, @@idle_write_transaction_timeout, @@wait_timeout"
            )
            self.assertEqual(cursor.fetchone(), (10, 10, 150))
            cursor.execute("SELECT @@sql_mode")
            self.assertEqual(cursor.fetchone(), ("STRICT_ALL_TABLES",))
