"""Tests for wsmb.channels and wsmb.broker: what goes to whom, and what waits behind what."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.support import RecordingPeer, SteppedStore
from wsmb import backlog, held
from wsmb.broker import Broker
from wsmb.deliveries import Done
from wsmb.errors import Code, StoreError
from wsmb.settings import ChannelSettings, KeepData, Settings

TIME = "2026-11-22T21:00:00.000Z"


class Sender(RecordingPeer):
    """A peer that is its own ledger and counts what is finished."""

    def __init__(self, broker: Broker, name: str = "sender") -> None:
        super().__init__(name)
        self.broker = broker
        self.open = 0
        self.errors: list[StoreError] = []
        self.done: list[tuple[int, int]] = []
        self.receiver = broker.receiver(self, name)
        self.open_pings: list[bytes] = []
        self.answers = True

    def begin(self, cost_bytes: int) -> Done:
        self.open += 1

        def done(error: StoreError | None, receivers: int = 0, stored: int = 0) -> None:
            self.open -= 1
            self.done.append((receivers, stored))
            if error is not None:
                self.errors.append(error)

        return done

    def send_frame(self, frame: bytes) -> None:
        if frame[0] == 0x89:
            self.open_pings.append(frame[2:])
        else:
            super().send_frame(frame)

    def answer_pings(self) -> bool:
        pings, self.open_pings = self.open_pings, []
        if self.answers:
            for payload in pings:
                self.receiver.pong(payload)
        return bool(pings)

    def send(self, channel: str, *items: object, limit: int | None = None) -> bytes:
        data = json.dumps(list(items)).encode()
        payload = b'{"command":"send-message","channel":"%s","data":%s }' % (channel.encode(), data)
        self.broker.send(channel, payload, msgspec.Raw(data), limit, self, self)
        return payload


class ProvingStore(SteppedStore):
    """A store that settles together with the receivers' pongs."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench = bench

    def settle(self) -> None:
        super().settle()
        while self.bench.prove() or self.is_busy:
            super().settle()


class Bench:
    """A broker on a stepped store and a clock, with receivers that answer pings."""

    def __init__(self, **channel: Any) -> None:
        self.clock = Clock()
        self.store = ProvingStore(self)
        self.peers: list[Sender] = []
        settings = Settings(listen=(), default_channel=ChannelSettings(**channel))
        self.broker = Broker(settings, self.store, self.clock.callLater, lambda: TIME)

    def sender(self, name: str = "sender") -> Sender:
        self.peers.append(Sender(self.broker, name))
        return self.peers[-1]

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.broker.tick(self.broker.pulse.unix_time_s + 0.1)
        self.clock.advance(0)

    def prove(self) -> bool:
        """All receivers answer all pings. Whether there was one."""
        self.tick(3)
        answered = [peer.answer_pings() for peer in self.peers]
        return any(answered)

    def receiver(self, channel: str = "c") -> Sender:
        peer = self.sender("receiver")
        self.broker.channels.receive(channel, peer.receiver)
        return peer


