"""Confirms, message ids, acknowledgements, dead letters, time to live and errors, on a running broker."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.integration.broker_process import BrokerProcess, poll
from tests.integration.keeping_case import MariaDBCase, SqliteCase
from tests.integration.raw_client import PING, PONG, RawClient, client_frame, command

INI = """
[server]
ping_timeout = 3
[channel relayed]
keep_data = false
[channel quick]
ack_timeout = 1
[channel poison]
max_deliveries = 3
[channel otp]
expire_field = expiration
[channel short]
expire_after = 1
[channel always]
keep_data = always
"""


class ExtensionTests:
    """On each kind of database."""

    def acking(self, broker: BrokerProcess, channel: str, **fields: object) -> RawClient:
        client = self.client(broker)
        client.send_text(command("receive-message", channel, ack=True, confirm="in", **fields))
        while client.read_json()["command"] != "confirm":
            pass
        return client

    def say(self, client: RawClient, name: str, **fields: object) -> Any:
        """The answer to a command."""
        client.send_text(json.dumps({"command": name, "confirm": "?", **fields}).encode())
        while (answer := client.read_json())["command"] not in ("confirm", "error"):
            pass
        return answer

    def confirmed(self, client: RawClient, channel: str, *items: object, **fields: object) -> Any:
        answer = self.say(client, "send-message", channel=channel, data=list(items), **fields)
        self.assertEqual((answer["command"], answer["response_code"]), ("confirm", "00"), answer)
        return answer["data"][0]

    # Confirms and message ids

    def test_confirms_in_order_after_the_commit(self) -> None:
        broker = self.keeping(INI)
        sender = self.sender(broker)
        for number in range(100):
            sender.publish("sms", number, confirm=number)
        answers = [sender.read_json() for _ in range(100)]
        broker.kill9()
        self.assertEqual([answer["confirm"] for answer in answers], list(range(100)))
        self.assertEqual({answer["data"][0]["stored"] for answer in answers}, {1})
        self.assertEqual([json.loads(row) for row in self.rows("sms")], list(range(100)))

    def test_what_a_confirm_says(self) -> None:
        broker = self.keeping(INI)
        sender = self.sender(broker)
        counts = {name: self.confirmed(sender, name, 1, 2) for name in ("sms", "relayed", "always")}
        self.receiver(broker, "live")
        counts["live"] = self.confirmed(sender, "live", 1, 2)
        self.assertEqual(
            {name: (data["receivers"], data["stored"]) for name, data in counts.items()},
            {"sms": (0, 2), "relayed": (0, 0), "always": (0, 2), "live": (1, 0)},
        )

    def test_a_message_id_is_sent_once_across_a_crash(self) -> None:
        broker = self.keeping(INI)
        first = self.confirmed(self.sender(broker), "sms", 1, message_id="a")
        self.assertNotIn("duplicate", first)
        live = self.newcomer(broker, "live")
        live.read_json()
        self.confirmed(self.sender(broker), "live", 1, message_id="a")
        broker.kill9()
        broker.start()
        sender = self.sender(broker)
        self.assertTrue(self.confirmed(sender, "sms", 1, message_id="a")["duplicate"])
        self.assertTrue(self.confirmed(sender, "live", 1, message_id="a")["duplicate"])
        self.assertNotIn("duplicate", self.confirmed(sender, "sms", 2, message_id="b"))
        self.assertEqual([json.loads(row) for row in self.rows("sms")], [1, 2])

    # Acknowledgements

    def test_acknowledged_is_gone_and_unacknowledged_comes_again(self) -> None:
        broker = self.keeping(INI + "[channel sms]\nlimit = 1\n")
        sender = self.sender(broker)
        self.confirmed(sender, "sms", 1, 2, 3)
        receiver = self.acking(broker, "sms")
        frames = [receiver.read_json() for _ in range(3)]
        self.assertEqual(frames[0], {"command": "send-message", "channel": "sms", "data": [1], "delivery": 1})
        self.assertEqual(self.say(receiver, "ack-message", delivery=2)["response_code"], "00")
        self.assertEqual(self.say(receiver, "ack-message", delivery=2)["response_code"], "07")
        receiver.close()
        frames = []
        again = self.acking(broker, "sms")
        frames = [again.read_json() for _ in range(2)]
        self.assertEqual([frame["data"] for frame in frames], [[1], [3]])
        self.assertEqual([frame["redelivered"] for frame in frames], [True, True])
        self.say(again, "ack-message", delivery=[frame["delivery"] for frame in frames])
        poll(lambda: not self.rows("sms"), "the acknowledged items to leave the table")

    def test_not_more_than_prefetch(self) -> None:
        broker = self.keeping(INI)
        receiver = self.acking(broker, "sms", prefetch=2)
        sender = self.sender(broker)
        for number in range(5):
            self.confirmed(sender, "sms", number)
        frames = [receiver.read_json() for _ in range(2)]
        self.assertEqual(receiver.fence(), [])
        got = [frame["data"][0] for frame in frames]
        while len(got) < 5:
            self.say_nothing(receiver, "ack-message", delivery=frames.pop(0)["delivery"])
            frames.append(receiver.read_json())
            got += frames[-1]["data"]
        self.assertEqual(got, [0, 1, 2, 3, 4])

    def say_nothing(self, client: RawClient, name: str, **fields: object) -> None:
        client.send_text(json.dumps({"command": name, **fields}).encode())

    def test_late_acknowledgements_are_for_another_receiver(self) -> None:
        broker = self.keeping(INI)
        receiver = self.acking(broker, "quick")
        self.confirmed(self.sender(broker), "quick", 1)
        first = receiver.read_json()
        second = receiver.read_json()
        self.assertEqual((second["data"], second["redelivered"]), ([1], True))
        self.assertEqual(self.say(receiver, "ack-message", delivery=first["delivery"])["response_code"], "07")
        self.assertEqual(
            self.say(receiver, "ack-message", delivery=second["delivery"])["response_code"], "00"
        )

    def test_rejected_comes_again_after_its_delay(self) -> None:
        broker = self.keeping(INI)
        receiver = self.acking(broker, "sms")
        sender = self.sender(broker)
        self.confirmed(sender, "sms", 1)
        frame = receiver.read_json()
        before = time.monotonic()
        self.say(receiver, "reject-message", delivery=frame["delivery"], delay=1)
        self.confirmed(sender, "sms", 2)
        self.assertEqual(receiver.read_json()["data"], [2])
        self.assertEqual(receiver.read_json()["data"], [1])
        self.assertGreaterEqual(time.monotonic() - before, 0.9)

    def test_dead_letters(self) -> None:
        broker = self.keeping(INI)
        receiver = self.acking(broker, "poison")
        sender = self.sender(broker)
        self.confirmed(sender, "poison", {"n": 1})
        for _ in range(3):
            self.say(receiver, "reject-message", delivery=receiver.read_json()["delivery"])
        self.confirmed(sender, "poison", {"n": 2}, {"n": 3})
        self.say(receiver, "reject-message", delivery=receiver.read_json()["delivery"], requeue=False)
        broker.stop()
        broker.start()
        dead = self.acking(broker, "dead.poison")
        letters = [dead.read_json()["data"][0] for _ in range(3)]
        self.assertEqual(
            [(letter["item"]["n"], letter["reason"], letter["deliveries"]) for letter in letters],
            [(1, "max_deliveries", 3), (2, "rejected", 1), (3, "rejected", 1)],
        )
        self.assertEqual({(letter["channel"], letter["receiver"]) for letter in letters}, {("poison", "qa")})
        self.assertEqual(self.rows("poison"), [])

    # Proof by pong

    def test_unproved_goes_to_another_receiver(self) -> None:
        broker = self.keeping(INI)
        deaf = self.client(broker)
        deaf.send_text(command("receive-message", "sms"))
        deaf.read_json()
        sender = self.sender(broker)
        payload = sender.publish("sms", 1, confirm=1)
        self.assertEqual(sender.read_json()["data"][0]["receivers"], 1)
        self.assertEqual(deaf.read_frame().payload, payload)
        other = self.receiver(broker, "sms")
        deaf.reset()
        self.assertEqual(other.read_text(), payload)

    def test_a_peer_that_is_silent_is_ended_and_its_frames_go_back(self) -> None:
        broker = self.keeping(INI)
        deaf = self.client(broker)
        deaf.send_text(command("receive-message", "sms"))
        sender = self.sender(broker)
        self.confirmed(sender, "sms", 1)
        other = self.newcomer(broker, "sms")
        self.assertEqual(other.read_items(1), [1])
        self.assertIn(b'"data": [1]', deaf.read_to_end())

    def test_a_pong_proves_and_an_empty_one_the_oldest_ping(self) -> None:
        broker = self.keeping(INI, keep_data="always")
        receiver = self.receiver(broker, "sms")
        self.confirmed(self.sender(broker), "sms", 1)
        self.assertTrue(receiver.read_frame().payload.endswith(b"}"))
        frame = receiver.read_frame()
        self.assertEqual(frame.first, 0x80 | PING)
        self.assertEqual(len(self.rows("sms")), 1)
        receiver.send(client_frame(b"", PONG))
        poll(lambda: not self.rows("sms"), "the proved item to leave the table")

    # Time to live, leaving, errors

    def test_what_is_too_old_is_not_delivered(self) -> None:
        broker = self.keeping(INI)
        sender = self.sender(broker)
        now = time.time()
        self.confirmed(sender, "sms", "short", ttl=0.5)
        self.confirmed(sender, "sms", "long", ttl=100)
        self.confirmed(sender, "short", "gone", ttl=100)
        self.confirmed(sender, "otp", {"expiration": now - 1}, {"expiration": now + 100})
        poll(lambda: time.time() > now + 1.5, "a second and a half to pass")
        broker.kill9()
        broker.start()
        self.assertEqual(self.newcomer(broker, "sms").read_items(1), ["long"])
        short = self.receiver(broker, "short")
        self.confirmed(self.sender(broker), "short", "fresh")
        self.assertEqual(short.read_items(1), ["fresh"])
        self.assertEqual(self.newcomer(broker, "otp").read_items(1), [{"expiration": now + 100}])

    def test_leaving(self) -> None:
        broker = self.keeping(INI)
        receiver = self.receiver(broker, "sms")
        self.assertEqual(self.say(receiver, "leave-channel", channel="sms")["response_code"], "00")
        self.assertEqual(self.confirmed(self.sender(broker), "sms", 1)["stored"], 1)
        self.assertEqual(receiver.fence(), [])

    def test_errors_only_for_who_knows_of_extensions(self) -> None:
        broker = self.keeping(INI)
        client = self.sender(broker)
        client.send_text(b'{"command":"nonsense","channel":"sms"}')
        self.assertEqual(client.fence(), [])
        self.assertEqual(self.say(client, "nonsense", channel="sms")["response_code"], "02")
        client.send_text(b'{"command":"nonsense","channel":"sms"}')
        (error,) = client.fence()
        value = json.loads(error)
        self.assertEqual((value["command"], value["response_code"]), ("error", "02"))
        self.assertEqual(value["data"][0]["channel"], "sms")

    def test_a_restart_puts_back_what_is_unproved(self) -> None:
        broker = self.keeping(INI)
        deaf = self.client(broker)
        deaf.send_text(command("receive-message", "sms"))
        deaf.read_json()
        sender = self.sender(broker)
        for number in range(3):
            self.confirmed(sender, "sms", number)
        broker.stop()
        self.assertEqual([json.loads(row) for row in self.rows("sms")], [0, 1, 2])


class SqliteExtensionTests(ExtensionTests, SqliteCase):
    pass


class MariaDBExtensionTests(ExtensionTests, MariaDBCase):
    pass
