"""The PostgreSQL store while the server is away, frozen, locked, or lets nobody in."""

from __future__ import annotations

from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread

from tests.contracts.store_contract import ask
from tests.integration.away_contract import AwayContract
from tests.integration.postgresql_case import PostgresqlCase
from wsmb.errors import Code
from wsmb.interfaces import MessageStore


class AwayTest(AwayContract, PostgresqlCase):
    """The server goes away and comes back, or lets nobody in for a while."""

    async def assert_kept_until(self, store: MessageStore, statement: str) -> None:
        """What is sent now is kept as soon as the administrator has run `statement`."""
        self.end_sessions()
        answer = ask(store.append, "sms", [b"kept"])
        self.assertIs(await ask(store.check), False)
        self.assertFalse(answer.called)
        self.server.query(statement)
        await answer
        self.assertEqual([data for _, data in self.rows()], ["kept"])

    async def test_sessions_that_an_administrator_ends_lose_nothing(self) -> None:
        store = self.open()
        answers = []
        for number in range(20):
            answers.append(ask(store.append, "sms", [b"%d" % number]))
            await deferToThread(self.end_sessions)
        await gatherResults(answers)
        self.assert_numbers(range(20))

    async def test_no_connection_is_free_for_a_while(self) -> None:
        store = self.open()
        self.server.query("ALTER ROLE wsmb CONNECTION LIMIT 0")
        self.addCleanup(self.server.query, "ALTER ROLE wsmb CONNECTION LIMIT -1")
        await self.assert_kept_until(store, "ALTER ROLE wsmb CONNECTION LIMIT -1")

    async def test_the_server_may_not_be_written_for_a_while(self) -> None:
        store = self.open()
        database = f"ALTER DATABASE {self.settings.name}"
        self.server.query(f"{database} SET default_transaction_read_only = on")
        await self.assert_kept_until(store, f"{database} RESET default_transaction_read_only")

    async def test_the_table_is_away_for_a_while(self) -> None:
        store = self.open()
        self.sql("ALTER TABLE mq_data RENAME TO away")
        answer = ask(store.append, "sms", [b"1"])
        self.assertIs(await ask(store.check), False)
        self.sql("ALTER TABLE away RENAME TO mq_data")
        await answer
        self.assertEqual(self.rows(), [("sms", "1")])

    async def test_a_row_that_another_program_holds_is_waited_for(self) -> None:
        store = self.open()
        ids = await ask(store.append, "sms", [b"1"])
        with self.server.connect(self.settings.name, autocommit=False) as connection:
            connection.execute("SELECT 1 FROM mq_data FOR UPDATE")
            store.remove(ids)
            found = ask(store.page, "sms", 0, 9, 99)
            for _ in range(2):  # beyond lock_timeout
                self.assertIs(await ask(store.check), False)
            connection.rollback()
        self.assertEqual(await found, [])

    async def test_a_server_that_freezes_while_we_connect_does_not_hold_up_close(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"0"])
        self.end_sessions()
        self.server.freeze()
        self.addCleanup(self.server.thaw)
        answer = ask(store.append, "sms", [b"1"])
        await ask(store.close)
        self.assertIs((await answer).code, Code.UNAVAILABLE)
