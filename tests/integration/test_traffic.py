"""Limits of what comes from those who are in, of a running broker, over raw sockets."""

from __future__ import annotations

from tests.integration.broker_case import BrokerCase
from tests.integration.raw_client import CLOSE, PONG, RawClient, client_frame, command

RATE = 2_000
SETTINGS = f"""
[limits]
max_control_frames_per_second = {RATE}
max_frames_per_second = {RATE}
max_malformed = 3
max_channels_per_connection = 3
max_channels = 4
max_items_per_frame = 3
"""


class TrafficTests(BrokerCase):
    def setUp(self) -> None:
        self.one = self.broker(SETTINGS)
        self.client_ = self.sender(self.one)

    def code(self, client: RawClient, **fields: object) -> str:
        client.send(client_frame(command(confirm=1, **fields)))
        return str(client.read_json()["response_code"])

    def test_pings_beyond_the_rate_are_all_answered_in_order(self) -> None:
        count = RATE + RATE // 2
        payloads = [str(number).encode() for number in range(count)]
        self.client_.send(b"".join(client_frame(payload, 9) for payload in payloads))
        answers = [self.client_.read_frame() for _ in range(count)]
        self.assertEqual(answers, [(0x80 | PONG, payload) for payload in payloads])

    def test_frames_beyond_the_rate_are_all_carried_out_in_order(self) -> None:
        count = RATE + RATE // 2
        frames = [command("ping", "", confirm=number) for number in range(count)]
        self.client_.send(b"".join(client_frame(frame) for frame in frames))
        confirms = []
        while len(confirms) < count:
            answer = self.client_.read_json()
            if answer["command"] == "confirm":
                confirms.append(answer["confirm"])
        self.assertEqual(confirms, list(range(count)))

    def test_one_more_malformed_command_ends_the_connection(self) -> None:
        self.client_.send(client_frame(b"?") * 3)
        self.assertEqual(self.client_.fence(), [])
        self.client_.send(client_frame(b"?"))
        self.assertEqual(self.client_.read_to_end(), b"")
        extended = self.sender(self.one)
        self.assertEqual(self.code(extended, name="leave-channel", channel="a"), "00")
        extended.send(client_frame(b"?") * 4)
        answers = [extended.read_frame() for _ in range(5)]
        self.assertEqual([payload[:2] for first, payload in answers if first == 0x80 | CLOSE], [b"\x03\xf0"])

    def test_one_channel_more(self) -> None:
        """(Each `sender` is on a channel already.)"""
        codes = [self.code(self.client_, name="receive-message", channel=name) for name in "abc"]
        self.assertEqual(codes, ["00", "00", "05"])
        other = self.sender(self.one)
        codes = [self.code(other, name="receive-message", channel=name) for name in "cda"]
        self.assertEqual(codes, ["00", "05", "00"])

    def test_one_item_more(self) -> None:
        codes = [
            self.code(self.client_, name="send-message", channel="a", data=list(range(count)))
            for count in (3, 4)
        ]
        self.assertEqual(codes, ["00", "04"])
