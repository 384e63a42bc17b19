"""Limits on what waits, on a running broker."""

from __future__ import annotations

from tests.integration.broker_process import poll
from tests.integration.keeping_case import MariaDBCase, SqliteCase
from tests.integration.mariadb_case import ORIGINAL_TABLE
from tests.integration.raw_client import RawClient, client_frame, command, opening
from tests.integration.reload_case import ReloadCase

INI = """
[limits]
max_waiting_items_per_channel = 3
"""


NO_FLOOR = "min_free_disk_bytes = 0\n"


class QuotaTests:
    """On each kind of database. Two items of another program are there at the start."""

    table = ""

    def answers(self, client: RawClient, *numbers: int) -> list[str]:
        """Send items one by one, and the codes of their confirms."""
        self.assertEqual(client.fence(), [])  # what was asked of the database before has been counted
        for number in numbers:
            client.publish("sms", number, confirm=number)
        return [client.read_json()["response_code"] for _ in numbers]

    def test_one_past_the_limit_is_refused_until_somebody_has_received(self) -> None:
        self.query(self.table)
        self.query("INSERT INTO mq_data (channel, data) VALUES ('sms', '1'), ('sms', '2')")
        broker = self.keeping(INI)
        sender = self.sender(broker)
        self.assertEqual(self.answers(sender, 3, 4), ["00", "05"])
        old = self.client(broker, opening() + client_frame(command("send-message", "sms", data=[5])))
        self.assertEqual(old.read_json()["response_code"], "01")
        self.assertEqual(old.fence(), [])
        self.assertEqual(self.rows("sms"), ["1", "2", "3"])
        receiver = self.newcomer(broker, "sms")
        self.assertEqual(receiver.read_items(3), [1, 2, 3])
        poll(lambda: receiver.answer_pings() and self.rows("sms") == [], "proof")
        receiver.close()
        poll(lambda: " left " in broker.log(), "the end of the receiver")
        self.assertEqual(self.answers(sender, 6, 7, 8, 9), ["00", "00", "00", "05"])
        self.assertEqual(self.rows("sms"), ["6", "7", "8"])
        broker.stop()
        self.assertIn("since as much waits as may: 3 on 'sms'", broker.log())


class SqliteTest(SqliteCase, QuotaTests, ReloadCase):
    table = (
        "CREATE TABLE mq_data (data_id INTEGER PRIMARY KEY AUTOINCREMENT, channel varchar(100),"
        " data longtext, created datetime)"
    )

    def test_a_floor_of_free_disk_and_other_limits_while_it_runs(self) -> None:
        broker = self.keeping(INI + "min_free_disk_bytes = 999999999999999\n")
        sender = self.sender(broker)
        self.assertEqual(self.answers(sender, 1), ["06"])
        self.hang_up(broker, INI + NO_FLOOR + self.database_ini)
        self.assertEqual(self.answers(sender, 1, 2, 3, 4), ["00", "00", "00", "05"])
        self.hang_up(broker, INI.replace("= 3", "= 4") + NO_FLOOR + self.database_ini)
        self.assertIn("changed: [limits] max_waiting_items_per_channel", broker.log())
        self.assertEqual(self.answers(sender, 5, 6), ["00", "05"])
        receiver = self.newcomer(broker, "sms")
        self.assertEqual(receiver.read_items(4), [1, 2, 3, 5])
        broker.stop()
        self.assertIn("since the disk has less room left than min_free_disk_bytes: 1 on 'sms'", broker.log())


class MariaDBTest(MariaDBCase, QuotaTests):
    table = ORIGINAL_TABLE.format(charset="latin1")
