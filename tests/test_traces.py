"""Tests for wsmb.traces: what is told of a message that somebody follows."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support import RecordingPeer
from tests.test_channels import TIME, Bench, Sender
from wsmb.deliveries import Delivery
from wsmb.errors import Code, StoreError
from wsmb.message_ids import key_of
from wsmb.session import Session
from wsmb.settings import KeepData
from wsmb.traces import channel_of

KEY = key_of("qa", "c", "m")
STEPS = channel_of(KEY)


class TraceCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.use()

    def use(self, keep_data: KeepData = KeepData.OFFLINE, **channel: Any) -> None:
        """A broker, and somebody who follows what qa sends on c as m."""
        self.bench = Bench(keep_data=keep_data, **channel)
        self.watcher = self.bench.receiver(STEPS)
        self.session = Session(RecordingPeer(), self.bench.broker, lambda: TIME, "qa")

    def send(self, message_id: str = "m", channel: str = "c", *items: int) -> None:
        command = {"command": "send-message", "channel": channel, "data": items or (1,)}
        self.session.frames_received([json.dumps({**command, "message_id": message_id}).encode()])

    def acknowledging(self) -> Sender:
        """A receiver of c that has one frame at a time."""
        receiver = self.bench.sender("worker")
        self.bench.broker.channels.receive("c", receiver.receiver, 1)
        self.bench.store.settle()
        return receiver

    def steps(self) -> list[str]:
        """In short."""
        steps = []
        for item in self.watcher.items():
            step: dict[str, Any] = dict(item)  # type: ignore[call-overload]
            self.assertEqual(step.pop("time"), TIME)
            steps.append(" ".join(str(value) for value in step.values() if value != ""))
        return steps


class TraceTests(TraceCase):
    def test_handed_and_proved(self) -> None:
        self.bench.receiver("c")
        self.bench.store.settle()
        self.send()
        self.bench.store.settle()
        self.assertEqual(self.steps(), ["taken c", "handed receiver 1", "proved 1"])

    def test_nobody_is_there_and_then_somebody(self) -> None:
        self.send("m", "c", 1, 2)
        self.bench.store.settle()
        self.assertEqual(self.steps(), ["taken c", "stored 2"])
        self.bench.receiver("c")
        self.bench.store.settle()
        self.assertEqual(self.steps(), ["handed receiver 2", "proved 2"])

    def test_stored_before_it_is_sent(self) -> None:
        self.use(KeepData.ALWAYS)
        self.bench.receiver("c")
        self.bench.store.settle()
        self.send()
        self.bench.store.settle()
        self.assertEqual(self.steps(), ["taken c", "stored 1", "handed receiver 1", "proved 1"])

    def test_only_what_is_asked_for(self) -> None:
        self.bench.receiver("c")
        self.bench.store.settle()
        self.send()
        self.bench.store.settle()
        self.steps()
        self.send("other")
        self.send("m", "d")
        self.bench.sender().send("c", 1)
        self.bench.store.settle()
        self.assertEqual(self.steps(), [])

    def test_behind_another_in_the_same_moment(self) -> None:
        """Which is one delivery with it, but for that it is not followed."""
        self.bench.receiver("c")
        self.bench.store.settle()
        self.bench.sender().send("c", 7)
        self.send()
        self.bench.store.settle()
        self.assertEqual(self.steps(), ["taken c", "handed receiver 1", "proved 1"])

    def test_its_sender_alone_is_there(self) -> None:
        """Who never gets it."""
        self.session.frames_received([b'{"command":"receive-message","channel":"c"}'])
        self.bench.store.settle()
        self.send()
        self.bench.store.settle()
        self.assertEqual(self.steps(), ["taken c", "stored 1"])

    def test_refused_at_once(self) -> None:
        self.watcher = self.bench.receiver(channel_of(key_of("qa", "$x", "m")))
        self.send("m", "$x")
        self.assertEqual(self.steps(), ["taken $x", "refused Forbidden: only the broker itself sends on $x"])

    def test_among_others_in_one_batch(self) -> None:
        self.bench.sender().send("c", 7)
        self.send("m", "c", 1, 2)
        self.bench.sender().send("c", 8)
        self.bench.receiver("c")
        self.bench.store.settle()
        self.assertEqual(self.steps()[2:], ["handed receiver 2", "proved 2"])

    def test_sent_again(self) -> None:
        self.send()
        self.bench.store.settle()
        self.send()
        self.assertEqual(self.steps()[2:], ["duplicate c"])

    def test_its_receiver_ends_and_it_waits(self) -> None:
        receiver = self.bench.receiver("c")
        receiver.answers = False
        self.bench.store.settle()
        self.send()
        self.bench.broker.channels.end(receiver.receiver, ["c"])
        self.bench.clock.advance(0)
        self.bench.store.settle()
        expected = ["taken c", "handed receiver 1", "failed receiver not proved 1", "stored 1"]
        self.assertEqual(self.steps(), expected)
        self.bench.receiver("c")
        self.bench.store.settle()
        self.assertEqual(self.steps(), ["handed receiver 1", "proved 1"])

    def test_acknowledged(self) -> None:
        receiver = self.acknowledging()
        self.send()
        self.bench.store.settle()
        receiver.receiver.acks.acknowledge(1)
        self.assertEqual(self.steps(), ["taken c", "handed worker 1", "proved 1"])

    def test_rejected_and_dead(self) -> None:
        receiver = self.acknowledging()
        self.send()
        self.bench.store.settle()
        receiver.receiver.acks.reject(1, "rejected", 0.0)
        self.bench.clock.advance(0)
        self.bench.store.settle()
        expected = ["failed worker rejected 1", "dead 1 dead.c rejected"]
        self.assertEqual(self.steps()[2:], expected)

    def test_given_back_and_handed_again(self) -> None:
        receiver = self.acknowledging()
        self.send()
        self.bench.store.settle()
        receiver.receiver.acks.reject(1, "", 0.0)
        self.bench.clock.advance(0)
        self.assertEqual(self.steps()[2:], ["failed worker given back 1", "handed worker 1"])

    def test_expired_while_it_is_out(self) -> None:
        self.use(expire_after_s=5.0)
        receiver = self.acknowledging()
        self.send()
        self.bench.tick(60)
        receiver.receiver.acks.reject(1, "", 0.0)
        self.bench.clock.advance(0)
        self.assertEqual(self.steps()[2:], ["failed worker given back 1", "expired 1"])

    def test_expired_while_it_waits(self) -> None:
        self.use(expire_after_s=5.0)
        self.send()
        self.bench.store.settle()
        self.bench.tick(60)
        for item_id in self.bench.store.rows:
            self.bench.store.expiry[item_id] = 5.0
        self.bench.receiver("c")
        self.bench.store.settle()
        self.assertEqual(self.steps(), ["taken c", "stored 1", "expired 1"])

    def test_the_store_refuses_it(self) -> None:
        self.bench.store.failing = StoreError(Code.UNAVAILABLE, "away")
        self.send()
        self.bench.store.settle()
        self.assertEqual(self.steps(), ["taken c", "refused away"])

    def test_where_nothing_is_kept(self) -> None:
        self.use(KeepData.NEVER)
        self.bench.receiver("c")
        self.send()
        self.assertEqual(self.steps(), ["taken c", "relayed 1"])


class TellTests(TraceCase):
    def test_from_the_next_message_on_though_it_goes_with_the_last_one(self) -> None:
        """In one turn, to the same receivers, they would be one delivery."""
        self.bench.receiver("c")
        self.bench.store.settle()
        sender = self.bench.sender()
        sender.send("c", 7)
        handed: list[object] = []
        settled: list[Delivery] = []
        outstanding = self.bench.broker._channels["c"]._outstanding
        outstanding.tell(lambda message, _: handed.append(message), settled.append)
        sender.send("c", 8)
        outstanding.tell_no_more()
        sender.send("c", 9)
        self.bench.store.settle()
        self.assertEqual([message for delivery in settled for message in delivery.messages], handed)
        self.assertEqual(len(handed), 1)


class EndTests(TraceCase):
    def test_whoever_stops_asking_is_forgotten_with_all(self) -> None:
        self.bench.receiver("c")
        self.bench.store.settle()
        self.send()
        broker = self.bench.broker
        broker.channels.leave(STEPS, self.watcher)
        traces = broker.traces
        self.assertFalse(traces)
        self.assertEqual((traces._messages, traces._ids, broker.following._followed), ({}, {}, {}))
        self.assertNotIn("hand", vars(broker._channels["c"]._outstanding))

    def test_a_channel_goes_on_telling_of_another_message(self) -> None:
        other = self.bench.receiver(channel_of(key_of("qa", "c", "other")))
        worker = self.acknowledging()
        for message_id in ("m", "other"):
            self.send(message_id)
        self.bench.broker.channels.leave(STEPS, self.watcher)
        for number in (1, 2):
            worker.receiver.acks.acknowledge(number)
        self.watcher = other
        self.assertEqual(self.steps(), ["taken c", "handed worker 1", "proved 1"])

    def test_nothing_of_it_waits_anywhere(self) -> None:
        """Whatever the settings say: who asks is gone, and nobody else will ever come."""
        self.use(KeepData.ALWAYS)
        worker = self.bench.sender("asks")
        self.bench.broker.channels.receive(STEPS, worker.receiver, 1)
        self.bench.broker.channels.leave(STEPS, self.watcher)
        self.send()
        self.bench.broker.channels.end(worker.receiver, [STEPS])
        self.bench.clock.advance(0)
        self.bench.store.settle()
        self.assertEqual({channel for channel, _ in self.bench.store.rows.values()}, {"c"})

    def test_names_that_are_none(self) -> None:
        for name in ("$trace.", "$trace.xyz", f"{STEPS}0", f"$trace.{'g' * 32}", "$events"):
            self.bench.receiver(name)
        self.bench.broker.channels.leave(STEPS, self.watcher)
        self.assertFalse(self.bench.broker.traces)