class RelayTests(SynchronousTestCase):
    def test_byte_for_byte_to_every_receiver(self) -> None:
        bench = Bench()
        receivers = [bench.receiver() for _ in range(3)]
        payload = bench.sender().send("c", {"a": 1})
        self.assertEqual([peer.payloads() for peer in receivers], [[payload]] * 3)

    def test_only_to_its_channel(self) -> None:
        bench = Bench()
        other = bench.receiver("d")
        bench.sender().send("c", 1)
        self.assertEqual(other.payloads(), [])

    def test_channels_compare_exactly(self) -> None:
        bench = Bench()
        peers = {name: bench.receiver(name) for name in ("alice", "Alice", "alice ", "álice")}
        bench.sender().send("alice", 1)
        self.assertEqual([name for name, peer in peers.items() if peer.items()], ["alice"])

    def test_limit_of_frame_before_limit_of_channel(self) -> None:
        bench = Bench(number_of_receiver=1)
        receivers = [bench.receiver() for _ in range(3)]
        bench.sender().send("c", 1)
        self.assertEqual(sum(len(peer.payloads()) for peer in receivers), 1)
        bench.sender().send("c", 1, limit=2)
        self.assertEqual(sum(len(peer.payloads()) for peer in receivers), 2)
        bench.sender().send("c", 1, limit=0)
        self.assertEqual(sum(len(peer.payloads()) for peer in receivers), 3)

    def test_a_sender_does_not_get_its_own(self) -> None:
        bench = Bench()
        both, other = bench.receiver(), bench.receiver()
        both.send("c", 1)
        self.assertEqual((both.payloads(), len(other.payloads())), ([], 1))

    def test_one_order_over_all_channels(self) -> None:
        bench = Bench()
        peers = [bench.receiver("a") for _ in range(3)]
        for peer in peers:
            bench.broker.channels.receive("b", peer.receiver)
        sender = bench.sender()
        sent = [sender.send(name, number) for number, name in enumerate("aaabbabaabb" * 3)]
        sent += [sender.send("a", "one", limit=1)]
        sent += [sender.send("a", number) for number in range(3)]
        got = [peer.payloads() for peer in peers]
        self.assertEqual(got[0], sent)
        self.assertEqual(got[1:], [[payload for payload in sent if b"one" not in payload]] * 2)

    def test_who_comes_and_goes_within_a_turn(self) -> None:
        bench = Bench()
        first, second = bench.receiver(), bench.receiver()
        sender = bench.sender()
        sender.send("c", 1)
        sender.send("c", 2)
        third = bench.receiver()
        sender.send("c", 3)
        sender.send("c", 4)
        bench.broker.channels.leave("c", second)
        sender.send("c", 5)
        self.assertEqual(first.items(), [1, 2, 3, 4, 5])
        self.assertEqual((second.items(), third.items()), ([1, 2, 3, 4], [3, 4, 5]))

    def test_without_receiver_it_is_gone(self) -> None:
        bench = Bench()
        sender = bench.sender()
        sender.send("c", 1)
        self.assertEqual((sender.open, bench.store.rows), (0, {}))
        self.assertEqual(bench.receiver().payloads(), [])

    def test_leaving_is_idempotent(self) -> None:
        bench = Bench()
        peer, other = bench.receiver(), bench.receiver()
        for _ in range(2):
            bench.broker.channels.leave("c", peer)
        bench.sender().send("c", 1)
        self.assertEqual((peer.payloads(), other.items()), ([], [1]))

    def test_no_trace_of_a_channel_that_nobody_receives_on(self) -> None:
        bench = Bench(keep_data=KeepData.OFFLINE)
        peer = bench.receiver()
        bench.broker.channels.leave("c", peer)
        for number in range(10):
            bench.sender().send(str(number), 1)
        self.assertEqual(len(bench.broker.channels), 0)


