"""One broker on the tables of a PostgreSQL database at a time."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.logger import capturedLogs, formatEvent

from tests.contracts.store_contract import ask
from tests.integration.lock_contract import LockContract
from tests.integration.postgresql_case import PostgresqlCase
from wsmb.errors import SettingError
from wsmb.settings import DatabaseSettings
from wsmb.store import open_store


class OneBrokerTest(LockContract, PostgresqlCase):
    def assert_refused(self, settings: DatabaseSettings) -> None:
        with self.assertRaises(SettingError) as caught:
            open_store(settings, reactor)
        self.assertIn(
            "[database] prefix: another broker uses the table mq_data (process", str(caught.exception)
        )

    async def test_a_second_broker_is_refused_as_long_as_there_is_a_first(self) -> None:
        store = self.open()
        self.assert_refused(self.settings)
        await ask(store.append, "sms", [b"1"])
        self.assert_refused(self.settings)
        self.assertEqual(len(self.sessions()), 1)
        await ask(store.close)
        await ask(self.open().check)

    def test_in_another_schema_it_is_not(self) -> None:
        self.open()
        self.sql("CREATE SCHEMA other AUTHORIZATION wsmb")
        self.sql(f"ALTER DATABASE {self.settings.name} SET search_path = other")
        self.open()

    async def test_a_lost_session_of_ours_gives_way(self) -> None:
        """The server may not know yet that it is lost."""
        dialect = self.dialect()
        dialect.open()
        self.addCleanup(dialect.close)
        for _ in range(2):
            lost, connection = dialect.connect(), dialect.connect()
            self.addCleanup(connection.close)
            self.assertEqual(self.sessions(), [connection.info.backend_pid])
            with self.assertRaises(Exception) as caught:
                lost.execute("SELECT 1")
            self.assertEqual(caught.exception.sqlstate, "57P01")

    def test_a_session_of_another_with_the_same_number_does_not(self) -> None:
        other = self.open()
        self.assertTrue(other)
        dialect = self.dialect()
        dialect._one_broker._ours = (self.sessions()[0], "1999-12-31 23:59:59+00")
        with self.assertRaises(SettingError):
            dialect.open()
        self.assertEqual(len(self.sessions()), 1)

    async def test_when_another_broker_has_come_in_meanwhile_we_wait_until_it_is_gone(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"1"])
        self.end_sessions()
        other = self.open()
        with capturedLogs() as events:
            answer = ask(store.append, "sms", [b"2"])
            while store._writer._tries < 3:
                self.assertIs(await ask(store.check), False)
        self.assertFalse(answer.called)
        lines = [text for text in map(formatEvent, events) if "has taken the table mq_data" in text]
        self.assertEqual(len(lines), 1)
        self.assertIn("(process ", lines[0])
        await ask(other.close)
        self.assertEqual(await answer, [2])
        self.assertEqual(self.rows(), [("sms", "1"), ("sms", "2")])

    async def test_the_waiting_says_why(self) -> None:
        mine, other = self.dialect(), self.dialect()
        mine.open()
        self.addCleanup(mine.close)
        mine.connect().close()
        other.open()
        self.addCleanup(other.close)
        with self.assertRaises(Exception) as caught:
            mine.connect()
        self.assertEqual(mine.fault(caught.exception).name, "PASSING")
        self.assertRegex(str(caught.exception), "another broker uses the table mq_data .process [0-9]+")
        self.assertEqual(len(self.sessions()), 1)
