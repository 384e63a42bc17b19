"""Whoever comes, sends, stays or goes in whatever order, with the channel in the URL or by command: nothing
that is kept is lost, and nobody sees a newer message of a sender before an older one."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests import examples
from tests.support_topics import TextClient
from tests.test_channel_settings import ChangingBench
from tests.test_proof import Bench, Client
from wsmb.settings import KeepData
from wsmb.topic_session import QUIET_BEATS

WHO = st.integers(0, 3)
STEP = st.one_of(
    st.tuples(st.just("open"), WHO, st.booleans()),
    st.tuples(st.just("text"), WHO),
    st.tuples(st.just("text"), WHO),
    st.tuples(st.just("join"), WHO),
    st.tuples(st.just("send"), WHO),
    st.tuples(st.just("end"), WHO),
    st.tuples(st.just("prove"), WHO),
    st.tuples(st.just("store"), st.integers(1, 3)),
    st.tuples(st.just("time"), st.sampled_from([1, 3, QUIET_BEATS])),
)
STEPS = st.lists(STEP, max_size=30)


def items_in(text: bytes) -> list[Any]:
    """What a text says: the item that it is, or the items of the command that it is."""
    value = json.loads(text)
    return value["data"] if isinstance(value, dict) else [value]


class Walk:
    """What a list of STEPS does to a broker. Items are [connection, number]."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.present: dict[int, TextClient | Client] = {}
        self.everybody: list[TextClient | Client] = []
        self.sent: list[list[int]] = []

    def take(self, step: tuple[Any, ...]) -> None:
        getattr(self, "do_" + step[0])(*step[1:])

    def _add(self, who: int, client: TextClient | Client) -> None:
        self.present[who] = client
        self.everybody.append(client)

    def _item(self, client: TextClient | Client) -> list[int]:
        self.sent.append([self.everybody.index(client), len(self.sent)])
        return self.sent[-1]

    def do_open(self, who: int, is_receiver: bool) -> None:
        if who not in self.present:
            self._add(who, TextClient(self.bench.broker, is_receiver=is_receiver))

    def do_text(self, who: int) -> None:
        client = self.present.get(who)
        if isinstance(client, TextClient):
            client.send(json.dumps(self._item(client)))

    def do_join(self, who: int) -> None:
        if who not in self.present:
            self._add(who, self.bench.client())
            self.present[who].receive()

    def do_send(self, who: int) -> None:
        client = self.present.get(who)
        if isinstance(client, Client):
            client.send(self._item(client))

    def do_end(self, who: int) -> None:
        if who in self.present:
            self.present.pop(who).end()

    def do_prove(self, who: int) -> None:
        if who in self.present:
            self.present[who].pong()

    def do_store(self, count: int) -> None:
        self.bench.clock.advance(0)
        for _ in range(count):
            if self.bench.store.is_busy:
                self.bench.store.step()

    def do_time(self, beats: int) -> None:
        for _ in range(beats):
            self.bench.clock.advance(0.1)
            self.bench.broker.tick(self.bench.clock.seconds())

    def end_all(self) -> None:
        for who in list(self.present):
            self.do_end(who)
        self.bench.settle()

    def got(self, client: TextClient | Client, *, proved: bool = False) -> list[list[int]]:
        """The items that it has got, or proved."""
        client.take()
        found = client.proved if proved else client.got
        return (
            [item for text in found for item in items_in(text)] if isinstance(client, TextClient) else found
        )


class PropertyTests(SynchronousTestCase):
    @given(
        STEPS,
        st.sampled_from([KeepData.OFFLINE, KeepData.ALWAYS]),
        st.booleans(),
        st.integers(0, 1),
        st.sampled_from([1, 2, 1_000]),
    )
    @examples(300)
    def test_what_is_kept_is_not_lost(
        self, steps: list[Any], keep_data: KeepData, texts_last: bool, limit: int, most_frames: int
    ) -> None:
        bench = Bench(keep_data=keep_data, text_receivers=limit, max_outstanding_frames=most_frames)
        walk = Walk(bench)
        for step in steps:
            walk.take(step)
        walk.end_all()
        proved = [item for client in walk.everybody for item in walk.got(client, proved=True)]
        last = TextClient(bench.broker) if texts_last else bench.receiver()
        for _ in range(3 * len(walk.sent) + QUIET_BEATS):
            bench.beats(3)
            last.pong()
        got = walk.got(last)
        for item in walk.sent:
            self.assertTrue(item in proved or item in got, f"{item} is lost")
        self.assertEqual(len({tuple(item) for item in got}), len(got), "twice at the last one")
        self.assert_in_order(got)
        self.assertEqual(bench.store.rows, {})
        last.end()
        bench.settle()
        self.assert_nothing_left(bench)

    @given(STEPS)
    @examples(300)
    def test_what_is_relayed_comes_once_and_in_order(self, steps: list[Any]) -> None:
        bench = Bench(keep_data=KeepData.NEVER)
        walk = Walk(bench)
        for step in steps:
            walk.take(step)
        walk.end_all()
        for number, client in enumerate(walk.everybody):
            got = walk.got(client)
            self.assertEqual(len({tuple(item) for item in got}), len(got), "twice")
            self.assertNotIn(number, [sender for sender, _ in got], "one's own")
            self.assert_in_order(got)
        bench.beats(QUIET_BEATS)
        self.assert_nothing_left(bench)

    @given(STEPS, STEPS, st.permutations(list(KeepData)))
    @examples(200)
    def test_what_is_kept_may_change(
        self, first: list[Any], second: list[Any], kinds: list[KeepData]
    ) -> None:
        bench = ChangingBench(keep_data=kinds[0])
        walk = Walk(bench)
        for steps, keep_data in ((first, kinds[1]), (second, kinds[2])):
            for step in steps:
                walk.take(step)
            bench.change(keep_data=keep_data)
        walk.end_all()
        bench.change(keep_data=KeepData.OFFLINE)
        last = TextClient(bench.broker)
        for _ in range(3 * len(walk.sent) + QUIET_BEATS):
            bench.beats(3)
            last.pong()
        self.assertEqual(bench.store.rows, {})
        last.end()
        bench.settle()
        self.assert_nothing_left(bench)

    def assert_in_order(self, got: list[list[int]]) -> None:
        for who in {sender for sender, _ in got}:
            numbers = [number for sender, number in got if sender == who]
            self.assertEqual(numbers, sorted(numbers), "out of order")

    def assert_nothing_left(self, bench: Bench) -> None:
        self.assertEqual(len(bench.broker.channels), 0)
        bench.beats(2)
        self.assertEqual(bench.broker.pulse.waiting, set())
        self.assertEqual(bench.broker.intake.bytes, 0)
