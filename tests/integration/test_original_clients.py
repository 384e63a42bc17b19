"""The original's PHP clients work unchanged: recorded bytes, and a client that behaves as they do."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import CHECKOUT, BrokerProcess
from tests.integration.php_like_client import binary_frame, pretty, upgrade_request
from tests.integration.raw_client import MASK, masked

PHP = CHECKOUT / "tests" / "fixtures" / "php"
ACCEPTED = re.compile(
    rb'\{"command":"connect","response_code":"00","response_text":"Accepted",'
    rb'"data":\[\{"time_stamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"\}\]\}'
)
MASKS = {"sender": "1a2b3c4d", "receiver": "5e6f7081", "ping": "0badcafe"}
RECEIVE = {"command": "receive-message", "channel": "sms", "data": []}
TRIES = 200
GREETING_DELAY_S = 0.1


def recorded(name: str) -> bytes:
    """The bytes of a transcript."""
    return bytes.fromhex(Path(PHP / f"{name}.hex").read_text())


def recorded_command(client: str) -> Any:
    """The command in a recorded frame."""
    frame = recorded(f"{client}-frame")
    header = {126: 4, 127: 10}.get(frame[1] & 0x7F, 2)
    return json.loads(masked(frame[header + 4 :], frame[header : header + 4]))


class RecordedClientTests(BrokerCase):
    """The transcripts of tests/fixtures/php."""

    def play(self, broker: BrokerProcess, name: str) -> Any:
        """A PHP client that has written what it wrote in the recording."""
        client = self.php_client(broker, recorded(f"{name}-request"))
        client.socket.sendall(recorded(f"{name}-frame"))
        self.assertEqual(client.lost, b"")
        return client

    def test_the_transcripts_are_what_the_php_like_client_writes(self) -> None:
        for name, mask in MASKS.items():
            request = recorded(f"{name}-request")
            key = re.search(rb"Sec-WebSocket-Key: (.+)\r\n", request)
            self.assertEqual(request, upgrade_request(key=key[1].decode()) if key else None)
            frame = binary_frame(pretty(recorded_command(name)), bytes.fromhex(mask))
            self.assertEqual(recorded(f"{name}-frame"), frame)

    def test_what_the_sender_sends_reaches_the_receiver_untouched(self) -> None:
        broker = self.broker()
        receiver = self.play(broker, "receiver")
        self.assertRegex(receiver.read(), ACCEPTED)
        sender = self.play(broker, "sender")
        self.assertRegex(sender.read(), ACCEPTED)
        self.assertEqual(receiver.read(), pretty(recorded_command("sender")))

    def test_what_the_sender_sent_before_the_receiver_came_is_kept_for_it(self) -> None:
        broker = self.broker(keep_data="true")
        self.assertRegex(self.play(broker, "sender").read(), ACCEPTED)
        receiver = self.play(broker, "receiver")
        frames = [receiver.read_json() for _ in range(2)]
        frames.sort(key=lambda frame: frame["command"])  # the greeting may come before or after
        self.assertEqual(frames[0]["response_code"], "00")
        self.assertEqual(frames[1], recorded_command("sender"))

    def test_the_ping_has_one_answer(self) -> None:
        client = self.play(self.broker(), "ping")
        self.assertRegex(client.read(), ACCEPTED)
        client.socket.sendall(recorded("sender-frame") + recorded("ping-frame"))
        self.assertRegex(client.read(), ACCEPTED)


class GreetingOfOldClientsTests(BrokerCase):
    """The PHP client throws away what comes together with the upgrade's answer."""

    def assert_greeted_each_time(self, broker: BrokerProcess, command: Any) -> None:
        stalls = count = 0
        while count < TRIES:
            began_s = time.monotonic()
            client = self.php_client(broker)
            client.write(command)
            stalled = time.monotonic() - began_s >= GREETING_DELAY_S
            if client.lost and stalled:
                # It was this process that came too late to read the answer alone.
                stalls += 1
                self.assertLess(stalls, TRIES)
                continue
            self.assertEqual(client.lost, b"")
            self.assertRegex(client.read(), ACCEPTED)
            client.close()
            count += 1

    def test_a_sender_gets_its_greeting_each_time(self) -> None:
        self.assert_greeted_each_time(self.broker(), recorded_command("sender"))

    def test_a_sender_gets_its_greeting_each_time_where_messages_are_kept(self) -> None:
        broker = self.broker(keep_data="true")
        command = recorded_command("sender")
        self.assert_greeted_each_time(broker, command)
        receiver = self.client(broker)
        receiver.send_text(pretty(RECEIVE))
        self.assertEqual(receiver.read_items(TRIES), command["data"] * TRIES)


class IdleReceiverTests(BrokerCase):
    """Pings, and what counts as a sign of life."""

    INI = "[server]\nping_interval = 1\nping_timeout = 3\n"

    def test_empty_pongs_keep_a_receiver_connected_and_silence_ends_it(self) -> None:
        broker = self.broker(self.INI)
        receiver = self.php_client(broker)
        receiver.write(RECEIVE)
        self.assertRegex(receiver.read(), ACCEPTED)
        silent = self.client(broker)
        while receiver.pings < 3:
            self.assertEqual(receiver.read(), b"")
        # It has been silent for longer than the receiver, but for its pongs, has been now.
        self.assertIn(b"\x89\x06wsmb 0", silent.read_to_end())
        sender = self.php_client(broker)
        sender.write(recorded_command("sender"))
        self.assertEqual(receiver.read_json(), recorded_command("sender"))

    def test_a_ping_has_a_payload_and_comes_in_one_piece(self) -> None:
        client = self.receiver(self.broker(self.INI), "sms")
        self.assertEqual(client.socket.recv(100), b"\x89\x06wsmb 0")

    def test_the_receiver_is_ended_without_a_close_frame_when_the_broker_stops(self) -> None:
        broker = self.broker()
        receiver = self.receiver(broker, "sms")
        broker.stop()
        self.assertEqual(receiver.read_to_end(), b"")

    def test_the_mask_may_be_any(self) -> None:
        receiver = self.receiver(broker := self.broker(), "sms")
        payload = pretty(recorded_command("sender"))
        for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", MASK):
            sender = self.php_client(broker)
            sender.socket.sendall(binary_frame(payload, mask))
            self.assertEqual(receiver.read_text(), payload)
