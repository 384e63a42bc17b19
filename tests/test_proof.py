"""Tests for what is proved, what fails, and what comes again: wsmb.receiver, wsmb.acks, wsmb.unproved."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.support import RecordingPeer, SteppedStore, parse_frames
from wsmb.broker import Broker
from wsmb.deliveries import Done
from wsmb.errors import CloseCode, Code, StoreError
from wsmb.frames import Bundle
from wsmb.receiver import MOST_TIMES, PING_FRAMES
from wsmb.settings import ChannelSettings, KeepData, Settings, dead_letters_of

TIME = "2026-11-22T21:00:00.000Z"


class Client(RecordingPeer):
    """A connection that sends and receives, and proves what it has got when the test says so."""

    def __init__(self, broker: Broker, user: str = "qa") -> None:
        super().__init__(user)
        self.broker = broker
        self.receiver = broker.receiver(self, user)
        self.channels: set[str] = set()
        self.got: list[Any] = []
        self.commands: list[dict[str, Any]] = []
        self.proved: list[Any] = []
        self.open_pings: list[tuple[bytes, int]] = []
        self.numbers: dict[int, list[Any]] = {}
        self.unfinished = 0
        self.confirmed: list[tuple[StoreError | None, int, int]] = []

    def begin(self, cost_bytes: int) -> Done:
        self.unfinished += 1

        def done(error: StoreError | None, receivers: int = 0, stored: int = 0) -> None:
            self.unfinished -= 1
            self.confirmed.append((error, receivers, stored))

        return done

    def send(self, *items: object, channel: str = "c", limit: int | None = None, **more: Any) -> int | None:
        data = json.dumps(list(items)).encode()
        payload = b'{"command":"send-message","channel":"%s","data":%s}' % (channel.encode(), data)
        return self.broker.send(channel, payload, msgspec.Raw(data), limit, self, self, **more)

    def receive(self, channel: str = "c", prefetch: int | None = None) -> None:
        self.channels.add(channel)
        self.broker.channels.receive(channel, self.receiver, prefetch)

    def leave(self, channel: str = "c") -> None:
        self.channels.discard(channel)
        self.broker.channels.leave(channel, self)

    def take(self) -> list[Any]:
        """The new items."""
        pieces, self.frames = self.frames, []
        before = len(self.got)
        stream = b"".join(piece.seal() if isinstance(piece, Bundle) else piece for piece in pieces)
        for first, payload in parse_frames(stream):
            if first == 0x89:
                self.open_pings.append((payload, len(self.got)))
                continue
            command = json.loads(payload)
            self.commands.append(command)
            self.got += command["data"]
            if "delivery" in command:
                self.numbers[command["delivery"]] = command["data"]
        return self.got[before:]

    def pong(self, payload: bytes | None = None) -> bool:
        """Answer the oldest ping, if there is one."""
        self.take()
        if not self.open_pings:
            return False
        ping, mark = self.open_pings.pop(0)
        self.proved += self.got[:mark]
        self.receiver.pong(ping if payload is None else payload)
        return True

    def ack(self, number: int) -> bool:
        self.take()
        self.proved += self.numbers.pop(number, [])
        return self.receiver.acks.acknowledge(number)

    def end(self, code: CloseCode = CloseCode.STOPPING) -> None:
        """The connection ends."""
        self.take()
        self.ended = code
        self.broker.channels.end(self.receiver, self.channels)


class Bench:
    """A broker on a stepped store and a clock."""

    def __init__(self, *, max_outstanding_frames: int = 1_000, **channel: Any) -> None:
        self.clock = Clock()
        self.store = SteppedStore()
        settings = Settings(
            listen=(),
            default_channel=ChannelSettings(**{"keep_data": KeepData.OFFLINE, **channel}),
            max_outstanding_frames=max_outstanding_frames,
        )
        self.broker = Broker(settings, self.store, self.clock.callLater, lambda: TIME)

    def client(self, user: str = "qa") -> Client:
        return Client(self.broker, user)

    def receiver(self, prefetch: int | None = None, channel: str = "c", user: str = "qa") -> Client:
        client = self.client(user)
        client.receive(channel, prefetch)
        self.settle()
        return client

    def settle(self) -> None:
        """What the store and the next turns of the reactor do."""
        while self.store.is_busy or any(not call.getTime() > self.clock.seconds() for call in self.calls):
            self.clock.advance(0)
            self.store.settle()

    @property
    def calls(self) -> list[Any]:
        return self.clock.getDelayedCalls()

    def beats(self, count: int) -> None:
        for _ in range(count):
            self.clock.advance(0.1)
            self.broker.tick(self.clock.seconds())
            self.settle()


class PongTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench()
        self.sender = self.bench.client()

    def test_a_ping_follows_what_was_sent(self) -> None:
        receiver = self.bench.receiver()
        self.sender.send(1)
        receiver.take()
        self.assertEqual(receiver.open_pings, [(b"wsmb 0", 1)])

    def test_no_ping_where_nothing_is_kept(self) -> None:
        bench = Bench(keep_data=KeepData.NEVER)
        receiver = bench.receiver()
        bench.client().send(1)
        bench.beats(5)
        self.assertEqual((receiver.take(), receiver.open_pings), ([1], []))

    def test_at_most_one_ping_in_100_ms_or_64_frames(self) -> None:
        receiver = self.bench.receiver()
        for number in range(PING_FRAMES * 3):
            self.sender.send(number)
            receiver.take()
        self.assertLessEqual(len(receiver.open_pings), 4)
        self.assertEqual(receiver.open_pings[0][1], 1)
        marks = [mark for _, mark in receiver.open_pings]
        self.assertTrue(all(later - mark >= PING_FRAMES for mark, later in pairwise(marks)))
        pings = len(receiver.open_pings)
        self.bench.beats(1)
        receiver.take()
        self.assertEqual(len(receiver.open_pings), pings)
        self.bench.beats(1)
        receiver.take()
        self.assertEqual(receiver.open_pings[-1][1], PING_FRAMES * 3)

    def test_one_ping_for_a_bundle(self) -> None:
        receiver = self.bench.receiver()
        for number in range(500):
            self.sender.send(number)
        receiver.take()
        self.assertEqual(receiver.open_pings, [(b"wsmb 0", 500)])
        receiver.pong()
        self.assertEqual(receiver.receiver.outstanding, 0)

    def test_no_pings_without_end_for_who_does_not_answer(self) -> None:
        receiver = self.bench.receiver()
        self.sender.send(1)
        self.bench.beats(100)
        receiver.take()
        self.assertEqual(len(receiver.open_pings), 1)

    def test_an_empty_pong_proves_the_oldest_ping(self) -> None:
        receiver = self.bench.receiver()
        for number in range(2):
            self.sender.send(number)
            receiver.take()
            self.bench.beats(3)
        receiver.pong(b"")
        self.assertEqual(receiver.receiver.outstanding, 1)
        receiver.pong(b"whatever")
        self.assertEqual(receiver.receiver.outstanding, 0)
        receiver.receiver.pong(b"")
        self.assertEqual(receiver.receiver.outstanding, 0)

    def test_a_pong_to_a_later_ping_proves_the_earlier_ones_too(self) -> None:
        receiver = self.bench.receiver()
        for number in range(3):
            self.sender.send(number)
            receiver.take()
            self.bench.beats(3)
        receiver.receiver.pong(b"wsmb 1")
        self.assertEqual(receiver.receiver.outstanding, 1)
        for strange in (b"wsmb 99", b"wsmb x", b"wsmb 0"):
            receiver.receiver.pong(strange)
        self.assertEqual(receiver.receiver.outstanding, 0)

    def test_a_ping_of_the_sweep_is_in_the_same_row(self) -> None:
        receiver = self.bench.receiver()
        receiver.receiver.ping()
        self.bench.beats(3)
        self.sender.send(1)
        receiver.pong(b"")
        self.assertEqual(receiver.receiver.outstanding, 1)

    def test_unproved_goes_to_another_receiver_byte_for_byte(self) -> None:
        first, second = self.bench.receiver(), self.bench.receiver()
        self.sender.send(1, limit=1)
        (taker, other) = (first, second) if first.take() else (second, first)
        taker.end()
        self.bench.settle()
        self.assertEqual(other.take(), [1])
        self.assertEqual(self.bench.store.rows, {})

    def test_unproved_waits_if_there_is_no_other(self) -> None:
        receiver = self.bench.receiver()
        for number in range(3):
            self.sender.send(number)
        receiver.end()
        self.sender.send(3)
        self.bench.settle()
        self.assertEqual(self.bench.store.waiting("c"), [0, 1, 2, 3])
        self.assertEqual(self.bench.receiver().take(), [0, 1, 2, 3])

    def test_a_batch_goes_back_to_its_old_place(self) -> None:
        self.sender.send(*range(5))
        self.bench.settle()
        receiver = self.bench.receiver()
        self.assertEqual(receiver.take(), [0, 1, 2, 3, 4])
        self.sender.send(5)
        receiver.end()
        self.bench.settle()
        self.assertEqual(self.bench.receiver().take(), [0, 1, 2, 3, 4, 5])

    def test_settled_when_none_is_outstanding_and_one_has_proved_it(self) -> None:
        bench = Bench(keep_data=KeepData.ALWAYS)
        one, two = bench.receiver(), bench.receiver()
        bench.client().send(1)
        bench.settle()
        self.assertEqual((one.take(), two.take()), ([1], [1]))
        one.pong()
        bench.settle()
        self.assertEqual(bench.store.waiting("c"), [1])
        two.end()
        bench.settle()
        self.assertEqual((bench.store.rows, one.take()), ({}, []))

    def test_failed_by_all_comes_again(self) -> None:
        one, two = self.bench.receiver(), self.bench.receiver()
        self.sender.send(1)
        third = self.bench.receiver()
        one.end()
        two.end()
        self.bench.settle()
        self.assertEqual(third.take(), [1])

    def test_older_goes_into_the_store_before_newer(self) -> None:
        """What is outstanding only in memory must not end up behind what came later."""
        bench = Bench(max_outstanding_frames=2)
        receiver = bench.receiver()
        sender = bench.client()
        for number in range(5):
            sender.send(number)
        bench.beats(4)
        self.assertEqual((receiver.take(), bench.store.waiting("c")), ([0, 1], [0, 1, 2, 3, 4]))
        self.assertEqual(sender.unfinished, 0)
        receiver.end()
        bench.settle()
        self.assertEqual(bench.receiver().take(), [0, 1])

    def test_a_full_receiver_gets_more_as_soon_as_it_has_proved(self) -> None:
        bench = Bench(max_outstanding_frames=2, limit=1)
        sender = bench.client()
        sender.send(*range(6))
        bench.settle()
        receiver = bench.receiver()
        got = receiver.take()
        self.assertEqual(got, [0, 1])
        while receiver.pong():
            bench.settle()
            bench.beats(2)
        self.assertEqual(receiver.got, [0, 1, 2, 3, 4, 5])
        self.assertEqual(bench.store.rows, {})

    def test_held_in_memory_while_full_for_a_moment(self) -> None:
        bench = Bench(max_outstanding_frames=2)
        receiver = bench.receiver()
        sender = bench.client()
        for number in range(4):
            sender.send(number)
        self.assertEqual((receiver.take(), sender.unfinished), ([0, 1], 2))
        while receiver.pong():
            bench.settle()
        self.assertEqual((receiver.got, sender.unfinished), ([0, 1, 2, 3], 0))
        self.assertEqual(bench.store.last_id, 0)

    def test_stopping_puts_it_into_the_store(self) -> None:
        receiver = self.bench.receiver()
        self.sender.send(1)
        self.bench.broker.close()
        self.bench.settle()
        self.assertEqual(self.bench.store.waiting("c"), [1])
        receiver.pong()
        self.bench.settle()
        self.assertEqual(self.bench.store.rows, {})

    def test_no_trace_when_all_is_proved(self) -> None:
        receiver = self.bench.receiver()
        self.sender.send(1)
        receiver.take()
        receiver.leave()
        self.assertEqual(len(self.bench.broker.channels), 1)
        receiver.pong()
        self.bench.settle()
        self.assertEqual(len(self.bench.broker.channels), 0)


class AckTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench(limit=1)
        self.sender = self.bench.client()

    def test_numbered_at_the_end_and_no_pings(self) -> None:
        receiver = self.bench.receiver(prefetch=5)
        self.sender.send({"a": 1})
        (frame,) = receiver.payloads()
        self.assertTrue(frame.endswith(b'"data":[{"a": 1}],"delivery":1}'), frame)
        self.assertEqual(receiver.pings, [])

    def test_never_more_than_prefetch(self) -> None:
        receiver = self.bench.receiver(prefetch=2)
        for number in range(5):
            self.sender.send(number)
        self.assertEqual(receiver.take(), [0, 1])
        self.assertTrue(receiver.ack(2))
        self.assertEqual(receiver.take(), [2])
        self.assertFalse(receiver.ack(2))
        self.assertFalse(receiver.ack(77))

    def test_also_of_what_goes_to_all(self) -> None:
        slow, fast = self.bench.receiver(prefetch=1), self.bench.receiver(prefetch=5)
        for number in range(3):
            self.sender.send(number)
        self.assertEqual((slow.take(), fast.take()), ([0], [0, 1, 2]))
        slow.ack(1)
        self.assertEqual(slow.take(), [1])

    def test_too_much_pending_ends_it(self) -> None:
        settings = Settings(listen=(), max_outstanding_bytes=10_000)
        broker = Broker(settings, SteppedStore(), Clock().callLater, lambda: TIME)
        slow, sender = Client(broker), Client(broker)
        slow.end = lambda code: setattr(slow, "ended", code)  # type: ignore[method-assign]
        slow.receive(prefetch=1)
        for _ in range(12):
            sender.send("x" * 1_000)
        self.assertEqual(slow.ended, CloseCode.TOO_SLOW)

    def test_timeout(self) -> None:
        bench = Bench(ack_timeout_s=2)
        receiver = bench.receiver(prefetch=1)
        bench.client().send(1)
        receiver.take()
        bench.beats(15)
        self.assertEqual(receiver.take(), [])
        bench.beats(20)
        self.assertEqual(receiver.take(), [1])
        self.assertTrue(receiver.commands[-1]["redelivered"])
        self.assertFalse(receiver.receiver.acks.acknowledge(1))

    def test_what_was_tried_before_a_crash_is_marked(self) -> None:
        self.sender.send(1)
        self.bench.settle()
        receiver = self.bench.receiver(prefetch=1)
        self.assertNotIn("redelivered", json.loads(receiver.payloads()[0]))
        self.bench.beats(2)
        self.assertEqual(self.bench.store.tries, {1: 1})
        broker = Broker(
            Settings(listen=(), default_channel=ChannelSettings(keep_data=KeepData.OFFLINE)),
            self.bench.store,
            self.bench.clock.callLater,
            lambda: TIME,
        )
        again = Client(broker)
        again.receive(prefetch=1)
        self.bench.settle()
        again.take()
        self.assertTrue(again.commands[0]["redelivered"])

    def test_what_was_sent_right_before_a_stop_is_marked(self) -> None:
        self.sender.send(1)
        self.bench.settle()
        self.bench.receiver(prefetch=1).take()
        self.assertEqual(self.bench.store.tries, {})
        self.bench.broker.close()
        self.bench.settle()
        self.assertEqual(self.bench.store.tries, {1: 1})

    def test_what_was_rejected_and_waits_for_its_delay_is_marked(self) -> None:
        self.sender.send(1)
        self.bench.settle()
        receiver = self.bench.receiver(prefetch=1)
        receiver.take()
        receiver.receiver.acks.reject(1, "", 5.0)
        self.bench.settle()
        self.assertEqual(self.bench.store.tries, {1: 1})

    def test_acknowledged_at_once_costs_no_note(self) -> None:
        self.sender.send(1)
        receiver = self.bench.receiver(prefetch=1)
        receiver.ack(1)
        self.bench.beats(3)
        self.assertEqual((self.bench.store.tries, self.bench.store.rows), ({}, {}))

    def test_rejected_waits_for_its_delay_in_the_store(self) -> None:
        receiver = self.bench.receiver(prefetch=1)
        self.sender.send(1)
        receiver.take()
        self.assertTrue(receiver.receiver.acks.reject(1, "", 5.0))
        self.bench.settle()
        self.assertEqual(self.bench.store.waiting("c"), [1])
        self.sender.send(2)
        self.assertEqual(receiver.take(), [2])
        receiver.ack(2)
        self.bench.beats(49)
        self.assertEqual(receiver.take(), [])
        self.bench.beats(3)
        self.assertEqual(receiver.take(), [1])

    def test_dead_after_so_many_tries(self) -> None:
        bench = Bench(max_deliveries=3)
        receiver = bench.receiver(prefetch=1, user="gateway")
        bench.client().send({"n": 1})
        tries = 0
        while receiver.take():
            tries += 1
            receiver.receiver.acks.reject(tries, "", 0.0)
            bench.settle()
        self.assertEqual((tries, bench.store.waiting("c")), (3, []))
        (letter,) = bench.store.waiting("dead.c")
        self.assertEqual(
            letter,
            {
                "item": {"n": 1},
                "channel": "c",
                "reason": "max_deliveries",
                "deliveries": 3,
                "receiver": "gateway",
                "time_stamp": TIME,
            },
        )

    def test_dead_letters_stay_where_they_are(self) -> None:
        bench = Bench(max_deliveries=1)
        receiver = bench.receiver(prefetch=1)
        bench.client().send(1)
        receiver.take()
        receiver.receiver.acks.reject(1, "rejected", 0.0)
        bench.settle()
        undertaker = bench.receiver(prefetch=1, channel="dead.c")
        for number in range(1, 4):
            self.assertEqual(len(undertaker.take()), 1)
            undertaker.receiver.acks.reject(number, "", 0.0)
            bench.settle()
        undertaker.receiver.acks.reject(4, "rejected", 0.0)
        bench.settle()
        self.assertEqual(bench.store.rows, {})

    def test_a_letter_that_cannot_be_stored_is_not_lost(self) -> None:
        bench = Bench()
        receiver = bench.receiver(prefetch=1)
        bench.client().send(1)
        receiver.take()
        bench.store.failing = StoreError(Code.TOO_LARGE, "too large")
        receiver.receiver.acks.reject(1, "rejected", 0.0)
        bench.clock.advance(0)
        bench.store.step()
        bench.store.failing = None
        bench.settle()
        self.assertEqual(bench.store.waiting("c"), [1])

    def test_terms_can_change(self) -> None:
        receiver = self.bench.receiver(prefetch=1)
        for number in range(3):
            self.sender.send(number)
        self.assertEqual(receiver.take(), [0])
        receiver.receive(prefetch=2)
        self.bench.settle()
        self.assertEqual(receiver.take(), [1, 2])

    def test_where_nothing_is_kept_too(self) -> None:
        bench = Bench(keep_data=KeepData.NEVER)
        one, two = bench.receiver(prefetch=1), bench.receiver(prefetch=1)
        bench.client().send(1, limit=1)
        taker, other = (one, two) if one.take() else (two, one)
        taker.end()
        bench.settle()
        self.assertEqual(other.take(), [1])


class ExpiryTests(SynchronousTestCase):
    def test_held_and_waiting_and_again(self) -> None:
        bench = Bench(limit=1)
        bench.client().send("waits", ttl_s=1.0)
        bench.client().send("stays")
        bench.beats(11)
        receiver = bench.receiver(prefetch=1)
        self.assertEqual(receiver.take(), ["stays"])
        receiver.ack(1)
        bench.client().send("again", ttl_s=1.0)
        self.assertEqual(receiver.take(), ["again"])
        bench.beats(11)
        receiver.end()
        bench.settle()
        self.assertEqual(bench.store.rows, {})

    def test_the_shorter_one_counts(self) -> None:
        bench = Bench(expire_after_s=2)
        sender = bench.client()
        sender.send(1, ttl_s=100.0)
        sender.send(2, ttl_s=1.0)
        sender.send(3)
        bench.settle()
        self.assertEqual(bench.store.expiry, {1: 2.0, 2: 1.0, 3: 2.0})

    def test_the_item_s_own_field(self) -> None:
        bench = Bench(expire_field="expiration", limit=5)
        bench.beats(20)
        sender = bench.client()
        sender.send({"expiration": 1.5}, {"expiration": 2.5}, {"expiration": "3"}, {"other": 1}, 7)
        bench.settle()
        receiver = bench.receiver()
        self.assertEqual(receiver.take(), [{"expiration": 2.5}, {"expiration": "3"}, {"other": 1}, 7])
        receiver.pong()
        bench.settle()
        self.assertEqual(sender.send({"expiration": 1}), 0)
        sender.send({"expiration": 1}, {"expiration": 9})
        self.assertEqual(receiver.take(), [{"expiration": 9}])

    def test_the_own_field_counts_beside_a_ttl_and_whenever_it_is_delivered_again(self) -> None:
        bench = Bench(expire_field="expiration", limit=5)
        sender = bench.client()
        sender.send({"expiration": 1.0}, {"expiration": 9.0}, ttl_s=100.0)
        bench.beats(11)
        receiver = bench.receiver(prefetch=5)
        self.assertEqual(receiver.take(), [{"expiration": 9.0}])
        receiver.ack(1)
        sender.send({"expiration": 2.0}, {"expiration": 9.0})
        self.assertEqual(len(receiver.take()), 2)
        bench.beats(11)
        receiver.end()
        bench.settle()
        self.assertEqual(bench.receiver().take(), [{"expiration": 9.0}])

    def test_what_waits_for_its_acknowledgements_grows_old_too(self) -> None:
        bench = Bench()
        slow, fast = bench.receiver(prefetch=1), bench.receiver(prefetch=9)
        sender = bench.client()
        sender.send(1)
        sender.send(2, ttl_s=1.0)
        sender.send(3)
        self.assertEqual((slow.take(), fast.take()), ([1], [1, 2, 3]))
        bench.beats(11)
        slow.ack(1)
        self.assertEqual(slow.take(), [3])


class OddEndTests(SynchronousTestCase):
    def test_a_delay_outlasts_the_receivers(self) -> None:
        bench = Bench()
        bench.client().send(1)
        bench.settle()
        receiver = bench.receiver(prefetch=1)
        receiver.take()
        receiver.receiver.acks.reject(1, "", 5.0)
        receiver.end()
        again = bench.receiver(prefetch=1)
        bench.beats(40)
        self.assertEqual(again.take(), [])
        bench.beats(15)
        self.assertEqual(again.take(), [1])
        self.assertTrue(again.commands[0]["redelivered"])

    def test_refused_by_the_database_on_its_way_back_but_there_is_another_receiver(self) -> None:
        bench = Bench(max_outstanding_frames=1)
        first, second = bench.receiver(), bench.receiver()
        sender = bench.client()
        sender.send(1, limit=1)
        sender.send(2, limit=1)
        (taker, other) = (first, second) if 1 in first.take() else (second, first)
        taker.end()
        bench.store.failing = StoreError(Code.TOO_LARGE, "too large")
        while bench.store.is_busy:
            bench.store.step()
        other.pong()
        bench.store.failing = None
        bench.settle()
        self.assertEqual(bench.broker.take_counts()["lost"], 1)

    def test_a_sender_is_not_told_before_send_has_returned(self) -> None:
        bench = Bench(keep_data=KeepData.OFFLINE, max_outstanding_frames=1)
        receiver = bench.receiver()
        sender = bench.client()
        sender.send(1)
        self.assertIsNone(sender.send(2, ttl_s=0.0))
        self.assertEqual(sender.unfinished, 1)
        bench.settle()
        self.assertEqual((sender.unfinished, receiver.take()), (0, [1]))

    def test_a_held_frame_is_stored_though_its_receiver_proves_other_things(self) -> None:
        bench = Bench()
        receiver = bench.receiver(prefetch=1)
        receiver.receive("d")
        bench.settle()
        sender = bench.client()
        sender.send(1)
        sender.send(2)
        for number in range(10):
            sender.send(number, channel="d")
            receiver.pong()
            bench.beats(2)
        self.assertEqual((sender.unfinished, bench.store.waiting("c")), (0, [1, 2]))

    def test_what_waits_for_room_grows_old(self) -> None:
        bench = Bench(limit=1)
        sender = bench.client()
        sender.send(1, 2, 3, ttl_s=5.0)
        bench.settle()
        receiver = bench.receiver(prefetch=1)
        self.assertEqual(receiver.take(), [1])
        bench.beats(60)
        receiver.ack(1)
        bench.settle()
        self.assertEqual((receiver.take(), bench.store.rows), ([], {}))

    def test_a_dead_letter_is_not_stuck_behind_what_is_held(self) -> None:
        bench = Bench(keep_data=KeepData.ALWAYS)
        undertaker = bench.receiver(prefetch=1, channel="dead.c")
        receiver = bench.receiver(prefetch=9)
        sender = bench.client()
        for number in range(3):
            sender.send(number, channel="dead.c")
        sender.send("bad")
        bench.settle()
        receiver.take()
        receiver.receiver.acks.reject(1, "rejected", 0.0)
        for number in range(1, 5):
            bench.settle()
            undertaker.ack(number)
        self.assertEqual([item for item in undertaker.got if isinstance(item, int)], [0, 1, 2])
        self.assertEqual(undertaker.got[3]["item"], "bad")

    def test_all_channels_together_hold_so_much(self) -> None:
        settings = Settings(
            listen=(),
            default_channel=ChannelSettings(keep_data=KeepData.ALWAYS),
            max_buffer_bytes=50_000,
        )
        store = SteppedStore()
        broker = Broker(settings, store, Clock().callLater, lambda: TIME)
        receiver, sender = Client(broker), Client(broker)
        receiver.full = True
        for number in range(100):
            receiver.receive(str(number))
            sender.send("x" * 500, channel=str(number))
            store.settle()
        self.assertLessEqual(broker.held_bytes, 50_000)
        self.assertEqual((len(store.rows), sender.unfinished), (100, 0))

    def test_long_names_have_dead_letters_too(self) -> None:
        names = ["x" * 100, "x" * 99 + "y", "short"]
        letters = [dead_letters_of(name) for name in names]
        self.assertEqual(len(set(letters)), 3)
        self.assertTrue(all(len(name) <= 100 and name.startswith("dead.") for name in letters))

    def test_who_talks_but_proves_nothing_is_ended(self) -> None:
        bench = Bench(max_outstanding_frames=10)
        silent, other = bench.receiver(), bench.receiver()
        silent.end = lambda code: setattr(silent, "ended", code)  # type: ignore[method-assign]
        sender = bench.client()
        for number in range(MOST_TIMES * 10 + 3):
            sender.send(number)
            silent.take()
            bench.beats(2)
            other.pong()
        self.assertEqual((silent.ended, other.ended), (CloseCode.TOO_SLOW, None))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 2), st.integers(0, 2)),
        st.tuples(st.just("send"), st.integers(0, 2), st.integers(0, 2)),
        st.tuples(st.just("join"), st.integers(0, 3), st.sampled_from([None, 1, 3])),
        st.tuples(st.just("die"), st.integers(0, 3)),
        st.tuples(st.just("leave"), st.integers(0, 3)),
        st.tuples(st.just("prove"), st.integers(0, 3)),
        st.tuples(st.just("reject"), st.integers(0, 3), st.sampled_from([0.0, 0.5])),
        st.tuples(st.just("store"), st.integers(1, 4)),
        st.tuples(st.just("time"), st.integers(1, 12)),
    ),
    max_size=80,
)


class Walk:
    """What a list of STEPS does to a broker."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.senders = [bench.client() for _ in range(3)]
        self.sent: list[list[int]] = []
        self.delayed: list[list[int]] = []
        self.present: dict[int, Client] = {}
        self.everybody: list[Client] = []

    def take(self, step: tuple[Any, ...]) -> None:
        getattr(self, "do_" + step[0])(*step[1:])

    def do_send(self, who: int, limit: int) -> None:
        self.sent.append([who, len(self.sent)])
        self.senders[who].send(self.sent[-1], limit=limit)

    def do_join(self, who: int, prefetch: int | None) -> None:
        if who not in self.present:
            self.present[who] = self.bench.client()
            self.everybody.append(self.present[who])
        self.present[who].receive("c", prefetch)

    def do_die(self, who: int) -> None:
        if who in self.present:
            self.present.pop(who).end()

    def do_leave(self, who: int) -> None:
        if who in self.present:
            self.present[who].leave()

    def do_prove(self, who: int) -> None:
        if who in self.present:
            client = self.present[who]
            client.pong()
            for number in list(client.numbers)[:1]:
                client.ack(number)

    def do_reject(self, who: int, delay_s: float) -> None:
        if who in self.present:
            client = self.present[who]
            client.take()
            for number in list(client.numbers)[:1]:
                if delay_s:
                    self.delayed += client.numbers[number]
                del client.numbers[number]
                client.receiver.acks.reject(number, "", delay_s)

    def do_store(self, count: int) -> None:
        self.bench.clock.advance(0)
        for _ in range(count):
            if self.bench.store.is_busy:
                self.bench.store.step()

    def do_time(self, beats: int) -> None:
        for _ in range(beats):
            self.bench.clock.advance(0.1)
            self.bench.broker.tick(self.bench.clock.seconds())

    def finish(self) -> Client:
        """Everybody dies, and a last receiver has what nobody has proved."""
        for who in list(self.present):
            self.do_die(who)
        last = self.bench.receiver()
        for _ in range(3 * len(self.sent) + 30):
            self.bench.beats(3)
            last.pong()
        self.bench.settle()
        return last