class OfflineTests(SynchronousTestCase):
    """keep_data = true."""

    def setUp(self) -> None:
        self.bench = Bench(keep_data=KeepData.OFFLINE)
        self.store = self.bench.store
        self.sender = self.bench.sender()

    def test_waits_and_is_delivered_in_order(self) -> None:
        self.sender.send("c", 1, 2)
        self.sender.send("c", 3)
        self.assertEqual(self.sender.open, 2)
        self.store.settle()
        self.assertEqual((self.sender.open, self.store.waiting("c")), (0, [1, 2, 3]))
        peer = self.bench.receiver()
        self.store.settle()
        self.assertEqual(peer.payloads(), [b'{"command":"send-message","channel":"c","data":[1,2,3]}'])
        self.assertEqual(self.store.waiting("c"), [])

    def test_not_waiting_when_there_is_a_receiver(self) -> None:
        peer = self.bench.receiver()
        self.store.settle()
        payload = self.sender.send("c", 1)
        self.assertEqual((peer.payloads(), self.sender.open), ([payload], 0))
        self.store.settle()
        self.assertEqual(self.store.rows, {})

    def test_new_frames_go_behind_what_waits(self) -> None:
        self.sender.send("c", 1)
        peer = self.bench.receiver()
        payload = self.sender.send("c", 2)
        self.assertEqual(peer.payloads(), [])
        self.store.settle()
        self.assertEqual(peer.payloads(), [b'{"command":"send-message","channel":"c","data":[1]}', payload])
        self.assertEqual((self.sender.open, self.store.rows), (0, {}))

    def test_frames_that_go_behind_keep_their_limit(self) -> None:
        self.sender.send("c", 1)
        peers = [self.bench.receiver() for _ in range(4)]
        for limit in (0, 1, 2):
            self.sender.send("c", f"limit {limit}", limit=limit)
        self.store.settle()
        got = [item for peer in peers for item in peer.items()]
        self.assertEqual(
            {item: got.count(item) for item in got}, {1: 1, "limit 0": 4, "limit 1": 1, "limit 2": 2}
        )

    def test_batches_by_count(self) -> None:
        bench = Bench(keep_data=KeepData.OFFLINE, limit=2)
        bench.sender().send("c", *range(5))
        peer = bench.receiver()
        bench.store.settle()
        self.assertEqual([json.loads(frame)["data"] for frame in peer.payloads()], [[0, 1], [2, 3], [4]])

    def test_batches_by_bytes_and_one_large_item_alone(self) -> None:
        bench = Bench(keep_data=KeepData.OFFLINE, limit=100)
        half, large = "h" * 4_000, "l" * 20_000
        bench.sender().send("c", half, half, half, large, half)
        peer = bench.receiver()
        bench.store.settle()
        sizes = [len(json.loads(frame)["data"]) for frame in peer.payloads()]
        self.assertEqual(sizes, [2, 1, 1, 1])

    def test_delay_between_batches_while_the_rest_goes_on(self) -> None:
        bench = Bench(keep_data=KeepData.OFFLINE, limit=1, delay_send_s=0.03)
        bench.sender().send("c", 1, 2)
        peer, other = bench.receiver(), bench.receiver("d")
        bench.store.settle()
        self.assertEqual(peer.items(), [1])
        bench.sender().send("d", "elsewhere")
        self.assertEqual(other.items(), ["elsewhere"])
        bench.clock.advance(0.029)
        bench.store.settle()
        self.assertEqual(peer.items(), [])
        bench.clock.advance(0.002)
        bench.store.settle()
        self.assertEqual(peer.items(), [2])

    def test_a_full_receiver_leaves_items_in_the_store(self) -> None:
        self.sender.send("c", 1)
        peer = self.bench.receiver()
        peer.full = True
        self.store.settle()
        self.assertEqual((peer.items(), self.store.waiting("c")), ([], [1]))
        peer.full = False
        self.bench.clock.advance(1)
        self.store.settle()
        self.assertEqual(peer.items(), [1])

    def test_pages_not_everything_at_once(self) -> None:
        self.sender.send("c", *range(backlog.PAGE_ITEMS + 50))
        peer = self.bench.receiver()
        self.store.step(2)
        self.assertEqual(peer.items(), list(range(backlog.PAGE_ITEMS)))
        self.store.settle()
        self.assertEqual(peer.items(), list(range(backlog.PAGE_ITEMS, backlog.PAGE_ITEMS + 50)))

    def test_a_row_that_another_program_adds_late_with_a_small_id(self) -> None:
        self.store.last_id = 10
        self.sender.send("c", 1)
        peer = self.bench.receiver()
        self.store.step(2)
        self.store.insert(5, "c", b'"late"')
        self.store.settle()
        self.assertEqual(peer.items(), [1, "late"])

    def test_receiver_leaves_while_the_page_is_read(self) -> None:
        self.sender.send("c", 1)
        peer = self.bench.receiver()
        self.bench.broker.channels.leave("c", peer)
        self.store.settle()
        self.assertEqual((peer.items(), self.store.waiting("c")), ([], [1]))
        again = self.bench.receiver()
        self.store.settle()
        self.assertEqual(again.items(), [1])

    def test_receiver_leaves_between_two_batches(self) -> None:
        bench = Bench(keep_data=KeepData.OFFLINE, limit=1, delay_send_s=1)
        bench.sender().send("c", 1, 2)
        first = bench.receiver()
        bench.store.settle()
        bench.broker.channels.leave("c", first)
        second = bench.receiver()
        bench.clock.pump([1, 1, 1])
        bench.store.settle()
        bench.clock.pump([1, 1, 1])
        bench.store.settle()
        self.assertEqual((first.items(), second.items()), ([1], [2]))

    def test_held_frames_go_to_the_store_when_the_last_receiver_leaves(self) -> None:
        peer = self.bench.receiver()
        self.sender.send("c", 1)
        self.sender.send("c", 2)
        self.bench.broker.channels.leave("c", peer)
        self.sender.send("c", 3)
        self.store.settle()
        self.assertEqual((self.store.waiting("c"), self.sender.open), ([1, 2, 3], 0))

    def test_held_frames_go_to_the_store_when_memory_is_full(self) -> None:
        peer = self.bench.receiver()
        text = "x" * (held.HELD_BYTES // 4)
        for number in range(6):
            self.sender.send("c", f"{number}{text}")
        self.store.step(7)  # the page that was asked for first, and six appends
        self.assertEqual(len(self.store.waiting("c")), 6)
        self.store.settle()
        self.assertEqual([item[0] for item in peer.items()], list("012345"))
        payload = self.sender.send("c", 7)
        self.assertEqual(peer.payloads(), [payload], "live again")

    def test_held_frames_go_to_the_store_when_the_broker_stops(self) -> None:
        peer = self.bench.receiver()
        self.sender.send("c", 1)
        self.bench.broker.close()
        self.store.settle()
        self.assertEqual((peer.items(), self.store.waiting("c"), self.sender.open), ([], [1], 0))

    def test_own_items_wait_for_others(self) -> None:
        both = self.bench.receiver()
        self.store.settle()
        both.send("c", "mine")
        self.store.settle()
        self.assertEqual((both.items(), self.store.waiting("c")), ([], ["mine"]))
        other = self.bench.receiver()
        self.store.settle()
        self.assertEqual((both.items(), other.items()), ([], ["mine"]))
        both.send("c", "again")
        self.assertEqual((both.items(), other.items()), ([], ["again"]))

    def test_own_items_that_wait_hold_up_nobody_else(self) -> None:
        both = self.bench.receiver()
        self.store.settle()
        both.send("c", "mine")
        held = self.sender.send("c", "held")
        self.store.settle()
        live = self.sender.send("c", "live")
        self.assertEqual((both.payloads(), self.sender.open), ([held, live], 0))
        other = self.bench.receiver()
        self.sender.send("c", "new")
        self.store.settle()
        self.assertEqual((both.items(), other.items()), (["new"], ["mine", "new"]))

    def test_who_sends_while_he_gets_what_waited_goes_on_getting_it(self) -> None:
        bench = Bench(keep_data=KeepData.OFFLINE, limit=1, delay_send_s=1)
        bench.sender().send("c", 1, 2, 3)
        both = bench.receiver()
        bench.store.settle()
        both.send("c", "mine")
        for _ in range(6):
            bench.store.settle()
            bench.clock.advance(1)
        self.assertEqual((both.items(), bench.store.waiting("c")), ([1, 2, 3], ["mine"]))

    def test_what_lies_behind_own_items_is_not_held_up_by_them(self) -> None:
        bench = Bench(keep_data=KeepData.OFFLINE, limit=1, delay_send_s=1)
        bench.sender().send("c", "old")
        both = bench.receiver()
        bench.store.settle()
        both.send("c", "mine")
        others = bench.sender()
        others.send("c", "behind")
        for _ in range(6):
            bench.store.settle()
            bench.clock.advance(1)
        others.send("c", "live")
        self.assertEqual(both.items(), ["old", "behind", "live"])
        self.assertEqual(bench.store.waiting("c"), ["mine"])

    def test_own_items_among_others_on_one_page(self) -> None:
        bench = Bench(keep_data=KeepData.OFFLINE, delay_send_s=1)
        others = bench.sender()
        others.send("c", "old")
        both = bench.receiver()
        bench.store.settle()
        for sender, item in ((others, 1), (both, "mine"), (others, 2), (both, "mine too"), (others, 3)):
            sender.send("c", item)
        for _ in range(6):
            bench.store.settle()
            bench.clock.advance(1)
        self.assertEqual(both.items(), ["old", 1, 2, 3])
        self.assertEqual(bench.store.waiting("c"), ["mine", "mine too"])

    def test_somebody_joins_while_a_page_behind_own_items_is_read(self) -> None:
        both = self.bench.receiver()
        self.store.settle()
        both.send("c", 1)
        self.store.settle()
        both.send("c", 2)
        self.store.step()
        other = self.bench.receiver()
        self.store.settle()
        self.assertEqual((both.items(), other.items()), ([], [1, 2]))

    def test_a_receipt_does_not_wait_for_a_long_delay(self) -> None:
        bench = Bench(keep_data=KeepData.OFFLINE, limit=1, delay_send_s=1)
        sender = bench.sender()
        sender.send("c", 1, 2, 3)
        peer = bench.receiver()
        sender.send("c", 4)
        bench.store.settle()
        sender.send("c", 5)
        bench.store.settle()
        self.assertEqual((sender.open, bench.store.waiting("c")), (0, [2, 3, 4, 5]))
        for _ in range(6):
            bench.clock.advance(1)
            bench.store.settle()
        self.assertEqual(peer.items(), [1, 2, 3, 4, 5])

    def test_a_receipt_does_not_wait_for_a_receiver_that_does_not_read(self) -> None:
        self.sender.send("c", 1)
        peer = self.bench.receiver()
        peer.full = True
        self.sender.send("c", 2)
        self.store.settle()
        self.assertEqual((self.sender.open, self.store.waiting("c")), (0, [1, 2]))

    def test_live_frames_for_a_full_receiver_wait_in_the_store(self) -> None:
        peer = self.bench.receiver()
        self.store.settle()
        peer.full = True
        self.sender.send("c", 1)
        self.store.settle()
        self.assertEqual((peer.items(), self.store.waiting("c"), self.sender.open), ([], [1], 0))
        peer.full = False
        self.bench.tick(10)
        self.store.settle()
        self.assertEqual(peer.items(), [1])

    def test_one_full_receiver_of_two_does_not_make_frames_wait(self) -> None:
        full, other = self.bench.receiver(), self.bench.receiver()
        self.store.settle()
        full.full = True
        self.sender.send("c", 1)
        self.assertEqual((other.items(), self.sender.open), ([1], 0))

    def test_a_page_that_comes_while_the_broker_stops_is_not_handed_out(self) -> None:
        """The store takes no removals any more: it would come a second time."""
        self.sender.send("c", 1)
        self.store.settle()
        peer = self.bench.receiver()
        self.bench.broker.close()
        self.store.settle()
        self.assertEqual((peer.items(), self.store.waiting("c")), ([], [1]))

    def test_a_page_that_cannot_be_read_is_asked_for_again(self) -> None:
        self.sender.send("c", 1)
        self.store.settle()
        self.store.failing = StoreError(Code.UNAVAILABLE, "no")
        peer = self.bench.receiver()
        self.store.settle()
        self.store.failing = None
        self.bench.clock.advance(1)
        self.store.settle()
        self.assertEqual(peer.items(), [1])

    def test_refused_by_the_store(self) -> None:
        self.store.failing = StoreError(Code.TOO_LARGE, "too large")
        self.sender.send("c", 1)
        self.store.settle()
        self.assertEqual((self.sender.errors, self.sender.open), ([self.store.failing], 0))

    def test_an_empty_array(self) -> None:
        self.sender.send("c")
        self.store.settle()
        self.assertEqual((self.sender.open, self.store.rows), (0, {}))


class AlwaysTests(SynchronousTestCase):
    """keep_data = always."""

    def setUp(self) -> None:
        self.bench = Bench(keep_data=KeepData.ALWAYS)
        self.store = self.bench.store
        self.sender = self.bench.sender()

    def live_receivers(self, count: int) -> list[Sender]:
        peers = [self.bench.receiver() for _ in range(count)]
        self.store.settle()
        return peers

    def test_committed_then_delivered_then_removed(self) -> None:
        (peer,) = self.live_receivers(1)
        payload = self.sender.send("c", 1, 2)
        self.assertEqual((peer.payloads(), self.sender.open), ([], 1))
        self.store.step()
        self.assertEqual((peer.payloads(), self.sender.open), ([payload], 0))
        self.assertEqual(self.store.waiting("c"), [1, 2])
        self.store.settle()
        self.assertEqual(self.store.waiting("c"), [])

    def test_each_with_its_limit(self) -> None:
        peers = self.live_receivers(3)
        for limit in (0, 1, 2):
            self.sender.send("c", limit, limit=limit)
        self.store.settle()
        got = [item for peer in peers for item in peer.items()]
        self.assertEqual([got.count(limit) for limit in (0, 1, 2)], [3, 1, 2])

    def test_order_of_backlog_and_new_frames_and_none_twice(self) -> None:
        self.sender.send("c", 1)
        self.store.settle()
        peer = self.bench.receiver()
        self.sender.send("c", 2)
        self.sender.send("c", 3)
        self.store.settle()
        self.assertEqual((peer.items(), self.store.rows), ([1, 2, 3], {}))

    def test_receiver_leaves_before_the_commit(self) -> None:
        (peer,) = self.live_receivers(1)
        self.sender.send("c", 1)
        self.bench.broker.channels.leave("c", peer)
        self.store.settle()
        self.assertEqual((peer.items(), self.sender.open, self.store.waiting("c")), ([], 0, [1]))
        again = self.bench.receiver()
        self.store.settle()
        self.assertEqual(again.items(), [1])

    def test_all_but_the_sender_leave_before_the_commit(self) -> None:
        both, other = self.live_receivers(2)
        both.send("c", "mine")
        self.bench.broker.channels.leave("c", other)
        self.store.settle()
        self.assertEqual((both.items(), other.items(), self.store.waiting("c")), ([], [], ["mine"]))
        late = self.bench.receiver()
        self.store.settle()
        self.assertEqual((both.items(), late.items(), self.store.rows), ([], ["mine"], {}))

    def test_own_items_that_wait_hold_up_nobody_else(self) -> None:
        (both,) = self.live_receivers(1)
        both.send("c", "mine")
        self.store.settle()
        payload = self.sender.send("c", "live")
        self.store.settle()
        self.assertEqual((both.payloads(), self.store.waiting("c")), ([payload], ["mine"]))

    def test_full_memory_leaves_it_to_the_store(self) -> None:
        peer, other = self.live_receivers(2)
        text = "x" * (held.HELD_BYTES // 4)
        for number in range(6):
            self.sender.send("c", f"{number}{text}", limit=1)
        self.store.settle()
        got = sorted(item[0] for item in peer.items() + other.items())
        self.assertEqual((got, self.store.rows, self.sender.open), (list("012345"), {}, 0))
        self.sender.send("c", "to all again")
        self.store.settle()
        self.assertEqual((peer.items(), other.items()), (["to all again"], ["to all again"]))

    def test_nobody_gets_back_what_was_left_to_the_store(self) -> None:
        for committed in (False, True):
            self.setUp()
            both, other = self.live_receivers(2)
            text = "x" * (held.HELD_BYTES // 4)
            for number in range(3):
                both.send("c", f"{number}{text}")
            if committed:
                self.store.step(3)
            for number in range(3, 6):
                both.send("c", f"{number}{text}")
            self.store.settle()
            self.assertEqual((both.items(), [item[0] for item in other.items()]), ([], list("012345")))

    def test_nobody_gets_back_what_was_left_to_the_store_while_something_waited(self) -> None:
        bench = Bench(keep_data=KeepData.ALWAYS, limit=1, delay_send_s=1)
        bench.sender().send("c", 1, 2, 3)
        both, other = bench.receiver(), bench.receiver()
        bench.store.settle()
        text = "x" * (held.HELD_BYTES // 4)
        for number in range(6):
            both.send("c", f"{number}{text}")
            bench.store.settle()
        for _ in range(20):
            bench.clock.advance(1)
            bench.store.settle()
        self.assertEqual(
            sorted(both.items() + [item for item in other.items() if item in (1, 2, 3)]), [1, 2, 3]
        )
        self.assertEqual(bench.store.rows, {})

    def test_refused_by_the_store_is_not_delivered(self) -> None:
        (peer,) = self.live_receivers(1)
        self.store.failing = StoreError(Code.TOO_LARGE, "too large")
        self.sender.send("c", 1)
        self.store.settle()
        self.store.failing = None
        self.sender.send("c", 2)
        self.store.settle()
        self.assertEqual((peer.items(), len(self.sender.errors)), ([2], 1))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 2), st.integers(0, 2)),
        st.tuples(st.just("chat"), st.integers(0, 3), st.integers(0, 2)),
        st.tuples(st.just("join"), st.integers(0, 3)),
        st.tuples(st.just("leave"), st.integers(0, 3)),
        st.tuples(st.just("full"), st.integers(0, 3)),
        st.tuples(st.just("store"), st.integers(1, 3)),
        st.tuples(
            st.just("time"),
        ),
    ),
    max_size=60,
)


