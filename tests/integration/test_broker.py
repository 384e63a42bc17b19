"""A running broker: what is forwarded, to whom, and whom it costs nothing when a peer misbehaves."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import BrokerProcess
from tests.integration.raw_client import BINARY, CONTINUATION, TEXT, RawClient, client_frame, command, opening

MEBIBYTE = 1_048_576


def message(size: int, channel: str = "sms") -> bytes:
    """A `send-message` of exactly so many bytes."""
    empty = command("send-message", channel, data=[""])
    return command("send-message", channel, data=["x" * (size - len(empty))])


class ForwardingTests(BrokerCase):
    """What was sent arrives byte for byte, in one text frame."""

    def setUp(self) -> None:
        self.running = self.broker()
        self.to = self.receiver(self.running, "sms")
        self.by = self.sender(self.running)

    def assert_forwarded(self, sent: bytes, payload: bytes) -> None:
        self.by.send(sent)
        self.assertEqual(self.to.read_text(), payload)

    def test_the_bytes_are_not_touched(self) -> None:
        for payload in (
            b'{"command":"send-message","channel":"sms","data":[{"b":1,"a":2}]}',
            b'  {\n\t"data" : [ 1.0e2 , "\\u00e9\\/" , {"n":null,"n":true} ],'
            b'"command":"send-message","extra":[],"channel":"sms"}\r\n ',
            '{"command":"send-message","channel":"sms","data":["é ü 😀 \u2028"]}'.encode(),
            b'{"channel":"s\\u006ds","command":"send-message","data":"no list"}',
            b'{"command":"send-message","channel":"sms","data":[]}',
            b'{"command":"send-message","channel":"sms","data":[12345678901234567890123]}',
        ):
            self.assert_forwarded(client_frame(payload), payload)

    def test_a_binary_frame_arrives_as_text(self) -> None:
        payload = message(100)
        self.assert_forwarded(client_frame(payload, BINARY), payload)

    def test_fragments_arrive_as_one_frame(self) -> None:
        payload = '{"command":"send-message","channel":"sms","data":["é"]}'.encode()
        inside = payload.index("é".encode()) + 1  # a character may be cut in two
        for first in (TEXT, BINARY):
            pieces = [
                client_frame(payload[:20], first, fin=False),
                client_frame(b"", CONTINUATION, fin=False),
                client_frame(payload[20:inside], CONTINUATION, fin=False),
                client_frame(payload[inside:], CONTINUATION),
            ]
            self.assert_forwarded(b"".join(pieces), payload)

    def test_every_form_of_length(self) -> None:
        for size in (125, 126, 127, 65_534, 65_535, 65_536):
            self.assert_forwarded(client_frame(message(size)), message(size))

    def test_65535_bytes_with_a_64_bit_length_as_php_writes_them(self) -> None:
        payload = message(65_535)
        self.assert_forwarded(client_frame(payload, BINARY, length_bytes=8), payload)
        self.assert_forwarded(client_frame(payload, length_bytes=8) * 2, payload)
        self.assertEqual(self.to.read_text(), payload)

    def test_a_frame_of_1_mb(self) -> None:
        payload = message(MEBIBYTE)
        self.assert_forwarded(client_frame(payload), payload)

    def test_a_frame_that_comes_byte_by_byte(self) -> None:
        payload = message(60)
        for byte in client_frame(payload):
            self.by.send(bytes((byte,)))
        self.assertEqual(self.to.read_text(), payload)

    def test_frames_that_come_at_once_go_in_order(self) -> None:
        payloads = [command("send-message", "sms", data=[number]) for number in range(500)]
        self.by.send(b"".join(map(client_frame, payloads)))
        self.assertEqual([self.to.read_text() for _ in payloads], payloads)

    def test_header_and_payload_come_in_one_piece(self) -> None:
        for size in (100, 200, 10_000, 100_000, MEBIBYTE):
            self.by.send(client_frame(message(size)))
            header_bytes = 2 if size < 126 else 4 if size < 65_536 else 10
            piece = self.to.socket.recv(16_384)
            self.assertGreater(len(piece), header_bytes)
            rest = size + header_bytes - len(piece)
            while rest:
                rest -= len(self.to.socket.recv(rest))

    def test_frames_larger_than_the_limit_end_the_connection_with_1009(self) -> None:
        self.by.send(client_frame(message(MEBIBYTE + 1))[:100])
        frame = self.by.read_frame()
        self.assertEqual((frame.first, frame.payload[:2]), (0x88, (1009).to_bytes(2, "big")))
        self.assertEqual(self.to.fence(), [])

    def test_a_closing_handshake_is_answered(self) -> None:
        self.by.send(client_frame((1000).to_bytes(2, "big"), 0x8))
        self.assertEqual(self.by.read_to_end(), b"\x88\x02\x03\xe8")


class ChannelTests(BrokerCase):
    """Who gets what."""

    def test_the_sender_does_not_get_its_own_frame(self) -> None:
        broker = self.broker()
        both, other = self.receiver(broker, "sms"), self.receiver(broker, "sms")
        sent = both.publish("sms", 1)
        self.assertEqual(both.fence(), [])
        self.assertEqual(other.fence(), [sent])

    def test_a_connection_may_receive_on_several_channels_and_send_as_well(self) -> None:
        broker = self.broker()
        many = self.receiver(broker, "a", "b", "a")
        one = self.receiver(broker, "b")
        sender = self.sender(broker)
        sent = [sender.publish(channel, 1) for channel in ("a", "b", "c", "A", "a ")]
        sender.fence()
        self.assertEqual(many.fence(), sent[:2])
        self.assertEqual(one.fence(), [sent[1]])
        answer = many.publish("b", 2)
        self.assertEqual(one.read_text(), answer)
        self.assertEqual(many.fence(), [])

    def test_an_integer_channel_is_its_digits(self) -> None:
        broker = self.broker()
        by_text, by_number = self.receiver(broker, "5"), self.receiver(broker, 5)
        sender = self.sender(broker)
        sent = [sender.publish("5", 1), sender.publish(5, 2)]
        sender.fence()
        self.assertEqual(by_text.fence(), sent)
        self.assertEqual(by_number.fence(), sent)

    def test_number_of_receiver_in_each_of_its_forms(self) -> None:
        broker = self.broker("[server]\nnumber_of_receiver = 1\n")
        receivers = [self.receiver(broker, "sms") for _ in range(3)]
        sender = self.sender(broker)
        for value, count in ((2, 2), ("2", 2), ("-2", 2), (-2, 2), (0, 3), (7, 3), ("0", 3), (None, 1)):
            sent = sender.publish("sms", 1, number_of_receiver=value)
            sender.fence()
            got = [receiver.fence() for receiver in receivers]
            self.assertEqual(sorted(got), [[]] * (3 - count) + [[sent]] * count, value)

    def test_without_a_limit_every_receiver_gets_the_frame(self) -> None:
        broker = self.broker()
        receivers = [self.receiver(broker, "sms") for _ in range(3)]
        sent = self.sender(broker).publish("sms", 1)
        self.assertEqual([receiver.read_text() for receiver in receivers], [sent] * 3)

    def test_round_robin_takes_the_receivers_in_turn_and_oldest_the_first(self) -> None:
        broker = self.broker(
            "[server]\nnumber_of_receiver = 1\n"
            "[channel old*]\nreceiver_choice = oldest\n"
            "[channel pairs]\nnumber_of_receiver = 2\n"
        )
        receivers = [self.receiver(broker, "sms", "oldies", "pairs") for _ in range(3)]
        sender = self.sender(broker)
        self.assertEqual(self.shares(sender, receivers, "sms"), [[0, 3], [1, 4], [2, 5]])
        self.assertEqual(self.shares(sender, receivers, "oldies"), [[0, 1, 2, 3, 4, 5], [], []])
        self.assertEqual(self.shares(sender, receivers, "pairs"), [[0, 1, 3, 4], [0, 2, 3, 5], [1, 2, 4, 5]])
        receivers[0].reset()
        self.receiver(broker, "other")  # the broker has read the end of the first one by now
        self.assertEqual(self.shares(sender, receivers[1:], "oldies"), [[0, 1, 2, 3, 4, 5], []])

    def shares(self, sender: RawClient, receivers: list[RawClient], channel: str) -> list[list[Any]]:
        """Which of six items each receiver got."""
        for number in range(6):
            sender.publish(channel, number)
        sender.fence()
        return [[json.loads(payload)["data"][0] for payload in one.fence()] for one in receivers]


class PeersThatLeaveTests(BrokerCase):
    """A peer may go at any moment."""

    def test_what_a_publisher_wrote_before_it_closed_is_carried_out(self) -> None:
        broker = self.broker()
        receiver = self.receiver(broker, "sms")
        sent = [self.publish_and_close(broker, number) for number in range(50)]
        self.assertEqual(sorted(receiver.read_text() for _ in sent), sorted(sent))

    def publish_and_close(self, broker: BrokerProcess, number: int) -> bytes:
        client = self.client(broker)
        sent = client.publish("sms", number)
        client.close()
        return sent

    def slow_receiver(self, broker: BrokerProcess) -> RawClient:
        """A receiver for which the kernel takes next to nothing."""
        request = opening() + client_frame(command("receive-message", "sms"))
        client = self.client(broker, request, receive_buffer_bytes=4_096)
        self.assertEqual(client.read_json()["response_code"], "00")
        return client

    def test_a_receiver_that_dies_in_mid_frame_costs_the_others_nothing(self) -> None:
        broker = self.broker()
        dying = self.slow_receiver(broker)
        living = self.receiver(broker, "sms")
        sender = self.sender(broker)
        sender.send(client_frame(message(MEBIBYTE)) * 3)
        self.assertEqual(dying.socket.recv(10)[:1], b"\x81")
        dying.reset()
        sender.send(client_frame(message(MEBIBYTE)) * 3)
        self.assertEqual([len(living.read_text()) for _ in range(6)], [MEBIBYTE] * 6)
        self.assertEqual(living.fence(), [])

    def test_a_receiver_that_does_not_read_is_ended_and_the_others_are_served(self) -> None:
        broker = self.broker("[server]\nmax_outstanding_bytes = 2000000\n")
        stuck, living = self.slow_receiver(broker), self.receiver(broker, "sms")
        sender = self.sender(broker)
        for _ in range(12):
            sender.send_text(message(MEBIBYTE))
            self.assertEqual(len(living.read_text()), MEBIBYTE)
        self.assertLess(len(stuck.read_to_end()), 12 * MEBIBYTE)
        self.assertEqual(living.fence(), [])

    def test_a_sender_that_dies_in_mid_frame_sends_nothing(self) -> None:
        broker = self.broker()
        receiver = self.receiver(broker, "sms")
        sender = self.sender(broker)
        sender.send(client_frame(message(1_000))[:-1])
        sender.reset()
        sent = self.sender(broker).publish("sms", 1)
        self.assertEqual(receiver.read_text(), sent)
