"""What a store does while answers are lost, or something is refused, whichever server it is on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from tests.contracts.census_contract import counted
from tests.contracts.store_contract import ask, data_of
from tests.integration.server_case import append_numbers
from tests.integration.tcp_proxy import LossyProxy
from wsmb.errors import StoreError
from wsmb.interfaces import MessageStore


class LostAnswersContract:
    """A ServerCase mixes it in."""

    async def counted_through_proxy(self) -> tuple[LossyProxy, MessageStore]:
        """A store behind a proxy, with nothing to do of its own that could be cut in the place of ours."""
        proxy, store = self.through_proxy()
        return proxy, await counted(store)

    async def assert_stored_once(self, answers: Iterable[Deferred[Any]], store: MessageStore) -> None:
        results = await gatherResults(list(answers))
        ids = [item_id for result in results for item_id in result]
        self.assertEqual(ids, sorted(ids))
        self.assert_numbers(range(len(ids)))
        found = await ask(store.page, "sms", 0, len(ids) + 1, 10**7)
        self.assertEqual([item.item_id for item in found], ids)

    async def test_a_lost_reply_to_commit_makes_no_second_row(self) -> None:
        proxy, store = self.through_proxy()
        for nth in (2, 1):  # what a result asks for gathers: in the second round all is one batch
            proxy.cut_at(self.commit, nth)
            first = len(self.rows())
            await gatherResults(append_numbers(store, range(first, first + 50)))
        self.assertEqual(proxy.cuts, 2)
        self.assert_numbers(range(100))

    async def test_a_commit_that_never_arrived_is_made_up_for(self) -> None:
        proxy, store = self.through_proxy()
        proxy.cut_at(self.commit, 2, deliver=False)
        await self.assert_stored_once(append_numbers(store, range(50)), store)
        self.assertEqual(proxy.cuts, 1)

    async def test_after_a_lost_commit_each_page_is_as_if_it_had_not_been_lost(self) -> None:
        proxy, store = await self.counted_through_proxy()
        await ask(store.append, "sms", [b"0"])
        proxy.cut_at(self.commit)
        pages = []
        for number in range(1, 20):
            store.append("sms", [b"%d" % number], lambda _ids: None)
            pages.append(ask(store.page, "sms", 0, 99, 9999))
        for number, found in enumerate(await gatherResults(pages), 1):
            self.assertEqual(data_of(found), [b"%d" % n for n in range(number + 1)])
        self.assertEqual((proxy.cuts, len(self.rows())), (1, 20))

    async def test_what_another_program_took_after_a_lost_commit_is_not_stored_again(self) -> None:
        proxy, store = await self.counted_through_proxy()
        await ask(store.append, "sms", [b"0"])
        proxy.cut_at(self.commit)
        answer = ask(store.append, "sms", [b"1", b"2", b"3"])
        while not proxy.cuts:
            await deferToThread(self.rows)
        self.sql("DELETE FROM mq_data WHERE data = '1'")
        ids = await answer
        self.assert_numbers((0, 2, 3))
        self.assertEqual(len(ids), 3)

    async def test_after_a_lost_commit_keys_and_expiry_are_there_once(self) -> None:
        proxy, store = await self.counted_through_proxy()
        await ask(store.append, "sms", [b"0"])
        for number in range(1, 4):
            proxy.cut_at(self.commit)
            items = [b"1", b"2"][: number % 3]  # in the last round there is nothing but the key
            await ask(store.append, "sms", items, expires_at=4e9, key=b"%016d" % number)
        self.assertEqual(proxy.cuts, 3)
        self.assert_numbers((0, 1, 1, 2))
        self.assertEqual(list(self.sql("SELECT COUNT(*) FROM mq_item")), [(3,)])
        keys = self.sql("SELECT digest FROM mq_message_id ORDER BY number")
        self.assertEqual([bytes(key) for (key,) in keys], [b"%016d" % number for number in range(1, 4)])

    async def test_a_key_tells_that_a_lost_commit_succeeded_when_another_program_took_all(self) -> None:
        proxy, store = await self.counted_through_proxy()
        await ask(store.append, "sms", [b"0"])
        proxy.cut_at(self.commit)
        answer = ask(store.append, "sms", [b"1"], key=b"k" * 16)
        while not proxy.cuts:
            await deferToThread(self.rows)
        self.sql("DELETE FROM mq_data WHERE data = '1'")
        self.assertEqual(await answer, [2])
        self.assert_numbers((0,))


class RefusedContract:
    """A ServerCase mixes it in."""

    refuse_13 = ""
    """A statement: from then on the table takes no item that is 13."""
    refuse_twice = ""
    """A statement: from then on it takes no item twice."""

    async def test_one_poisonous_item_fails_alone(self) -> None:
        await ask(self.open().close)
        self.sql(self.refuse_13)
        results = await gatherResults(append_numbers(self.open(), range(50), expires_at=4e9))
        refused = [number for number, result in enumerate(results) if isinstance(result, StoreError)]
        self.assertEqual(refused, [13])
        self.assert_numbers(number for number in range(50) if number != 13)
        self.assertEqual(list(self.sql("SELECT COUNT(*) FROM mq_item")), [(49,)])

    async def test_a_foreign_unique_key_refuses_one_item_and_not_the_others(self) -> None:
        await ask(self.open().close)
        self.sql(self.refuse_twice)
        results = await gatherResults(append_numbers(self.open(), (1, 2, 1, 3)))
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
        self.assert_numbers(range(5000))
