"""Tests for settings of a channel that change while it is in use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.test_proof import STEPS, Bench, Client, Walk
from wsmb.settings import ChannelSettings, KeepData, ReceiverChoice, Settings

NEVER, OFFLINE, ALWAYS = KeepData.NEVER, KeepData.OFFLINE, KeepData.ALWAYS


class ChangingBench(Bench):
    """A Bench whose settings can be changed."""

    def __init__(self, **channel: Any) -> None:
        super().__init__(**channel)
        self.settings = Settings(
            listen=(), default_channel=ChannelSettings(**{"keep_data": OFFLINE, **channel})
        )

    def change(self, **channel: Any) -> None:
        self.settings = replace(
            self.settings, default_channel=replace(self.settings.default_channel, **channel)
        )
        self.broker.use_settings(self.settings)

    def prove_all(self, *receivers: Client) -> None:
        self.beats(3)
        for receiver in receivers:
            while receiver.pong():
                pass
        self.settle()


class KeepDataTests(SynchronousTestCase):
    def test_from_nothing_to_kept_it_looks_into_the_store(self) -> None:
        bench = ChangingBench(keep_data=NEVER)
        bench.store.insert(7, "c", b'"old"')
        receiver = bench.receiver()
        self.assertEqual(receiver.take(), [])
        bench.change(keep_data=OFFLINE)
        bench.settle()
        self.assertEqual(receiver.take(), ["old"])
        bench.prove_all(receiver)
        self.assertEqual(bench.store.rows, {})

    def test_from_nothing_to_kept_what_is_sent_then_is_kept(self) -> None:
        for keep_data in (OFFLINE, ALWAYS):
            bench = ChangingBench(keep_data=NEVER)
            receiver, sender = bench.receiver(), bench.client()
            sender.send("before")
            bench.change(keep_data=keep_data)
            sender.send("after")
            bench.settle()
            self.assertEqual(receiver.take(), ["before", "after"])
            receiver.end()
            bench.settle()
            self.assertEqual(bench.store.waiting("c"), ["after"])

    def test_from_nothing_to_kept_where_nobody_receives(self) -> None:
        bench = ChangingBench(keep_data=NEVER)
        self.assertEqual(bench.client().send("lost"), 0)
        bench.change(keep_data=OFFLINE)
        bench.client().send("kept")
        bench.settle()
        self.assertEqual(bench.store.waiting("c"), ["kept"])

    def test_from_nothing_to_kept_what_is_not_acknowledged_yet_is_kept_too(self) -> None:
        bench = ChangingBench(keep_data=NEVER)
        receiver = bench.receiver(prefetch=1)
        bench.client().send("one")
        bench.client().send("two")
        receiver.take()
        bench.change(keep_data=OFFLINE)
        receiver.end()
        bench.settle()
        self.assertEqual(bench.store.waiting("c"), ["one", "two"])

    def test_from_nothing_to_kept_what_waits_for_its_delay_is_kept_too(self) -> None:
        bench = ChangingBench(keep_data=NEVER)
        receiver = bench.receiver(prefetch=1)
        bench.client().send("one")
        receiver.take()
        receiver.receiver.acks.reject(1, "", 0.5)
        bench.settle()
        receiver.end()
        bench.change(keep_data=OFFLINE)
        bench.beats(10)
        self.assertEqual(bench.store.waiting("c"), ["one"])

    def test_to_always_what_is_outstanding_is_stored(self) -> None:
        bench = ChangingBench(keep_data=OFFLINE)
        receiver, sender = bench.receiver(), bench.client()
        sender.send("one")
        bench.settle()
        self.assertEqual(bench.store.waiting("c"), [])
        bench.change(keep_data=ALWAYS)
        sender.send("two")
        self.assertEqual(receiver.take(), ["one"])
        bench.settle()
        self.assertEqual((receiver.take(), bench.store.waiting("c")), (["two"], ["one", "two"]))
        bench.prove_all(receiver)
        self.assertEqual(bench.store.rows, {})

    def test_to_always_what_is_held_is_stored_at_once(self) -> None:
        bench = ChangingBench(keep_data=OFFLINE)
        receiver, sender = bench.receiver(), bench.client()
        receiver.full = True
        sender.send("one")
        bench.change(keep_data=ALWAYS)
        bench.settle()
        self.assertEqual((bench.store.waiting("c"), sender.unfinished), (["one"], 0))

    def test_from_always_to_offline_nothing_is_stored_that_has_a_receiver(self) -> None:
        bench = ChangingBench(keep_data=ALWAYS)
        receiver, sender = bench.receiver(), bench.client()
        sender.send("one")
        bench.change(keep_data=OFFLINE)
        bench.settle()
        sender.send("two")
        self.assertEqual(receiver.take(), ["one", "two"])
        self.assertEqual(bench.store.waiting("c"), ["one"])

    def test_to_nothing_what_waits_is_delivered_first(self) -> None:
        bench = ChangingBench(limit=1, delay_send_s=1.0)
        for number in range(3):
            bench.client().send(number)
        bench.settle()
        receiver = bench.receiver()
        self.assertEqual(receiver.take(), [0])
        bench.change(keep_data=NEVER)
        bench.client().send("behind")
        for _ in range(4):
            bench.beats(11)
            bench.prove_all(receiver)
        self.assertEqual(receiver.got, [0, 1, 2, "behind"])
        self.assertEqual(bench.store.rows, {})

    def test_to_nothing_what_is_not_proved_goes_to_another_or_waits(self) -> None:
        bench = ChangingBench()
        first, second = bench.receiver(), bench.receiver()
        bench.client().send("one", limit=1)
        bench.change(keep_data=NEVER)
        self.assertEqual((first.take(), second.take()), (["one"], []))
        first.end()
        bench.settle()
        self.assertEqual(second.take(), ["one"])
        second.end()
        bench.settle()
        self.assertEqual((bench.store.waiting("c"), len(bench.broker.channels)), (["one"], 0))

    def test_to_nothing_what_is_sent_then_is_only_relayed(self) -> None:
        bench = ChangingBench()
        receiver, sender = bench.receiver(), bench.client()
        sender.send("one")
        bench.change(keep_data=NEVER)
        sender.send("two")
        bench.prove_all(receiver)
        pings = len(receiver.open_pings)
        sender.send("three")
        bench.beats(5)
        self.assertEqual((receiver.got, pings), (["one", "two"], 0))
        self.assertEqual((receiver.take(), receiver.open_pings), (["three"], []))
        receiver.end()
        bench.settle()
        self.assertEqual(bench.store.rows, {})

    def test_to_nothing_what_is_outstanding_outlives_what_is_relayed(self) -> None:
        bench = ChangingBench()
        receiver, sender = bench.receiver(), bench.client()
        sender.send("kept")
        bench.change(keep_data=NEVER)
        sender.send("relayed")
        receiver.end()
        bench.settle()
        self.assertEqual(bench.store.waiting("c"), ["kept"])

    def test_to_nothing_and_back_what_others_have_stored_meanwhile_is_found(self) -> None:
        bench = ChangingBench()
        receiver, sender = bench.receiver(), bench.client()
        bench.change(keep_data=NEVER)
        sender.send("relayed")
        bench.store.insert(7, "c", b'"old"')
        bench.change(keep_data=OFFLINE)
        bench.settle()
        self.assertEqual(receiver.take(), ["relayed", "old"])

    def test_to_nothing_and_back_while_something_waits(self) -> None:
        bench = ChangingBench()
        receiver, sender = bench.receiver(), bench.client()
        receiver.full = True
        sender.send("one")
        bench.change(keep_data=NEVER)
        bench.change(keep_data=OFFLINE)
        receiver.end()
        bench.settle()
        self.assertEqual((bench.store.waiting("c"), sender.unfinished), (["one"], 0))

    def test_to_nothing_what_fails_goes_to_who_comes_in_the_same_moment_before_what_waits(self) -> None:
        bench = ChangingBench(limit=1)
        bench.client().send("one")
        bench.client().send("two")
        bench.settle()
        first = bench.receiver(prefetch=1)
        bench.change(keep_data=NEVER)
        self.assertEqual(first.take(), ["one"])
        first.leave()
        first.receiver.acks.reject(1, "", 0.0)
        second = bench.client()
        second.receive("c")
        bench.settle()
        self.assertEqual(second.take(), ["one", "two"])

    def test_who_comes_in_the_moment_in_which_the_last_thing_is_settled_can_leave(self) -> None:
        bench = ChangingBench(keep_data=NEVER)
        first = bench.receiver(prefetch=1)
        bench.client().send("one")
        first.take()
        first.leave()
        first.receiver.acks.reject(1, "", 0.0)
        second = bench.client()
        second.receive("c")
        second.end()
        self.assertEqual(len(bench.broker.channels), 0)


class OtherSettingsTests(SynchronousTestCase):
    def test_number_of_receiver_and_who_they_are(self) -> None:
        bench = ChangingBench(keep_data=NEVER)
        first, second = bench.receiver(), bench.receiver()
        bench.change(number_of_receiver=1, receiver_choice=ReceiverChoice.OLDEST)
        for number in range(4):
            bench.client().send(number)
        self.assertEqual((first.take(), second.take()), ([0, 1, 2, 3], []))
        bench.change(receiver_choice=ReceiverChoice.ROUND_ROBIN)
        for number in range(4):
            bench.client().send(number)
        self.assertEqual(len(second.take()), 2)

    def test_ack_timeout_counts_for_what_is_sent_then(self) -> None:
        bench = ChangingBench(ack_timeout_s=600.0)
        receiver = bench.receiver(prefetch=10)
        bench.change(ack_timeout_s=1.0)
        bench.client().send("one")
        bench.beats(25)
        self.assertEqual(receiver.take(), ["one", "one"])

    def test_a_shorter_delay_is_waited_for_at_once(self) -> None:
        bench = ChangingBench(limit=1, delay_send_s=3600.0)
        for number in range(2):
            bench.client().send(number)
        bench.settle()
        receiver = bench.receiver()
        bench.change(delay_send_s=0.0)
        bench.settle()
        self.assertEqual(receiver.take(), [0, 1])

    def test_what_is_expired_and_who_is_dead(self) -> None:
        bench = ChangingBench(max_deliveries=0)
        receiver = bench.receiver(prefetch=1)
        bench.client().send("one")
        bench.change(max_deliveries=1, dead_letter_channel="failed", expire_field="until")
        receiver.take()
        receiver.receiver.acks.reject(1, "", 0.0)
        bench.settle()
        self.assertEqual(len(bench.store.waiting("failed")), 1)
        bench.beats(20)
        self.assertEqual(bench.client().send({"until": 1}), 0)

    def test_how_much_may_be_held_in_all(self) -> None:
        bench = ChangingBench()
        receiver = bench.receiver()
        receiver.full = True
        bench.settings = replace(bench.settings, max_buffer_bytes=1_000)
        bench.broker.use_settings(bench.settings)
        for _ in range(3):
            bench.client().send("x" * 400)
        self.assertLessEqual(bench.broker.held_bytes, 1_000)


CHANGES = st.tuples(st.just("change"), st.sampled_from([NEVER, OFFLINE, ALWAYS]))


class ChangingWalk(Walk):
    bench: ChangingBench

    def __init__(self, bench: ChangingBench) -> None:
        super().__init__(bench)
        self.kept: list[list[int]] = []

    def do_send(self, who: int, limit: int) -> None:
        super().do_send(who, limit)
        if self.bench.settings.keeps_data:
            self.kept.append(self.sent[-1])

    def do_change(self, keep_data: KeepData) -> None:
        self.bench.change(keep_data=keep_data)


class PropertyTests(SynchronousTestCase):
    @given(
        st.tuples(STEPS, STEPS, STEPS),
        st.tuples(CHANGES, CHANGES, CHANGES),
        st.integers(1, 3),
    )
    @examples(300)
    def test_what_was_to_be_kept_is_not_lost(self, parts: Any, changes: Any, limit: int) -> None:
        bench = ChangingBench(limit=limit, max_deliveries=0)
        walk = ChangingWalk(bench)
        for steps, change in zip(parts, changes, strict=True):
            for step in (change, *steps):
                walk.take(step)
        walk.do_change(OFFLINE)
        last = walk.finish()
        proved = [item for client in walk.everybody for item in client.proved]
        for item in walk.kept:
            self.assertTrue(item in proved or item in last.got, f"{item} is lost")
        self.assertEqual(bench.store.rows, {})
        self.assertEqual([sender.unfinished for sender in walk.senders], [0, 0, 0])
        self.assertEqual(len({tuple(item) for item in last.got}), len(last.got), "twice at the last one")
        for who in range(3):
            numbers = [number for by, number in last.got if by == who and [by, number] not in walk.delayed]
            self.assertEqual(numbers, sorted(numbers), "not in their old places")
        last.end()
        bench.settle()
        self.assertEqual(len(bench.broker.channels), 0)
