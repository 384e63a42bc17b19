"""The greeting: when it comes, what it says, and that there is only one."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from tests.integration.broker_case import BrokerCase
from tests.integration.raw_client import BINARY, client_frame, command, opening

SEND = command("send-message", "sms", data=[1])
GREETING = (
    rb'\{"command":"connect","response_code":"%s","response_text":"%s",'
    rb'"data":\[\{"time_stamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"\}\]\}'
)
ACCEPTED = re.compile(GREETING % (b"00", b"Accepted"))
REJECTED = re.compile(GREETING % (b"01", b"Rejected"))


def opening_with(*payloads: bytes) -> bytes:
    """The request and frames in one go: however slow this machine is, the frames are there in time."""
    return opening() + b"".join(map(client_frame, payloads))


class GreetingTests(BrokerCase):
    def test_these_bytes_with_the_time_in_utc(self) -> None:
        client = self.client(self.broker(), opening_with(SEND))
        frame = client.read_frame()
        self.assertEqual(frame.first, 0x81)
        found = ACCEPTED.fullmatch(frame.payload)
        self.assertTrue(found, frame.payload)
        then = datetime.fromisoformat(found[1].decode() if found else "")
        self.assertLess(abs((datetime.now(UTC) - then).total_seconds()), 60)

    def test_it_comes_without_a_frame(self) -> None:
        client = self.client(self.broker())
        self.assertRegex(client.read_text(), ACCEPTED)

    def test_it_comes_once(self) -> None:
        broker = self.broker()
        by_time = self.client(broker)
        by_frame = self.client(broker, opening_with(command("receive-message", "sms")))
        for client in (by_frame, by_time):
            self.assertRegex(client.read_text(), ACCEPTED)
            client.send_text(command("receive-message", "sms"))
        self.assertRegex(self.client(broker).read_text(), ACCEPTED)  # by now, 100 ms are over for all
        self.assertEqual([by_frame.fence(), by_time.fence()], [[], []])

    def test_the_answer_to_a_first_ping_is_the_greeting(self) -> None:
        broker = self.broker()
        client = self.client(broker, opening_with(command("ping", "sms"), command("receive-message", "sms")))
        self.assertRegex(client.read_text(), ACCEPTED)
        self.assertRegex(self.client(broker).read_text(), ACCEPTED)  # by now, 100 ms are over for all
        sent = self.sender(broker).publish("sms", 1)
        self.assertEqual(client.read_text(), sent)

    def test_every_later_ping_is_answered_as_well(self) -> None:
        client = self.client(self.broker(), opening_with(*[command("ping", "sms", data=[])] * 3))
        for _ in range(3):
            self.assertRegex(client.read_text(), ACCEPTED)

    def test_it_is_no_receipt_before_the_frame_has_been_delivered(self) -> None:
        broker = self.broker()
        receiver = self.receiver(broker, "sms")
        sender = self.client(broker, opening() + client_frame(SEND, BINARY))
        self.assertRegex(sender.read_text(), ACCEPTED)
        self.assertEqual(receiver.fence(), [SEND])

    def test_a_refused_first_frame_is_rejected_and_the_connection_stays(self) -> None:
        broker = self.broker()
        for payload in (
            b"",
            b"no JSON",
            b"[]",
            b'"ping"',
            b'{"command":"unknown","channel":"sms","data":[]}',
            b'{"command":"send-message","data":[]}',
            b'{"command":"send-message","channel":"sms"}',
            b'{"command":"send-message","channel":"","data":[]}',
            b'{"command":"send-message","channel":"sms","data":[1,]}',
            b'{"command":"send-message","channel":"sms","data":[],"number_of_receiver":"two"}',
            command("send-message", "c" * 101, data=[]),
        ):
            client = self.client(broker, opening_with(payload, command("receive-message", "sms")))
            self.assertRegex(client.read_text(), REJECTED, payload)
            sent = self.sender(broker).publish("sms", 1)
            self.assertEqual(client.read_text(), sent)
            client.close()

    def test_a_later_refused_frame_has_no_answer(self) -> None:
        client = self.sender(self.broker())
        client.send_text(b"no JSON")
        self.assertEqual(client.fence(), [])

    def test_not_utf8_is_refused_and_never_forwarded(self) -> None:
        broker = self.broker()
        receiver = self.receiver(broker, "sms")
        broken = b'{"command":"send-message","channel":"sms","data":["\xff"]}'
        sender = self.client(broker, opening() + client_frame(broken, BINARY))
        self.assertRegex(sender.read_text(), REJECTED)
        self.assertEqual(receiver.fence(), [])
