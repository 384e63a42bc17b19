"""Other programs that insert rows by the sequence, while the PostgreSQL store gives ids of its own."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread

from tests.contracts.store_contract import ask
from tests.integration.postgresql_case import SEQUENCE, PostgresqlCase
from wsmb.errors import SettingError

INSERT = "INSERT INTO mq_data (channel, data) VALUES ('sms', %s) RETURNING data_id"
NEXT = "SELECT nextval(pg_get_serial_sequence('mq_data', 'data_id'))"


class SequenceTest(PostgresqlCase):
    def insert(self, data: str) -> int:
        return self.sql(INSERT, data)[0][0]

    def all_data(self) -> list[str]:
        return [data for _, data in self.rows()]

    async def test_others_can_insert_by_the_sequence_all_the_time(self) -> None:
        store = self.open()
        ids, theirs = [], []
        for number in range(30):
            answer = ask(store.append, "sms", [b"%d" % number, b"%d" % number])
            theirs.append(await deferToThread(self.insert, str(1000 + number)))
            ids += await answer
        self.assertEqual((ids, theirs), (sorted(ids), sorted(theirs)))
        numbers = [int(data) for data in self.all_data()]
        self.assertEqual([n for n in numbers if n < 1000], [n // 2 for n in range(60)])
        self.assertEqual([n for n in numbers if n >= 1000], list(range(1000, 1030)))

    async def test_a_number_that_somebody_has_asked_for_is_left_to_him(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"1"])
        ((theirs,),) = self.sql(NEXT)
        ids = await ask(store.append, "sms", [b"2", b"3"])
        self.assertNotIn(theirs, ids)
        self.sql("INSERT INTO mq_data (data_id, channel, data) VALUES (%s, 'sms', 'theirs')", theirs)
        self.assertEqual(sorted(self.all_data()), ["1", "2", "3", "theirs"])

    async def test_a_row_that_is_not_committed_yet_does_not_hold_us_up(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"1"])
        with self.transaction() as connection:
            connection.execute(INSERT, ("theirs",))
            await ask(store.append, "sms", [b"2"])
            connection.rollback()
        self.assertEqual(self.all_data(), ["1", "2"])

    async def test_numbers_are_taken_out_of_the_sequence_and_none_is_wasted(self) -> None:
        store = self.open()
        for _ in range(3):
            await gatherResults([ask(store.append, "sms", [b"1", b"2"]) for _ in range(20)])
        self.assertEqual(
            self.sql(f"SELECT {SEQUENCE}, MAX(data_id), COUNT(*) FROM mq_data"), [(120, 120, 120)]
        )

    async def test_rows_with_ids_of_their_own_are_passed_by(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"1"])
        self.sql("INSERT INTO mq_data (data_id, channel, data) VALUES (4, 'sms', 'theirs')")
        ids = await ask(store.append, "sms", [b"2", b"3", b"5"])
        self.assertGreater(ids[0], 4)
        self.assertEqual(self.all_data(), ["1", "theirs", "2", "3", "5"])
        self.assertGreater(self.insert("6"), ids[-1])

    async def test_a_sequence_behind_the_rows_is_brought_up(self) -> None:
        self.make_table()
        self.sql(
            "INSERT INTO mq_data (data_id, channel, data) SELECT n, 'sms', n FROM generate_series(1, 99) n"
        )
        self.assertEqual(await ask(self.open().append, "sms", [b"1"]), [100])
        self.assertEqual(self.insert("2"), 101)

    async def test_a_sequence_that_is_set_back_under_us_is_brought_up_again(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"1"] * 50)
        self.sql("TRUNCATE mq_data RESTART IDENTITY")
        self.assertEqual(self.insert("theirs"), 1)
        self.assertEqual(await ask(store.append, "sms", [b"2"]), [51])
        self.assertEqual(self.insert("theirs"), 52)

    async def test_ids_are_not_given_again_though_nothing_is_left(self) -> None:
        first = self.open()
        ids = await ask(first.append, "sms", [b"1", b"2"])
        first.remove(ids)
        await ask(first.close)
        self.assertEqual(await ask(self.open().append, "sms", [b"3"]), [3])

    def test_a_sequence_that_counts_otherwise_is_refused(self) -> None:
        self.make_table()
        self.sql("ALTER TABLE mq_data ALTER data_id SET INCREMENT BY 10")
        with self.assertRaises(SettingError) as caught:
            self.open()
        self.assertIn("ALTER SEQUENCE public.mq_data_data_id_seq INCREMENT BY 1", str(caught.exception))

    def transaction(self) -> Any:
        return self.server.connect(database=self.settings.name, autocommit=False)