class PropertyTests(SynchronousTestCase):
    """Whoever proves, rejects, leaves or dies in whatever order: what was taken is proved by somebody."""

    @given(
        STEPS,
        st.sampled_from([KeepData.OFFLINE, KeepData.ALWAYS]),
        st.integers(1, 3),
        st.sampled_from([1, 2, 1_000]),
    )
    @examples(300)
    def test_nothing_is_lost(
        self, steps: list[tuple[Any, ...]], keep_data: KeepData, limit: int, most_frames: int
    ) -> None:
        bench = Bench(keep_data=keep_data, limit=limit, max_outstanding_frames=most_frames, max_deliveries=0)
        walk = Walk(bench)
        for step in steps:
            walk.take(step)
        last = walk.finish()
        proved = [item for client in walk.everybody for item in client.proved]
        for item in walk.sent:
            self.assertTrue(item in proved or item in last.got, f"{item} is lost")
        self.assertEqual(bench.store.rows, {})
        self.assertEqual([sender.unfinished for sender in walk.senders], [0, 0, 0])
        self.assertEqual(len({tuple(item) for item in last.got}), len(last.got), "twice at the last one")
        for who in range(3):
            in_place = [item for item in last.got if item not in walk.delayed]
            numbers = [number for by, number in in_place if by == who]
            self.assertEqual(numbers, sorted(numbers), "not in their old places")
        last.end()
        bench.settle()
        self.assertEqual(len(bench.broker.channels), 0)
