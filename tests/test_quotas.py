"""What is refused because too much waits already, and what is not: wsmb.broker down to the store."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support import SteppedStore
from tests.test_channels import Bench, Sender
from tests.test_session import SessionTestCase
from wsmb.broker import Broker
from wsmb.errors import Code
from wsmb.settings import ChannelSettings, KeepData, Limits, Settings


class QuotaTests(SynchronousTestCase):
    """Two items may wait on a channel."""

    def bench(self, **channel: Any) -> Bench:
        return Bench(**{"keep_data": KeepData.OFFLINE, "max_waiting_items_per_channel": 2, **channel})

    def fill(self, bench: Bench, channel: str = "c") -> Sender:
        """A sender whose two items wait there."""
        sender = bench.sender()
        sender.send(channel, 1, 2)
        bench.store.settle()
        self.assertEqual(sender.errors, [])
        return sender

    def assert_refused(self, bench: Bench, sender: Sender, count: int = 1) -> None:
        bench.store.settle()
        self.assertEqual([error.code for error in sender.errors], [Code.TOO_MANY] * count)
        self.assertEqual(sender.open, 0)

    def test_one_past_the_limit_where_nobody_receives(self) -> None:
        bench = self.bench()
        sender = self.fill(bench)
        sender.send("c", 3)
        self.assert_refused(bench, sender)
        self.assertEqual(bench.store.waiting("c"), [1, 2])

    def test_what_is_removed_makes_room(self) -> None:
        bench = self.bench()
        sender = self.fill(bench)
        bench.receiver()
        bench.store.settle()
        sender.send("c", 3)
        bench.store.settle()
        self.assertEqual(sender.errors, [])

    def test_what_is_already_there_is_delivered_while_more_is_refused(self) -> None:
        bench = self.bench(limit=1, delay_send_s=10.0)
        sender = self.fill(bench)
        receiver = bench.receiver()
        receiver.answers = False
        bench.store.settle()
        sender.send("c", 3)
        bench.tick(5)
        self.assert_refused(bench, sender)
        receiver.receiver.pong(b"")
        bench.store.settle()
        sender.send("c", 4)
        bench.tick(5)
        bench.store.settle()
        self.assertEqual(len(sender.errors), 1)
        for _ in range(3):
            bench.clock.advance(10.0)
            bench.store.settle()
        self.assertEqual(receiver.items(), [1, 2, 4])

    def test_where_somebody_receives_nothing_is_refused(self) -> None:
        """It goes through memory alone, even if no more may wait on any channel."""
        bench = self.bench()
        self.fill(bench, "another")
        bench.broker.use_settings(self.limited(bench, max_waiting_items=1))
        receiver, sender = bench.receiver(), bench.sender()
        bench.store.settle()
        for number in range(9):
            sender.send("c", number)
        bench.store.settle()
        self.assertEqual((receiver.items(), sender.errors), (list(range(9)), []))

    def limited(self, bench: Bench, **limits: Any) -> Settings:
        return replace(bench.broker._settings, limits=Limits(**limits))

    def test_every_item_of_a_channel_that_keeps_always_counts(self) -> None:
        bench = self.bench(keep_data=KeepData.ALWAYS)
        receiver = bench.receiver()
        receiver.answers = False
        bench.store.settle()
        sender = self.fill(bench)
        sender.send("c", 3)
        self.assert_refused(bench, sender)
        receiver.receiver.pong(b"")
        bench.store.settle()
        sender.send("c", 4)
        self.assert_refused(bench, sender)
        self.assertEqual(receiver.items(), [1, 2, 4])

    def test_what_comes_back_was_taken_and_is_not_refused(self) -> None:
        bench = self.bench()
        receiver = bench.receiver()
        receiver.answers = False
        bench.store.settle()
        sender = bench.sender()
        for number in range(5):
            sender.send("c", number)
        bench.broker.channels.end(receiver.receiver, ["c"])
        bench.clock.advance(0)
        bench.store.settle()
        self.assertEqual((bench.store.waiting("c"), sender.errors), ([0, 1, 2, 3, 4], []))
        sender.send("c", 5)
        self.assert_refused(bench, sender)

    def test_what_goes_into_the_store_before_something_newer_is_not_refused(self) -> None:
        bench = self.bench()
        receiver = bench.receiver()
        receiver.answers = False
        bench.store.settle()
        sender = bench.sender()
        for number in range(5):
            sender.send("c", number)
        receiver.full = True
        sender.send("c", 5)
        bench.tick(5)
        self.assert_refused(bench, sender)
        self.assertEqual(bench.store.waiting("c"), [0, 1, 2, 3, 4])

    def test_one_past_the_limit_where_only_the_sender_itself_receives(self) -> None:
        bench = self.bench()
        sender = bench.sender()
        bench.broker.channels.receive("c", sender.receiver)
        bench.store.settle()
        sender.send("c", 1, 2)
        bench.store.settle()
        sender.send("c", 3)
        self.assert_refused(bench, sender)
        self.assertEqual(bench.store.waiting("c"), [1, 2])

    def test_what_is_sent_with_the_channel_in_the_url_is_refused_too(self) -> None:
        bench = self.bench()
        sender = self.fill(bench)
        bench.broker.send_text("c", b"3", None, sender, sender)
        self.assert_refused(bench, sender)
        self.assertEqual(bench.store.waiting("c"), [1, 2])

    def test_a_broker_begins_with_its_limits(self) -> None:
        settings = Settings(listen=(), limits=Limits(max_waiting_items=7))
        store = SteppedStore()
        Broker(settings, store, Clock().callLater, lambda: "")
        self.assertEqual(store.stock.limits, settings.limits)

    def test_dead_letters_are_not_refused(self) -> None:
        for receives_letters in (False, True):
            self.assert_letter_is_kept(receives_letters)

    def assert_letter_is_kept(self, receives_letters: bool) -> None:
        bench = self.bench(max_deliveries=1, limit=10)
        sender = self.fill(bench, "dead.c")
        if receives_letters:
            bench.receiver("dead.c").full = True
            bench.store.settle()
        acking = bench.sender("acking")
        bench.broker.channels.receive("c", acking.receiver, 10)
        bench.store.settle()
        sender.send("c", 3)
        acking.receiver.acks.reject(1, "rejected", 0.0)
        bench.clock.advance(0)
        bench.store.settle()
        letters = bench.store.waiting("dead.c")
        self.assertEqual((letters[:2], len(letters), sender.errors), ([1, 2], 3, []))

    def test_other_limits_count_at_once(self) -> None:
        bench = self.bench()
        sender = self.fill(bench)
        wider = ChannelSettings(keep_data=KeepData.OFFLINE, max_waiting_items_per_channel=3)
        bench.broker.use_settings(replace(bench.broker._settings, default_channel=wider))
        sender.send("c", 3)
        bench.store.settle()
        self.assertEqual(sender.errors, [])
        bench.broker.use_settings(self.limited(bench, max_waiting_items=3))
        sender.send("d", 4)
        self.assert_refused(bench, sender)
        bench.broker.use_settings(self.limited(bench, max_waiting_bytes=2))
        sender.send("d", 4)
        self.assert_refused(bench, sender, 2)

    def test_a_channel_can_have_limits_of_its_own(self) -> None:
        bench = self.bench()
        wide = replace(bench.broker._settings.default_channel, max_waiting_items_per_channel=3)
        bench.broker.use_settings(replace(bench.broker._settings, channels=(("wide", wide),)))
        sender = self.fill(bench, "wide")
        sender.send("wide", 3)
        bench.store.settle()
        self.assertEqual(sender.errors, [])
        sender.send("wide", 4)
        self.assert_refused(bench, sender)


class ToldTests(SessionTestCase):
    """How senders are told."""

    keep_data = KeepData.OFFLINE

    def setUp(self) -> None:
        super().setUp()
        self.broker.use_settings(replace(self.broker._settings, limits=Limits(max_waiting_items=1)))
        _, session = self.greeted()
        session.frames_received([send()])
        self.store.settle()

    def test_by_the_confirm_in_its_turn_and_the_connection_goes_on(self) -> None:
        peer, session = self.greeted()
        session.frames_received([send(confirm=1), send(confirm=2), b'{"command":"ping","confirm":3}'])
        self.store.settle()
        answers = [json.loads(payload) for payload in peer.payloads()]
        self.assertEqual([answer["response_code"] for answer in answers], ["05", "05", "00", "00"])
        self.assertEqual([answer.get("confirm") for answer in answers], [1, 2, None, 3])
        self.assertTrue(answers[0]["response_text"].startswith("Too many: no more than 1 items"))
        self.assertIsNone(peer.ended)

    def test_by_an_error_if_it_has_asked_for_something_new(self) -> None:
        peer, session = self.greeted()
        session.frames_received([send(ttl=60)])
        self.store.settle()
        (answer,) = [json.loads(payload) for payload in peer.payloads()]
        self.assertEqual((answer["command"], answer["response_code"]), ("error", "05"))
        self.assertEqual(answer["data"][0]["channel"], "c")

    def test_by_the_greeting_if_it_was_the_first_frame_else_not_at_all(self) -> None:
        self.session.frames_received([send(), send()])
        self.store.settle()
        (greeting,) = [json.loads(payload) for payload in self.peer.payloads()]
        self.assertEqual((greeting["command"], greeting["response_code"]), ("connect", "01"))

    def test_a_message_id_that_was_refused_is_as_if_never_used(self) -> None:
        peer, session = self.greeted()
        session.frames_received([send(confirm=1, message_id="a")])
        self.store.settle()
        self.broker.use_settings(replace(self.broker._settings, limits=Limits()))
        session.frames_received([send(confirm=2, message_id="a")])
        self.store.settle()
        refused, taken = [json.loads(payload) for payload in peer.payloads()]
        self.assertEqual((refused["response_code"], taken["response_code"]), ("05", "00"))
        self.assertNotIn("duplicate", taken["data"][0])


def send(**fields: object) -> bytes:
    return json.dumps({"command": "send-message", "channel": "c", "data": [1], **fields}).encode()
