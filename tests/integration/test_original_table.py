"""The original's table and its rows are used as they stand, and can be read by the original again.

What the original does with them: it writes one row for each item, `json_encode(item)` with the time;
it reads them by `data_id`, and puts the decoded items into one frame.
"""

from __future__ import annotations

import json

from tests.integration.broker_process import poll
from tests.integration.keeping_case import MariaDBCase, SqliteCase
from tests.integration.raw_client import command

TABLE = """
CREATE TABLE `data` (
  `data_id` bigint(20) NOT NULL AUTO_INCREMENT,
  `channel` varchar(100) DEFAULT NULL,
  `data` longtext,
  `created` datetime DEFAULT NULL,
  PRIMARY KEY (`data_id`),
  KEY `channel` (`channel`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1"""
# As json_encode writes them: no white space, `\/`, and \u for all that is not ASCII.
ROWS = [
    r'{"id":"637d0c1a2b3c4","time":1669150800,"receiver":"08126666666","message":"Haloo\/Halo"}',
    r'{"message":"r\u00e9f. \u2013 \ud83d\ude00","n":1.5,"list":[],"nothing":null}',
    r'"text"',
    r"17",
    r"[1,[2]]",
]
ITEMS = [{"message": "é ü 😀"}, "日本", [1], 2, None]


class OriginalTableTests(MariaDBCase):
    prefix = ""

    def setUp(self) -> None:
        super().setUp()
        self.query(TABLE)

    def insert(self, channel: str, row: str) -> None:
        statement = "INSERT INTO data (channel, data, created) VALUES (%s, %s, NOW())"
        self.server.query(statement, channel, row, database=self.settings.name)

    def test_a_backlog_of_the_original_is_delivered_in_order(self) -> None:
        for row in ROWS:
            self.insert("sms", row)
            self.insert("other", row)
        broker = self.keeping("[channel sms]\nlimit = 2\n")
        receiver = self.newcomer(broker, "sms")
        self.assertEqual(receiver.read_items(len(ROWS)), [json.loads(row) for row in ROWS])
        poll(
            lambda: receiver.answer_pings() and not self.waiting("sms"),
            "the delivered rows to leave the table",
        )
        self.assertEqual(self.waiting("other"), ROWS)

    def test_the_text_of_a_row_is_not_touched(self) -> None:
        for row in ROWS:
            self.insert("sms", row)
        receiver = self.newcomer(self.keeping(), "sms")
        self.assertEqual(receiver.read_json()["command"], "connect")
        items = ",".join(ROWS).encode()
        expected = b'{"command":"send-message","channel":"sms","data":[%s]}' % items
        self.assertEqual(receiver.read_text(), expected)

    def test_what_wsmb_kept_can_be_read_by_the_original(self) -> None:
        broker = self.keeping()
        sender = self.sender(broker)
        sender.publish("sms", *ITEMS)
        sender.send_text(command("send-message", 5, data="no list"))
        sender.fence()
        broker.stop()
        rows = self.query("SELECT channel, data, created IS NOT NULL FROM data ORDER BY data_id")
        self.assertEqual([row[0] for row in rows], ["sms"] * len(ITEMS) + ["5"])
        self.assertEqual([json.loads(row[1]) for row in rows], [*ITEMS, "no list"])
        self.assertTrue(all(row[1].isascii() and row[2] for row in rows), rows)

    def test_the_table_stays_as_the_original_made_it(self) -> None:
        before = self.query("SHOW CREATE TABLE data")
        self.keeping().stop()
        self.assertEqual(self.query("SHOW CREATE TABLE data"), before)
        tables = [name for (name,) in self.query("SHOW TABLES")]
        self.assertEqual(tables, ["data", "item", "message_id", "version"])

    def test_new_items_go_behind_the_backlog(self) -> None:
        self.insert("sms", '"old"')
        broker = self.keeping()
        self.sender(broker).publish("sms", "new")
        self.assertEqual(self.newcomer(broker, "sms").read_items(2), ["old", "new"])

    def waiting(self, channel: str) -> list[str]:
        rows = self.query("SELECT channel, data FROM data ORDER BY data_id")
        return [data for name, data in rows if name == channel]


class SqliteRowTests(SqliteCase):
    def test_the_rows_are_the_same_in_sqlite(self) -> None:
        broker = self.keeping()
        sender = self.sender(broker)
        sender.publish("sms", *ITEMS)
        sender.fence()
        broker.stop()
        rows = self.query("SELECT channel, data, created IS NOT NULL FROM mq_data ORDER BY data_id")
        self.assertEqual([json.loads(data) for _, data, _ in rows], ITEMS)
        self.assertTrue(all(row[1].isascii() and row[2] for row in rows), rows)
