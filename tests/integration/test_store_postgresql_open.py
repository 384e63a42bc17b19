"""Opening the PostgreSQL store, and what the start says when that fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.logger import capturedLogs, formatEvent

from tests.contracts.store_contract import ask
from tests.integration.open_contract import OpenContract
from tests.integration.postgresql_case import PostgresqlCase
from wsmb.errors import SettingError
from wsmb.interfaces import StoredItem
from wsmb.settings import DatabaseSettings


class OpenTest(OpenContract, PostgresqlCase):
    def make_few(self) -> DatabaseSettings:
        self.sql("CREATE ROLE few LOGIN PASSWORD 'few'")
        self.addCleanup(self.server.query, "DROP ROLE few")
        self.addCleanup(self.sql, "DROP OWNED BY few")
        self.sql("GRANT SELECT, INSERT, DELETE, UPDATE ON ALL TABLES IN SCHEMA public TO few")
        self.sql("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO few")
        return replace(self.settings, username="few", password="few")

    def assert_nothing_left(self) -> None:
        self.assertEqual(self.sessions(), [])

    def test_an_unknown_user(self) -> None:
        self.assert_refused("[database] username", "'nobody'", username="nobody")

    def test_a_name_that_nobody_has(self) -> None:
        self.assert_refused("[database] host", "no.host.invalid", host="no.host.invalid")

    def test_a_nul_in_a_setting(self) -> None:
        for key in ("host", "name", "username", "password"):
            self.assert_refused(f"[database] {key}", "NUL", **{key: "a\0b"})

    def test_a_server_that_stops_answering_during_the_start(self) -> None:
        dialect = self.dialect()
        dialect.open_timeout_s = 0.5
        take = dialect._one_broker.take

        def freeze_and_take(cursor: Any) -> None:
            self.server.freeze()
            take(cursor)

        dialect._one_broker.take = freeze_and_take
        self.addCleanup(self.server.thaw)
        with self.assertRaises(SettingError) as caught:
            dialect.open()
        self.assertIn("[database] host: no server answers", str(caught.exception))

    def test_another_table(self) -> None:
        self.sql('CREATE TABLE mq_data (data_id int, channel text, "DATA" text)')
        self.assert_refused("[database] prefix", "mq_data", "created, data")

    def test_columns_that_do_not_give_back_what_was_put_in(self) -> None:
        for column, kind in (("data", "jsonb"), ("data", "bytea"), ("channel", "char(10)")):
            self.make_table(**{column: kind})
            self.assert_refused("[database] prefix", f"column {column}", "make it text")
            self.sql("DROP TABLE mq_data")

    def test_a_database_of_another_encoding(self) -> None:
        self.settings = self.server.new_database(options="ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        self.assert_refused("[database] name", "LATIN1", "ENCODING 'UTF8'")

    def test_no_right_to_make_the_table(self) -> None:
        self.sql("ALTER DATABASE " + self.settings.name + " OWNER TO admin")
        self.assert_refused("[database] username", "permission denied for schema public")

    def test_a_server_that_may_not_be_written(self) -> None:
        self.sql(f"ALTER DATABASE {self.settings.name} SET default_transaction_read_only = on")
        self.assert_refused("[database] name", "read-only")

    def test_prefixes(self) -> None:
        prefix = "x_" * 22 + "$"
        self.open(replace(self.settings, prefix=prefix))
        names = {name for (name,) in self.sql("SELECT relname FROM pg_class WHERE relname LIKE 'x\\_%'")}
        self.assertLessEqual({f"{prefix}data", f"{prefix}data_channel", f"{prefix}item_expires_at"}, names)
        self.assert_refused_prefix(prefix + "x")

    def assert_refused_prefix(self, prefix: str) -> None:
        with self.assertRaises(SettingError) as caught:
            self.open(replace(self.settings, prefix=prefix))
        self.assertIn("at most 45", str(caught.exception))

    async def test_who_may_make_no_tables_goes_on_with_the_one_that_is_there(self) -> None:
        self.make_table()
        self.sql("ALTER DATABASE " + self.settings.name + " OWNER TO admin")
        with capturedLogs() as events:
            store = self.open()
        (line,) = [text for text in map(formatEvent, events) if "may not make tables" in text]
        self.assertIn("wsmb may not make tables beside mq_data", line)
        (item_id,) = await ask(store.append, "sms", [b"1"], expires_at=4e9, key=b"k" * 16)
        self.assertEqual(await ask(store.page, "sms", 0, 9, 99), [StoredItem(item_id, b"1", 0, 4e9)])
        self.assertEqual(
            self.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"), [("mq_data",)]
        )
