"""The PostgreSQL store while answers are lost, and where the server takes no more of something."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from tests.contracts.store_contract import ask, data_of
from tests.integration.postgresql_case import PostgresqlCase
from wsmb.errors import StoreError
from wsmb.interfaces import MessageStore

COMMIT = b"COMMIT\0"


class LostAnswersTest(PostgresqlCase):
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

    async def test_on_a_full_disk_appends_wait_and_the_rest_goes_on(self) -> None:
        store = self.open()
        ids = await ask(store.append, "sms", [b"1", b"2"])
        self.sql(
            "CREATE FUNCTION full_up() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE disk_full; END$$; "
            "CREATE TRIGGER full_up BEFORE INSERT ON mq_data FOR EACH STATEMENT EXECUTE FUNCTION full_up()"
        )
        answer = ask(store.append, "sms", [b"3"])
        store.remove(ids[:1])
        self.assertEqual(data_of(await ask(store.page, "sms", 0, 9, 99)), [b"2"])
        self.assertFalse(answer.called)
        self.sql("DROP TRIGGER full_up ON mq_data")
        await answer
        self.assertEqual([data for _, data in self.rows()], ["2", "3"])
