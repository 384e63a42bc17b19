"""How the broker ends connections, and itself: with a Close frame for those who know more, in time."""

from __future__ import annotations

import json

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import BrokerProcess, answers, listens, poll
from tests.integration.keeping_case import MariaDBCase, SqliteCase
from tests.integration.mariadb import mariadb
from tests.integration.raw_client import CLOSE, RawClient, command, connect, opening

FILL = "x" * 500_000


class EndingTests(BrokerCase):
    def extended(self, broker: BrokerProcess, channel: str) -> RawClient:
        client = self.client(broker)
        client.send_text(command("receive-message", channel, confirm=1))
        self.assertEqual([client.read_json()["command"] for _ in range(2)], ["connect", "confirm"])
        return client

    def test_stopping_says_1001_to_who_knows_more_and_closes_tcp_for_the_others(self) -> None:
        broker = self.broker("[server]\n")
        old, new = self.receiver(broker, "c"), self.extended(broker, "c")
        broker.stop()
        self.assertEqual(old.read_to_end(), b"")
        frame = new.read_frame()
        self.assertEqual((frame.first & 0xF, frame.payload[:2]), (CLOSE, (1001).to_bytes(2, "big")))

    def test_too_slow_where_nothing_is_kept(self) -> None:
        broker = self.broker("[server]\nmax_outstanding_bytes = 1048576\n")
        old, new = self.receiver(broker, "c"), self.extended(broker, "c")
        sender = self.sender(broker)
        # More than the kernel takes for both of them.
        for _ in range(40):
            sender.publish("c", FILL)
        sender.fence()
        for client, wants_close in ((old, False), (new, True)):
            frames = 0
            while (frame := self.next_frame(client)) is not None and frame.first & 0xF != CLOSE:
                self.assertEqual(json.loads(frame.payload)["data"], [FILL])
                frames += 1
            self.assertLess(frames, 40)
            self.assertEqual(frame is not None, wants_close)
            if frame is not None:
                self.assertEqual(frame.payload[:2], (4008).to_bytes(2, "big"))

    def next_frame(self, client: RawClient) -> object:
        try:
            return client.read_frame()
        except EOFError:
            return None

    def test_many_connections_end_one_after_another(self) -> None:
        broker = self.broker("[server]\ndrain_seconds = 1\n")
        clients = [self.receiver(broker, "c") for _ in range(20)]
        broker.stop()
        self.assertEqual([client.read_to_end() for client in clients], [b""] * 20)


class KeptTests(SqliteCase):
    def test_what_is_taken_after_the_stop_has_begun_is_refused_and_what_was_before_is_confirmed(self) -> None:
        broker = self.keeping()
        deaf = self.newcomer(broker, "live")  # its frame is not proved, which the stop waits for
        deaf.read_json()
        sender = self.sender(broker)
        sender.publish("live", 0)
        for number in range(200):
            sender.publish("sms", number, confirm=number)
        broker.stop()
        answers = []
        while (answer := self.next_answer(sender)) is not None:
            answers.append(answer)
        accepted = [answer["confirm"] for answer in answers if answer["response_code"] == "00"]
        self.assertEqual([json.loads(row) for row in self.rows("sms")], accepted)
        self.assertEqual({answer["response_code"] for answer in answers} - {"00", "06"}, set())
        self.assertEqual([json.loads(row) for row in self.rows("live")], [0])

    def next_answer(self, client: RawClient) -> object:
        try:
            return client.read_json()
        except (EOFError, AssertionError):  # the end, or a Close frame before it
            return None


class HungTests(MariaDBCase):
    def test_it_stops_in_time_with_a_database_that_hangs(self) -> None:
        """Meanwhile nobody comes in, and nothing is taken."""
        broker = self.keeping()
        sender = self.sender(broker)
        sender.publish("sms", 1, confirm=1)
        sender.read_json()
        server = mariadb()
        server.freeze()
        self.addCleanup(server.thaw)
        sender.publish("sms", 2, confirm=2)
        sender.publish("sms", 3, confirm=3)
        pending = connect(broker.port)
        self.addCleanup(pending.close)
        pending.sendall(opening()[:-2])
        self.assertTrue(answers(broker.port))  # and so the other one has been accepted
        broker.begin_stop()
        poll(lambda: not listens(broker.port), "the port to be closed")
        self.assertEqual(RawClient(pending, b"\r\n").status, 503)
        sender.publish("sms", 4, confirm=4)
        broker.stop()
        told = [sender.read_json() for _ in range(3)]
        self.assertEqual([answer["confirm"] for answer in told], [2, 3, 4])
        self.assertEqual({answer["response_code"] for answer in told}, {"06"})
