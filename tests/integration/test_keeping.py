"""What finds no receiver is kept, comes in order, and survives the end of the broker."""

from __future__ import annotations

import json
import time

from tests.integration.broker_process import BrokerProcess, poll
from tests.integration.keeping_case import MariaDBCase, PostgresqlCase, SqliteCase
from tests.integration.raw_client import RawClient, client_frame, command, opening

ITEMS = [{"id": number, "message": f"pesan {number}: é 😀 / \\ \" '"} for number in range(3)]
UNTIL_STOPPED = 300


class KeepingTests:
    """The same for each database."""

    def sent_while_the_receiver_is_away(self, broker: BrokerProcess) -> RawClient:
        """The sender of ITEMS, which are all committed."""
        self.receiver(broker, "sms").close()
        sender = self.sender(broker)
        for item in ITEMS:
            sender.publish("sms", item)
        self.assertEqual(sender.fence(), [])
        return sender

    def test_what_was_sent_while_the_receiver_was_away_comes_in_order(self) -> None:
        broker = self.keeping()
        sender = self.sent_while_the_receiver_is_away(broker)
        receiver = self.newcomer(broker, "sms")
        self.assertEqual(receiver.read_items(3), ITEMS)
        self.assertEqual(receiver.fence(), [])
        self.assertEqual(sender.fence(), [])

    def test_it_survives_a_kill_9_of_the_broker(self) -> None:
        broker = self.keeping()
        self.sent_while_the_receiver_is_away(broker)
        broker.kill9()
        broker.start()
        self.assertEqual(self.newcomer(broker, "sms").read_items(3), ITEMS)

    def test_the_greeting_of_an_old_sender_is_a_receipt(self) -> None:
        broker = self.keeping()
        for item in ITEMS:
            frame = client_frame(command("send-message", "sms", data=[item]))
            sender = self.client(broker, opening() + frame)
            self.assertEqual(sender.read_json()["response_code"], "00")
        broker.kill9()
        self.assertEqual([json.loads(row) for row in self.rows("sms")], ITEMS)

    def test_what_was_delivered_does_not_come_again(self) -> None:
        broker = self.keeping()
        self.sender(broker).publish("sms", *ITEMS)
        receiver = self.newcomer(broker, "sms")
        self.assertEqual(receiver.read_items(3), ITEMS)
        poll(
            lambda: receiver.answer_pings() and not self.rows("sms"), "the delivered items to leave the table"
        )
        broker.stop()
        broker.start()
        later = self.sender(broker)
        receiver = self.newcomer(broker, "sms")
        later.publish("sms", "new")
        self.assertEqual(receiver.read_items(1), ["new"])

    def test_always_keeps_what_has_a_receiver_too_until_it_is_delivered(self) -> None:
        broker = self.keeping(keep_data="always")
        receiver, sender = self.receiver(broker, "sms"), self.sender(broker)
        sent = [sender.publish("sms", item) for item in ITEMS]
        self.assertEqual([receiver.read_text() for _ in sent], sent)
        poll(
            lambda: receiver.answer_pings() and not self.rows("sms"), "the delivered items to leave the table"
        )
        receiver.close()
        for item in ITEMS:
            sender.publish("sms", item)
        sender.fence()
        broker.kill9()
        broker.start()
        self.assertEqual(self.newcomer(broker, "sms").read_items(3), ITEMS)

    def test_what_the_broker_had_read_when_it_was_stopped_is_in_the_table(self) -> None:
        broker = self.keeping("[channel mark]\nkeep_data = false\n")
        marked, sender = self.receiver(broker, "mark"), self.sender(broker)
        frames = [command("send-message", "sms", data=[number]) for number in range(UNTIL_STOPPED)]
        frames.append(command("send-message", "mark", data=[]))
        sender.send(b"".join(map(client_frame, frames)))
        marked.read_text()  # all before it has been read, but hardly all of it committed
        broker.stop()
        self.assertEqual(self.rows("sms"), [str(number) for number in range(UNTIL_STOPPED)])

    def test_what_waits_comes_in_batches_of_at_most_limit_items(self) -> None:
        broker = self.keeping("[channel three]\nlimit = 3\n")
        sender = self.sender(broker)
        for channel in ("three", "server's"):
            sender.publish(channel, *range(11))
        sender.fence()
        self.assertEqual(self.batches(broker, "three", 4), [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10]])
        self.assertEqual(self.batches(broker, "server's", 2), [[*range(10)], [10]])

    def test_a_batch_has_8_kb_unless_one_item_is_larger(self) -> None:
        small, large = "s" * 3_000, "l" * 20_000
        broker = self.keeping()
        self.sender(broker).publish("sms", small, small, small, large, small)
        self.assertEqual(self.batches(broker, "sms", 4), [[small] * 2, [small], [large], [small]])

    def test_delay_send_lies_between_batches_and_delays_nothing_else(self) -> None:
        broker = self.keeping("[channel sms]\nlimit = 1\ndelay_send = 600\n")
        sender = self.sender(broker)
        sender.publish("sms", 0, 1, 2)
        sender.fence()
        began_s = time.monotonic()
        receiver = self.newcomer(broker, "sms")
        receiver.send_text(command("ping", "sms"))
        frames = [receiver.read_json() for _ in range(3)]
        self.assertEqual([frame["command"] for frame in frames].count("connect"), 2)
        self.assertEqual(receiver.read_items(2), [1, 2])
        self.assertGreaterEqual(time.monotonic() - began_s, 2 * 0.6)

    def test_each_channel_has_its_own_as_its_name_is_written(self) -> None:
        broker = self.keeping()
        names = ["sms", "SMS", "sms ", "smś", "5", "日本", "a'\"`%\\"]
        sender = self.sender(broker)
        for name in names:
            sender.publish(name, name)
        sender.publish(5, 5)
        sender.fence()
        for name in names:
            receiver = self.newcomer(broker, name)
            self.assertEqual(receiver.read_items(1), [name, 5] if name == "5" else [name])

    def test_a_channel_that_keeps_nothing_keeps_nothing(self) -> None:
        broker = self.keeping("[channel live*]\nkeep_data = off\n")
        sender = self.sender(broker)
        sender.publish("live", 1)
        sender.fence()
        receiver = self.newcomer(broker, "live")
        self.assertEqual(receiver.read_json()["command"], "connect")
        self.assertEqual(receiver.fence(), [])
        self.assertEqual(self.rows("live"), [])

    def batches(self, broker: object, channel: str, count: int) -> list[list[object]]:
        """The data of each of the next frames of what waits."""
        receiver = self.newcomer(broker, channel)
        self.assertEqual(receiver.read_json()["command"], "connect")
        frames = [receiver.read_json() for _ in range(count)]
        for frame in frames:
            self.assertEqual(list(frame), ["command", "channel", "data"])
            self.assertEqual((frame["command"], frame["channel"]), ("send-message", channel))
        return [frame["data"] for frame in frames]


class SqliteKeepingTests(KeepingTests, SqliteCase):
    pass


class MariaDBKeepingTests(KeepingTests, MariaDBCase):
    pass


class PostgresqlKeepingTests(KeepingTests, PostgresqlCase):
    pass
