"""The MySQL store while the server dies, freezes, loses answers and is written to by others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from tests.contracts.store_contract import ask, data_of
from tests.integration.mariadb_case import MariaDBCase
from wsmb.errors import StoreError
from wsmb.interfaces import MessageStore

FULL_TABLE = """
CREATE TRIGGER full BEFORE INSERT ON mq_data FOR EACH ROW BEGIN
    DECLARE error int DEFAULT (SELECT MAX(number) FROM errors);
    IF error IS NOT NULL THEN SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = error, MESSAGE_TEXT = 'full'; END IF;
END"""


class FaultTest(MariaDBCase):
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
            proxy.cut_at(b"\x03COMMIT", nth)
            first = len(self.rows())
            answers = [ask(store.append, "sms", [b"%d" % n]) for n in range(first, first + 50)]
            await gatherResults(answers)
        self.assertEqual(proxy.cuts, 2)
        self.assertEqual([data for _, data in self.rows()], [str(number) for number in range(100)])

    async def test_a_commit_that_never_arrived_is_made_up_for(self) -> None:
        proxy, store = self.through_proxy()
        proxy.cut_at(b"\x03COMMIT", 2, deliver=False)
        await self.assert_stored_once([ask(store.append, "sms", [b"%d" % n]) for n in range(50)], store)
        self.assertEqual(proxy.cuts, 1)

    async def test_after_a_lost_commit_each_page_is_as_if_it_had_not_been_lost(self) -> None:
        proxy, store = self.through_proxy()
        await ask(store.append, "sms", [b"0"])
        proxy.cut_at(b"\x03COMMIT")
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
        proxy.cut_at(b"\x03COMMIT")
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
            proxy.cut_at(b"\x03COMMIT")
            items = [b"1", b"2"][: number % 3]  # in the last round there is nothing but the key
            await ask(store.append, "sms", items, expires_at=4e9, key=b"%016d" % number)
        self.assertEqual(proxy.cuts, 3)
        self.assertEqual([data for _, data in self.rows()], ["0", "1", "1", "2"])
        self.assertEqual(self.sql("SELECT COUNT(*) FROM mq_item"), ((3,),))
        self.assertEqual(
            [bytes(digest) for (digest,) in self.sql("SELECT digest FROM mq_message_id ORDER BY number")],
            [b"%016d" % number for number in range(1, 4)],
        )

    async def test_a_key_tells_that_a_lost_commit_succeeded_when_another_program_took_all(self) -> None:
        proxy, store = self.through_proxy()
        await ask(store.append, "sms", [b"0"])
        proxy.cut_at(b"\x03COMMIT")
        answer = ask(store.append, "sms", [b"1"], key=b"k" * 16)
        while not proxy.cuts:
            await deferToThread(self.rows)
        self.sql("DELETE FROM mq_data WHERE data = '1'")
        self.assertEqual(await answer, [2])
        self.assertEqual([data for _, data in self.rows()], ["0"])

    async def test_foreign_inserts_in_between_lose_and_double_nothing(self) -> None:
        store = self.open()
        ids = []
        for number in range(30):
            answer = ask(store.append, "sms", [b"%d" % number])
            self.sql("INSERT INTO mq_data(channel, data) VALUES ('sms', %s)", str(1000 + number))
            ids += await answer
        self.assertEqual(ids, sorted(ids))
        numbers = [int(data) for _, data in self.rows()]
        self.assertEqual([n for n in numbers if n < 1000], list(range(30)))
        self.assertEqual([n for n in numbers if n >= 1000], list(range(1000, 1030)))

    async def test_a_row_like_ours_from_another_program_is_not_taken_for_ours(self) -> None:
        store = self.open()
        await ask(store.append, "sms", [b"1"])
        self.sql("INSERT INTO mq_data(channel, data) VALUES ('sms', '2')")
        self.assertEqual(await ask(store.append, "sms", [b"2"]), [3])
        self.assertEqual(self.rows(), [("sms", "1"), ("sms", "2"), ("sms", "2")])

    async def test_a_foreign_unique_key_refuses_one_item_and_not_the_others(self) -> None:
        await ask(self.open().close)
        self.sql("ALTER TABLE mq_data ADD UNIQUE KEY u (channel, data(100))")
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

    async def test_where_there_is_no_room_items_wait_and_all_else_goes_on(self) -> None:
        """The server's own errors: a table or a disk that is full, as a statement meets them."""
        await ask(self.open().close)
        self.sql("CREATE TABLE errors (number int)")
        self.sql(FULL_TABLE)
        store = self.open()
        ids = list(await ask(store.append, "sms", [b"0", b"1"]))
        for count, error in enumerate((1114, 1021)):
            self.sql("INSERT INTO errors VALUES (%s)", error)
            answers = [ask(store.append, "sms", [b"%d" % number], key=b"k" * 16) for number in range(2, 50)]
            store.remove(ids[:1])
            found = await ask(store.page, "sms", 0, 99, 999)
            self.assertEqual([item.item_id for item in found], ids[1:], error)
            self.assertIs(await ask(store.check), True)
            self.assertFalse([answer for answer in answers if answer.called])
            self.sql("DELETE FROM errors")
            ids = [item_id for (item_id,) in await gatherResults(answers)]
            self.assertEqual(self.sql("SELECT COUNT(*) FROM mq_message_id"), ((48 * (count + 1),),))
            self.sql("DELETE FROM mq_data WHERE data_id < %s", ids[0])
            self.assertEqual(self.sql("SELECT data_id FROM mq_data ORDER BY 1"), tuple((one,) for one in ids))

    async def test_one_poisonous_item_fails_alone(self) -> None:
        await ask(self.open().close)
        self.sql(
            "CREATE TRIGGER poison BEFORE INSERT ON mq_data FOR EACH ROW "
            "IF NEW.data = '13' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END IF"
        )
        store = self.open()
        answers = [ask(store.append, "sms", [b"%d" % number], expires_at=4e9) for number in range(50)]
        results = await gatherResults(answers)
        self.assertEqual([n for n, result in enumerate(results) if isinstance(result, StoreError)], [13])
        self.assertEqual([data for _, data in self.rows()], [str(n) for n in range(50) if n != 13])
        self.assertEqual(self.sql("SELECT COUNT(*) FROM mq_item"), ((49,),))
