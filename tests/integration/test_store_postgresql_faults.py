"""The PostgreSQL store while the server dies, freezes, loses answers and is written to by others."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from tests.contracts.store_contract import ask, data_of
from tests.integration.mariadb_case import store_threads
from tests.integration.postgresql_case import PostgresqlCase
from tests.integration.tcp_proxy import LossyProxy
from wsmb.errors import Code, StoreError
from wsmb.interfaces import MessageStore

COMMIT = b"COMMIT\0"


class LostAnswersTest(PostgresqlCase):
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

    async def test_a_lost_reply_to_commit_makes_no_second_row(self) -> None:
        proxy, store = self.through_proxy()
        for nth in (2, 1):  # what a result asks for gathers: in the second round all is one batch
            proxy.cut_at(COMMIT, nth)
            first = len(self.rows())
            answers = [ask(store.append, "sms", [b"%d" % n]) for n in range(first, first + 50)]
            await gatherResults(answers)
        self.assertEqual(proxy.cuts, 2)
        self.assertEqual([data for _, data in self.rows()], [str(number) for number in range(100)])

    async def test_a_commit_that_never_arrived_is_made_up_for(self) -> None:
        proxy, store = self.through_proxy()
        proxy.cut_at(COMMIT, 2, deliver=False)
        await self.assert_stored_once([ask(store.append, "sms", [b"%d" % n]) for n in range(50)], store)
        self.assertEqual(proxy.cuts, 1)

    async def test_ids_that_were_claimed_in_vain_are_used_by_the_next_try(self) -> None:
        proxy, store = self.through_proxy()
        await ask(store.append, "sms", [b"0"])
        proxy.cut_at(b"nextval")
        self.assertEqual(await ask(store.append, "sms", [b"1"]), [2])
        self.assertEqual(proxy.cuts, 1)

    async def test_after_a_lost_commit_each_page_is_as_if_it_had_not_been_lost(self) -> None:
        proxy, store = self.through_proxy()
        await ask(store.append, "sms", [b"0"])
        proxy.cut_at(COMMIT)
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
        proxy.cut_at(COMMIT)
        answer = ask(store.append, "sms", [b"1", b"2", b"3"])
        while not proxy.cuts:
            await deferToThread(self.rows)
        self.sql("DELETE FROM mq_data WHERE data = '1'")
        ids = await answer
        self.assertEqual([data for _, data in self.rows()], ["0", "2", "3"])
        self.assertEqual(len(ids), 3)

    async def test_after_a_lost_commit_keys_and_expiry_are_there_once(self) -> None:
        proxy, store = self.through_proxy()
        await ask(store.append, "sms", [b"0"])
        for number in range(1, 4):
            proxy.cut_at(COMMIT)
            items = [b"1", b"2"][: number % 3]  # in the last round there is nothing but the key
            await ask(store.append, "sms", items, expires_at=4e9, key=b"%016d" % number)
        self.assertEqual(proxy.cuts, 3)
        self.assertEqual([data for _, data in self.rows()], ["0", "1", "1", "2"])
        self.assertEqual(self.sql("SELECT COUNT(*) FROM mq_item"), [(3,)])
        keys = self.sql("SELECT digest FROM mq_message_id ORDER BY number")
        self.assertEqual(keys, [(b"%016d" % number,) for number in range(1, 4)])


class AwayTest(PostgresqlCase):
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

    async def test_a_restarted_server_gets_each_append_once(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"0"])
        answers = [ask(store.append, "sms", [b"%d" % number]) for number in range(1, 500)]
        await answers[0]
        self.server.stop(signal.SIGQUIT)
        self.server.launch()
        answers += [ask(store.append, "sms", [b"%d" % number]) for number in range(500, 1000)]
        await deferToThread(self.server.wait)
        await gatherResults(answers)
        self.assertTrue(await ask(store.check))
        self.assertEqual([data for _, data in self.rows()], [str(number) for number in range(1000)])

    async def test_sessions_that_an_administrator_ends_lose_nothing(self) -> None:
        store = self.open()
        answers = []
        for number in range(20):
            answers.append(ask(store.append, "sms", [b"%d" % number]))
            await deferToThread(self.end_sessions)
        await gatherResults(answers)
        self.assertEqual([data for _, data in self.rows()], [str(number) for number in range(20)])

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

    async def test_a_server_that_freezes_while_we_connect_does_not_hold_up_close(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"0"])
        self.end_sessions()
        self.server.freeze()
        self.addCleanup(self.server.thaw)
        answer = ask(store.append, "sms", [b"1"])
        started = reactor.seconds()
        await ask(store.close)
        self.assertLess(reactor.seconds() - started, 5 + 2)
        self.assertIs((await answer).code, Code.UNAVAILABLE)


class RefusedTest(PostgresqlCase):
    async def test_one_poisonous_item_fails_alone(self) -> None:
        await ask(self.open().close)
        self.sql("ALTER TABLE mq_data ADD CHECK (data <> '13')")
        store = self.open()
        results = await gatherResults([ask(store.append, "sms", [b"%d" % number]) for number in range(40)])
        refused = [number for number, result in enumerate(results) if isinstance(result, StoreError)]
        self.assertEqual(refused, [13])
        self.assertEqual([int(data) for _, data in self.rows()], [n for n in range(40) if n != 13])

    async def test_a_foreign_unique_key_refuses_one_item_and_not_the_others(self) -> None:
        await ask(self.open().close)
        self.sql("CREATE UNIQUE INDEX ON mq_data (channel, data)")
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