class Walk:
    """What a list of STEPS does to a broker, with a book of what was sent."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.senders = [bench.sender() for _ in range(3)]
        self.present: dict[int, Sender] = {}
        self.everybody: list[Sender] = []
        self.limits: dict[tuple[int, int], int] = {}
        self.by_receiver: dict[tuple[int, int], Sender] = {}

    def take(self, step: tuple[Any, ...]) -> None:
        getattr(self, "do_" + step[0])(*step[1:])

    def do_send(self, who: int, limit: int) -> None:
        key = (who, len(self.limits))
        self.limits[key] = limit
        self.senders[who].send("c", list(key), limit=limit)

    def do_chat(self, who: int, limit: int) -> None:
        """A receiver sends."""
        if who in self.present:
            key = (10 + self.everybody.index(self.present[who]), len(self.limits))
            self.limits[key] = limit
            self.by_receiver[key] = self.present[who]
            self.present[who].send("c", list(key), limit=limit)

    def do_join(self, who: int) -> None:
        if who not in self.present:
            self.everybody.append(self.bench.receiver())
            self.present[who] = self.everybody[-1]

    def do_leave(self, who: int) -> None:
        if who in self.present:
            self.bench.broker.channels.leave("c", self.present.pop(who))

    def do_full(self, who: int) -> None:
        if who in self.present:
            self.present[who].full = not self.present[who].full

    def do_store(self, count: int) -> None:
        for _ in range(count):
            if self.bench.store.is_busy:
                self.bench.store.step()

    def do_time(self) -> None:
        self.bench.clock.advance(0.02)

    def finish(self) -> list[list[tuple[int, int]]]:
        """Let a last receiver have what is left; what each receiver got."""
        for peer in self.present.values():
            peer.full = False
        self.do_join(-1)
        for _ in range(4 * len(self.limits) + 10):
            self.bench.store.settle()
            self.bench.clock.advance(1)
        return [[(item[0], item[1]) for item in peer.items()] for peer in self.everybody]


class PropertyTests(SynchronousTestCase):
    """Whatever happens in whatever order: nothing lost, in order, and as many receivers as asked for."""

    @given(STEPS, st.sampled_from([KeepData.OFFLINE, KeepData.ALWAYS]), st.integers(1, 3), st.booleans())
    @examples(300)
    def test_nothing_lost_nothing_out_of_order(
        self, steps: list[tuple[Any, ...]], keep_data: KeepData, limit: int, delay: bool
    ) -> None:
        bench = Bench(keep_data=keep_data, limit=limit, delay_send_s=0.01 if delay else 0)
        walk = Walk(bench)
        for step in steps:
            walk.take(step)
        got = walk.finish()
        for key, how_many in walk.limits.items():
            count = sum(items.count(key) for items in got)
            self.assertGreaterEqual(count, 1, f"{key} is lost")
            self.assertLessEqual(count, how_many or count)
        for items in got:
            self.assertEqual(len(set(items)), len(items), "one receiver got something twice")
            for who in {sender for sender, _ in items}:
                numbers = [number for sender, number in items if sender == who]
                self.assertEqual(numbers, sorted(numbers), "out of order")
        for key, sender in walk.by_receiver.items():
            self.assertNotIn(key, got[walk.everybody.index(sender)], "one's own")
        self.assertEqual(bench.store.rows, {})
        self.assertEqual({sender.open for sender in [*walk.senders, *walk.everybody]}, {0})
