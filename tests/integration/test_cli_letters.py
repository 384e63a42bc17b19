"""`wsmb dead-letters` against the real broker, in each kind of database."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.broker_process import LIMIT_S, BrokerProcess, poll
from tests.integration.keeping_case import MariaDBCase, PostgresqlCase, SqliteCase
from tests.integration.raw_client import RawClient, command
from tests.integration.test_cli import CommandCase
from wsmb.cli.letters import letter
from wsmb.client import core

MANY = 1_000
INI = """
[channel shared]
dead_letter_channel = failed
[channel failed]
keep_data = true
"""


class DeadLetterTests:
    def letters(self, broker: BrokerProcess, *argv: str, status: int = 0) -> list[str]:
        """What the command prints; what it says is not looked at."""
        ended, lines, errors = self.wsmb(broker.port, "dead-letters", *argv)
        self.assertEqual(ended, status, errors)
        if not status:
            self.assertEqual(errors, [])
        return lines

    def killed_items(self, broker: BrokerProcess, channel: str, *items: object) -> None:
        """Each of these is a dead letter then."""
        consumer, sender = self.client(broker), self.sender(broker)
        consumer.send_text(command("receive-message", channel, ack=True, prefetch=10_000, confirm="in"))
        self.answer(consumer, "in")
        for item in items:
            sender.publish(channel, item)
        for _ in items:
            number = consumer.read_json()["delivery"]
            consumer.send_text(command("reject-message", "", delivery=number, requeue=False))
        consumer.send_text(command("ping", "", confirm="out"))
        self.answer(consumer, "out")
        consumer.close()

    def answer(self, client: RawClient, name: str) -> Any:
        while (answer := client.read_json()).get("confirm") != name:
            pass
        return answer

    def test_list_show_replay_drop(self) -> None:
        broker = self.keeping(INI)
        self.killed_items(broker, "sms", {"n": 1, "s": "é"}, {"n": 2}, {"n": 3})
        rows = [line.split("\t") for line in self.letters(broker, "list", "sms")]
        self.assertEqual([json.loads(row[5])["n"] for row in rows], [1, 2, 3])
        self.assertEqual([row[2:5] for row in rows], [["rejected", "1", "qa"]] * 3)
        names = [row[0] for row in rows]
        shown = json.loads("".join(self.letters(broker, "show", "sms", names[0])))
        self.assertEqual((shown["item"], shown["channel"]), ({"n": 1, "s": "é"}, "sms"))
        self.assertEqual(self.letters(broker, "replay", "sms", names[1]), [names[1]])
        self.assertEqual(self.receives(broker, 1, "sms"), [{"n": 2}])
        self.assertEqual(self.letters(broker, "drop", "sms", names[0][:6]), [names[0]])
        self.assertEqual([row.split("\t")[0] for row in self.letters(broker, "list", "sms")], [names[2]])
        self.assertEqual(self.letters(broker, "drop", "sms", names[1], status=1), [])
        self.assertEqual(self.letters(broker, "replay", "sms", "--all"), [names[2]])
        self.assertEqual(self.letters(broker, "list", "sms"), [])
        self.assertEqual(self.receives(broker, 1, "sms"), [{"n": 3}])

    def test_names_outlive_the_broker(self) -> None:
        broker = self.keeping(INI)
        self.killed_items(broker, "sms", 1, 2)
        rows = self.letters(broker, "list", "sms")
        broker.kill9()
        broker.start()
        self.assertEqual(self.letters(broker, "list", "sms"), rows)

    def test_more_than_one_page(self) -> None:
        broker = self.keeping(INI)
        self.killed_items(broker, "sms", *range(MANY))
        self.assertEqual(len(self.letters(broker, "list", "sms")), MANY)
        self.assertEqual(len(self.letters(broker, "replay", "sms", "--all")), MANY)
        self.assertEqual(self.receives(broker, MANY, "sms"), list(range(MANY)))
        self.assertEqual(self.letters(broker, "list", "sms"), [])

    def test_another_place_for_several_channels(self) -> None:
        broker = self.keeping(INI)
        self.killed_items(broker, "shared", 1)
        status, lines, errors = self.wsmb(
            broker.port, "dead-letters", "drop", "sms", "--all", "--dead-letter-channel", "failed"
        )
        self.assertEqual((status, lines, len(errors)), (0, [], 1))
        (row,) = self.letters(broker, "list", "shared", "--dead-letter-channel", "failed")
        self.assertTrue(row.endswith("\t1"))

    def test_sent_but_not_acknowledged_is_not_sent_twice(self) -> None:
        """What a replay leaves behind that was killed between the two."""
        broker = self.keeping(INI)
        self.killed_items(broker, "sms", 1)
        box = self.client(broker)
        box.send_text(command("receive-message", "dead.sms", ack=True))
        while not isinstance(came := core.decode(box.read_text()), core.Delivery):
            pass
        box.close()
        message_id = letter(came.lines()[0], 1).message_id
        sender = self.sender(broker)
        sender.publish("sms", 1, message_id=message_id, confirm="sent")
        self.answer(sender, "sent")
        self.assertEqual(len(self.letters(broker, "replay", "sms", "--all")), 1)
        self.assertEqual(self.letters(broker, "list", "sms"), [])
        self.assertEqual(self.receives(broker, 1, "sms"), [1])
        poll(lambda: not self.rows("sms"), "nothing to be there twice")

    def test_a_replay_killed_at_any_moment_loses_nothing(self) -> None:
        broker = self.keeping(INI)
        self.killed_items(broker, "sms", *range(MANY))
        process = self.started(broker.port, "dead-letters", "replay", "sms", "--all")
        poll(lambda: len(self.rows("sms")) > 0, "the first item to be replayed")
        process.kill()
        process.wait(LIMIT_S)
        self.letters(broker, "replay", "sms", "--all")
        self.assertEqual(self.letters(broker, "list", "sms"), [])
        self.assertEqual(sorted(self.receives(broker, MANY, "sms")), list(range(MANY)))
        poll(lambda: not self.rows("sms"), "nothing to be there twice")


class SqliteDeadLetterTests(DeadLetterTests, CommandCase, SqliteCase):
    pass


class MariaDBDeadLetterTests(DeadLetterTests, CommandCase, MariaDBCase):
    pass


class PostgresqlDeadLetterTests(DeadLetterTests, CommandCase, PostgresqlCase):
    pass
