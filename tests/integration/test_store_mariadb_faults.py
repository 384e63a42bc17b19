"""The MySQL store while the server dies, freezes, loses answers and is written to by others."""

from __future__ import annotations

from twisted.internet.defer import gatherResults

from tests.contracts.store_contract import ask
from tests.integration.faults_contract import LostAnswersContract, RefusedContract
from tests.integration.mariadb_case import MariaDBCase

FULL_TABLE = """
CREATE TRIGGER full BEFORE INSERT ON mq_data FOR EACH ROW BEGIN
    DECLARE error int DEFAULT (SELECT MAX(number) FROM errors);
    IF error IS NOT NULL THEN SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = error, MESSAGE_TEXT = 'full'; END IF;
END"""


class FaultTest(LostAnswersContract, RefusedContract, MariaDBCase):
    refuse_13 = (
        "CREATE TRIGGER poison BEFORE INSERT ON mq_data FOR EACH ROW "
        "IF NEW.data = '13' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END IF"
    )
    refuse_twice = "ALTER TABLE mq_data ADD UNIQUE KEY u (channel, data(100))"

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
