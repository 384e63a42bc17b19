"""The PostgreSQL store on tables of every kind: its own, and somebody else's."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.logger import capturedLogs, formatEvent

from tests.contracts.census_contract import CensusContract
from tests.contracts.side_tables_contract import SideTablesContract
from tests.contracts.store_contract import NAMES, StoreContract, ask, data_of
from tests.integration.postgresql_case import TABLE, PostgresqlCase
from wsmb.errors import Code, StoreError
from wsmb.interfaces import MessageStore
from wsmb.store import open_store
from wsmb.store.dialects import Dialect


class PostgresqlStoreContract(StoreContract, PostgresqlCase):
    def setUp(self) -> None:
        PostgresqlCase.setUp(self)
        StoreContract.setUp(self)

    def open_store(self) -> MessageStore:
        return open_store(self.settings, reactor)

    def grow_older(self, seconds: int) -> None:
        self.sql(f"UPDATE mq_data SET created = created - INTERVAL '{seconds} seconds'")


class CaseInsensitiveContract(PostgresqlStoreContract):
    """The same on a table whose collation takes `Alice` and `ÁLICE` for one name."""

    def open_store(self) -> MessageStore:
        self.sql("CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)")
        self.make_table(channel="varchar(100) COLLATE loose")
        self.sql("CREATE INDEX ON mq_data (channel, data_id)")
        return super().open_store()


class PostgresqlSideTables(PostgresqlCase, SideTablesContract, CensusContract):
    original_table = (
        TABLE.format(data_id="bigserial", channel="varchar(100)", data="text")
        + "; ALTER TABLE mq_data OWNER TO wsmb"
    )

    def make_dialect(self) -> Dialect:
        return self.dialect()

    def schema(self) -> dict[str, str]:
        columns = self.sql(
            "SELECT table_name, "
            "json_agg((column_name, data_type, is_nullable) ORDER BY ordinal_position)::text "
            "FROM information_schema.columns WHERE table_name LIKE 'mq%' GROUP BY table_name"
        )
        indexes = self.sql("SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'mq%'")
        return {name: text for name, text in [*columns, *indexes] if not name.startswith("mq_data")}


class OtherTablesTest(PostgresqlCase):
    async def test_a_backlog_of_others_is_delivered_and_removed(self) -> None:
        self.make_table()
        texts = [r'{"message":"caf\u00e9 \ud83d\udcac","url":"http:\/\/x"}', '["\\u00e9"]', '"é💬"']
        for text in texts:
            self.sql("INSERT INTO mq_data (channel, data, created) VALUES ('sms', %s, now())", text)
        store = self.open()
        found = await ask(store.page, "sms", 0, 10, 10_000)
        self.assertEqual([json.loads(data) for data in data_of(found)], [json.loads(text) for text in texts])
        store.remove([item.item_id for item in found])
        self.assertTrue(await ask(store.check))
        self.assertEqual(self.rows(), [])

    async def test_others_read_what_we_have_kept(self) -> None:
        item = {"message": "é💬", "path": "a/b\\", "nothing": "\0"}
        await ask(self.open().append, "sms", [json.dumps(item, ensure_ascii=False).encode()])
        ((_, data),) = self.rows()
        self.assertEqual((json.loads(data), data.isascii()), (item, True))

    async def test_hand_written_rows_do_not_block_a_channel(self) -> None:
        self.make_table()
        texts = [None, "", "{", *["nope"] * 600, "1"]
        self.sql(
            "INSERT INTO mq_data (channel, data) VALUES " + ", ".join(["('sms', %s)"] * len(texts)), *texts
        )
        self.sql("INSERT INTO mq_data (channel, data) VALUES (NULL, '1')")
        self.assertEqual(data_of(await ask(self.open().page, "sms", 0, 2, 2)), [b"1"])
        self.assertEqual(len(self.rows()), 605)

    async def test_every_kind_of_id_column(self) -> None:
        for kind in ("bigserial", "serial", "bigint GENERATED ALWAYS AS IDENTITY", "bigint"):
            self.settings = self.server.new_database()
            self.make_table(data_id=kind)
            store = self.open()
            ids = await ask(store.append, "sms", [b"1", b"2"])
            self.assertEqual(data_of(await ask(store.page, "sms", ids[0], 9, 99)), [b"2"], kind)

    async def test_columns_of_text_and_citext(self) -> None:
        self.sql("CREATE EXTENSION citext")
        for kind in ("text", "citext"):
            self.make_table(channel=kind)
            self.sql("CREATE INDEX ON mq_data (channel, data_id)")
            store = self.open()
            names = [*NAMES, "n" * 500]
            for number, name in enumerate(names):
                await ask(store.append, name, [b"%d" % number])
            for number, name in enumerate(names):
                self.assertEqual(
                    data_of(await ask(store.page, name, 0, 9, 99)), [b"%d" % number], (kind, name)
                )
            await ask(store.close)
            self.sql("DROP TABLE mq_data")

    async def test_a_table_without_the_index_works_and_is_worth_a_warning(self) -> None:
        self.make_table()
        self.sql("CREATE INDEX ON mq_data (channel)")
        with capturedLogs() as events:
            store = self.open()
        (line,) = [text for text in map(formatEvent, events) if "has no index" in text]
        self.assertIn('CREATE INDEX ON "mq_data" (channel, data_id)', line)
        await ask(store.append, "sms", [b"1", b"2"])
        self.assertEqual(data_of(await ask(store.page, "sms", 1, 9, 99)), [b"2"])
        await ask(store.close)
        self.sql(line.partition(": ")[2])
        with capturedLogs() as events:
            self.open()
        self.assertFalse([text for text in map(formatEvent, events) if "has no index" in text])


class RefusedItemsTest(PostgresqlCase):
    async def test_what_the_columns_cannot_hold_is_refused_alone(self) -> None:
        store = self.open()
        names = ("ok", "N\0L", "x" * 101, "\ud800", "é" * 100)
        results = await gatherResults([ask(store.append, name, [b"1"]) for name in names])
        refused = [isinstance(result, StoreError) for result in results]
        self.assertEqual(refused, [False, True, True, True, False])
        # Refused before it got to the server, where it would have taken its batch with it.
        details = {result.detail for result in results[1:4]}
        self.assertEqual(details, {"the table's channel column cannot hold this name"})
        for name in names[1:4]:
            self.assertEqual(await ask(store.page, name, 0, 9, 99), [])
        self.assertEqual(self.rows(), [("ok", "1"), ("é" * 100, "1")])

    async def test_a_nul_in_the_data_is_refused_alone(self) -> None:
        store = self.open()
        results = await gatherResults([ask(store.append, "sms", [data]) for data in (b"1", b'"\0"', b"2")])
        self.assertEqual([isinstance(result, StoreError) for result in results], [False, True, False])
        self.assertEqual(results[1].detail, "PostgreSQL cannot hold the character NUL")

    async def test_data_that_does_not_fit_is_refused_and_not_cut(self) -> None:
        self.make_table(data="varchar(10)")
        store = self.open()
        results = await gatherResults([ask(store.append, "sms", [b'"' + b"x" * n + b'"']) for n in (8, 9, 8)])
        self.assertEqual([isinstance(result, StoreError) for result in results], [False, True, False])
        self.assertIs(results[1].code, Code.TOO_LARGE)
        self.assertEqual(len(self.rows()), 2)

    async def test_what_the_index_cannot_hold_is_too_large(self) -> None:
        self.make_table(channel="text")
        self.sql("CREATE INDEX ON mq_data (channel, data_id)")
        store = self.open()
        name = "".join(map(chr, range(1000, 3000)))  # which cannot be compressed
        results = await gatherResults([ask(store.append, channel, [b"1"]) for channel in ("a", name, "b")])
        self.assertEqual([isinstance(result, StoreError) for result in results], [False, True, False])
        self.assertIs(results[1].code, Code.TOO_LARGE)

    async def test_an_item_beyond_the_limit_is_too_large(self) -> None:
        dialect = self.dialect()
        dialect.table.max_text_bytes = 1000
        store = self.open_with(dialect)
        results = await gatherResults([ask(store.append, "sms", [b"1" * n]) for n in (1000, 1001)])
        self.assertEqual(len(results[0]), 1)
        self.assertIs(results[1].code, Code.TOO_LARGE)

    async def test_large_items_and_large_batches(self) -> None:
        store = self.open()
        items = [json.dumps(f"{number}\"\\{{}},'" + "x" * 3_000_000).encode() for number in range(4)]
        ids = await ask(store.append, "sms", items)
        self.assertEqual(ids, sorted(ids))
        self.assertEqual(data_of(await ask(store.page, "sms", 0, 9, 10**8)), items)


class CarelessServerTest(PostgresqlCase):
    """The server is in another time zone, as the column may be."""

    async def test_times_are_in_utc(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"1"])
        await ask(store.close)
        ((seconds,),) = self.sql("SELECT EXTRACT(epoch FROM now() - created) FROM mq_data")
        self.assertLess(abs(seconds), 60)
        self.sql("DROP TABLE mq_data")
        self.make_table()
        await ask(self.open().append, "sms", [b"1"])
        ((seconds,),) = self.sql("SELECT EXTRACT(epoch FROM now() AT TIME ZONE 'UTC' - created) FROM mq_data")
        self.assertLess(abs(seconds), 60)

    def test_a_commit_is_on_the_disk_and_lost_sessions_hold_nothing_for_long(self) -> None:
        with self.new_session() as connection:
            settings = ("synchronous_commit", "statement_timeout", "lock_timeout", "idle_session_timeout")
            settings += ("idle_in_transaction_session_timeout", "tcp_keepalives_idle", "TimeZone")
            found = [connection.execute(f"SHOW {name}").fetchone()[0] for name in settings]
        self.assertEqual(found, ["on", "30s", "3s", "0", "10s", "10", "UTC"])

    def test_a_stronger_commit_stays(self) -> None:
        self.sql(f"ALTER ROLE wsmb IN DATABASE {self.settings.name} SET synchronous_commit = remote_apply")
        with self.new_session() as connection:
            self.assertEqual(connection.execute("SHOW synchronous_commit").fetchone()[0], "remote_apply")

    def new_session(self) -> Any:
        """A session as the pool gets it after it has lost one; over TCP, which keepalives are for."""
        dialect = self.dialect(host="127.0.0.1")
        dialect.open()
        self.addCleanup(dialect.close)
        dialect.connect().close()
        return dialect.connect()
