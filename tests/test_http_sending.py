"""Tests for wsmb.http.sending: what comes of a POST to a channel."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support_http import ALWAYS, KEPT, HttpWorld, rules
from tests.support_protocol import TIME, client_frame
from wsmb.settings import Limits

SMS = "/channels/sms"


class SendingCase(SynchronousTestCase):
    def world(self, **settings: object) -> HttpWorld:
        world = HttpWorld(**{"default_channel": KEPT, **settings})
        self.addCleanup(world.close)
        return world


class SendingTests(SendingCase):
    def test_an_item_that_finds_no_receiver_is_answered_after_the_commit(self) -> None:
        world = self.world()
        client = world.client()
        client.request("POST", SMS, {"a": 1})
        self.assertIsNone(client.answer())
        world.settle()
        answer = client.answer()
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json, {"time_stamp": TIME, "receivers": 0, "stored": 1})
        self.assertEqual(world.store.waiting("sms"), [{"a": 1}])

    def test_an_array_is_several_items(self) -> None:
        world = self.world()
        self.assertEqual(world.ask("POST", SMS, [1, [2], "3"]).json["stored"], 3)
        self.assertEqual(world.store.waiting("sms"), [1, [2], "3"])

    def test_a_receiver_gets_an_array_as_any_sender_would_write_it(self) -> None:
        world = self.world()
        receiver = world.receiver("sms")
        self.assertEqual(world.ask("POST", SMS, b' {"a": 1}\r\n').json["receivers"], 1)
        self.assertEqual(
            receiver.payloads()[0], b'{"command":"send-message","channel":"sms","data":[{"a": 1}]}'
        )

    def test_nobody_is_there_and_nothing_is_kept(self) -> None:
        world = HttpWorld()
        self.addCleanup(world.close)
        answer = world.ask("POST", SMS, 1)
        self.assertEqual((answer.json["receivers"], answer.json["stored"]), (0, 0))

    def test_number_of_receiver(self) -> None:
        world = self.world()
        receivers = [world.receiver("sms") for _ in range(3)]
        self.assertEqual(world.ask("POST", SMS + "?number_of_receiver=2", 1).json["receivers"], 2)
        self.assertEqual(sum(bool(one.payloads()) for one in receivers), 2)
        self.assertEqual(world.ask("POST", SMS + "?number_of_receiver=two", 1).status, 400)

    def test_time_to_live(self) -> None:
        world = self.world()
        world.broker.tick(1000.0)
        self.assertEqual(world.ask("POST", SMS + "?ttl=2.5s", 1).status, 200)
        self.assertEqual(list(world.store.expiry.values()), [1002.5])
        for wrong in ("x", "-1", "1e3", "s", "1" * 13, "%D9%A3", "%ff"):
            self.assertEqual(world.ask("POST", f"{SMS}?ttl={wrong}", 1).status, 400)

    def test_a_key_makes_it_safe_to_send_again(self) -> None:
        world = self.world()
        key = {"Idempotency-Key": '"k1"'}
        self.assertNotIn("duplicate", world.ask("POST", SMS, 1, headers=key).json)
        again = world.ask("POST", SMS, 1, headers={"Idempotency-Key": "k1"})
        self.assertIs(again.json["duplicate"], True)
        self.assertEqual(world.store.waiting("sms"), [1])
        self.assertEqual(world.ask("POST", SMS, 1, headers={"Idempotency-Key": "k" * 65}).status, 413)

    def test_what_is_no_json(self) -> None:
        world = self.world()
        for body in (
            b"",
            b"{",
            b"1 2",
            b"1],[2",
            b'1],"channel":"other","data":[2',
            b"\xff",
            b'"\xff"',
            b"nul",
        ):
            self.assertEqual(world.ask("POST", SMS, body).status, 400, body)
        self.assertEqual(world.ask("POST", SMS, b"[" * 200 + b"]" * 200).status, 400)
        self.assertEqual(world.store.rows, {})

    @given(st.binary(max_size=30) | st.text('[]{}",:1 \\', max_size=30).map(str.encode))
    def test_a_body_is_json_or_refused(self, body: bytes) -> None:
        world = HttpWorld(default_channel=KEPT)
        try:
            answer = world.ask("POST", SMS, body)
            try:
                item = json.loads(body.decode())
            except ValueError:
                self.assertEqual(answer.status, 400)
            else:
                expected = item if isinstance(item, list) else [item]
                self.assertEqual(world.store.waiting("sms"), expected)
        finally:
            world.close()

    def test_names_of_channels(self) -> None:
        world = self.world()
        for path, name in (
            ("a%2Fb", "a/b"),
            ("%C3%A4+", "ä+"),
            ("%00", "\0"),
            ("a%25", "a%"),
            ("a;b", "a;b"),
        ):
            self.assertEqual(world.ask("POST", f"/channels/{path}", 1).status, 200)
            self.assertEqual(world.store.waiting(name), [1])
        self.assertEqual(world.ask("POST", "/channels/", 1).status, 400)
        self.assertEqual(world.ask("POST", "/channels/%ff", 1).status, 400)
        self.assertEqual(world.ask("POST", "/channels/" + "a" * 101, 1).status, 413)

    def test_limits_are_those_of_any_sender(self) -> None:
        world = self.world(limits=Limits(max_items_per_frame=2), max_frame_bytes=1024)
        self.assertEqual(world.ask("POST", SMS, [1, 2, 3]).status, 413)
        self.assertEqual(world.ask("POST", SMS, "x" * 1022).status, 200)
        self.assertEqual(world.ask("POST", SMS, "x" * 1023).status, 413)

    def test_the_access_list(self) -> None:
        world = self.world(access=rules("allow qa send sms", "receivers qa 1"))
        self.assertEqual(world.ask("POST", SMS, 1).status, 200)
        refused = world.ask("POST", "/channels/other", 1)
        self.assertEqual((refused.status, refused.json["code"]), (403, "03"))
        self.assertEqual(world.ask("POST", SMS + "?number_of_receiver=2", 1).status, 403)

    def test_what_the_store_does_not_take_in_time_is_refused(self) -> None:
        world = self.world()
        client = world.client()
        client.request("POST", SMS, 1)
        world.beat(100)
        answer = client.answer()
        self.assertEqual((answer.status, answer.json["code"]), (503, "06"))
        self.assertIn("retry-after", answer.headers)

    def test_a_client_that_leaves_has_sent_it_all_the_same(self) -> None:
        world = self.world()
        client = world.client()
        client.request("POST", SMS, 1)
        client.transport.loseConnection()
        world.settle()
        self.assertEqual(world.store.waiting("sms"), [1])
        self.assertEqual(self.flushLoggedErrors(), [])


class WaitTests(SendingCase):
    def begin(self, world: HttpWorld, path: str, body: object = 1) -> object:
        client = world.client()
        client.request("POST", path, body)
        world.settle()
        return client

    def test_it_is_answered_once_a_receiver_has_proved_it(self) -> None:
        world = self.world()
        receiver = world.receiver("sms", ack=True)
        client = self.begin(world, SMS + "?wait=5s")
        self.assertIsNone(client.answer())
        receiver.receive(b"")
        self.acknowledge(receiver, 1)
        answer = client.answer()
        self.assertEqual((answer.status, answer.json["proved"]), (200, True))
        self.assertFalse(world.broker.watches)

    def acknowledge(self, receiver: object, *numbers: int) -> None:
        receiver.receive(client_frame(json.dumps({"command": "ack-message", "delivery": numbers}).encode()))

    def test_a_pong_is_proof(self) -> None:
        world = self.world()
        receiver = world.receiver("sms")
        client = self.begin(world, SMS + "?wait=5s")
        world.beat(3)
        ping = next(payload for kind, payload in receiver.frames() if kind == 0x89)
        self.assertIsNone(client.answer())
        receiver.receive(client_frame(ping, 0xA))
        self.assertIs(client.answer().json["proved"], True)

    def test_nobody_proves_it_in_time(self) -> None:
        world = self.world()
        client = self.begin(world, SMS + "?wait=5s")
        world.beat(49)
        self.assertIsNone(client.answer())
        world.beat(2)
        answer = client.answer()
        self.assertEqual((answer.status, answer.json["proved"], answer.json["stored"]), (202, False, 1))
        self.assertFalse(world.broker.watches)

    def test_never_before_the_commit(self) -> None:
        world = self.world()
        client = world.client()
        client.request("POST", SMS + "?wait=1s", 1)
        world.beat(20)
        self.assertIsNone(client.answer())
        world.settle()
        self.assertEqual(client.answer().status, 202)

    def test_what_waited_in_the_store_meanwhile(self) -> None:
        for settings in (KEPT, ALWAYS):
            world = self.world(default_channel=settings)
            client = self.begin(world, SMS + "?wait=5s", [1, 2])
            receiver = world.receiver("sms", ack=True)
            world.settle()
            self.acknowledge(receiver, 1)
            self.assertIs(client.answer().json["proved"], True)

    def test_all_of_its_items(self) -> None:
        world = self.world(default_channel=KEPT.__class__(keep_data=KEPT.keep_data, limit=1))
        client = self.begin(world, SMS + "?wait=5s", [1, 2])
        receiver = world.receiver("sms", ack=True)
        self.acknowledge(receiver, 2)
        self.assertIsNone(client.answer())
        self.acknowledge(receiver, 1)
        self.assertIs(client.answer().json["proved"], True)

    def test_it_is_committed_first_then_sent(self) -> None:
        world = self.world(default_channel=ALWAYS)
        receiver = world.receiver("sms", ack=True)
        client = self.begin(world, SMS + "?wait=5s")
        self.acknowledge(receiver, 1)
        self.assertIs(client.answer().json["proved"], True)

    def test_the_second_receiver_proves_it(self) -> None:
        world = self.world()
        first = world.receiver("sms", ack=True)
        client = self.begin(world, SMS + "?wait=5s")
        second = world.receiver("sms", ack=True)
        first.lose()
        world.settle()
        self.assertIsNone(client.answer())
        self.acknowledge(second, 1)
        self.assertIs(client.answer().json["proved"], True)

    def test_it_failed_and_went_to_the_store_before_somebody_proved_it(self) -> None:
        world = self.world()
        first = world.receiver("sms", ack=True)
        client = self.begin(world, SMS + "?wait=5s")
        first.lose()
        world.settle()
        second = world.receiver("sms", ack=True)
        self.assertIsNone(client.answer())
        self.acknowledge(second, 1)
        self.assertIs(client.answer().json["proved"], True)

    def test_it_is_proved_before_its_key_is_committed(self) -> None:
        world = self.world()
        receiver = world.receiver("sms", ack=True)
        client = world.client()
        client.request("POST", SMS + "?wait=5s", 1, headers={"Idempotency-Key": "k"})
        self.acknowledge(receiver, 1)
        self.assertIsNone(client.answer())
        world.settle()
        self.assertIs(client.answer().json["proved"], True)

    def test_it_went_behind_what_waits_on_a_channel_in_use(self) -> None:
        world = self.world()
        first = world.receiver("sms", ack=True)
        world.ask("POST", SMS, 1)
        reject = {"command": "reject-message", "delivery": 1, "delay": 60}
        first.receive(client_frame(json.dumps(reject).encode()))
        first.lose()
        world.settle()
        self.assertEqual(len(world.broker.channels), 1)
        client = self.begin(world, SMS + "?wait=5s", 2)
        second = world.receiver("sms", ack=True)
        self.assertEqual(client.answer(), None)
        self.acknowledge(second, 1)
        self.assertIs(client.answer().json["proved"], True)

    def test_where_nothing_is_followed_there_is_nothing_to_wait_for(self) -> None:
        world = self.world(default_channel=KEPT.__class__())
        self.assertEqual(self.begin(world, SMS + "?wait=5s").answer().status, 202)
        world.receiver("sms")
        answer = self.begin(world, SMS + "?wait=5s").answer()
        self.assertEqual((answer.status, answer.json["receivers"], answer.json["proved"]), (202, 1, False))

    def test_of_a_duplicate_nothing_is_known(self) -> None:
        world = self.world()
        key = {"Idempotency-Key": "k"}
        world.ask("POST", SMS, 1, headers=key)
        answer = world.ask("POST", SMS + "?wait=5s", 1, headers=key)
        self.assertEqual((answer.status, answer.json["duplicate"]), (202, True))

    def test_a_client_that_leaves_is_waited_for_no_more(self) -> None:
        world = self.world()
        client = self.begin(world, SMS + "?wait=5s")
        client.transport.loseConnection()
        world.turn()
        self.assertFalse(world.broker.watches)
        world.beat(60)
        self.assertEqual(self.flushLoggedErrors(), [])
