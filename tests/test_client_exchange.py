"""Tests for the clients' core: wsmb.client.exchange, outgoing, incoming."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support_client import ACCEPTED, BROKEN, REFUSED, RecordingConnection, delivery, numbered
from tests.support_exchange import ExchangeBench, ListBroker, Pipe
from wsmb.client import core
from wsmb.client.errors import (
    AdmissionError,
    ClosedError,
    ExpiredError,
    RefusedError,
    UnconfirmedError,
    UnreachableError,
)
from wsmb.client.exchange import items_of
from wsmb.client.incoming import Arrival, Arrived, Subscription
from wsmb.client.outgoing import MOST_PENDING, Outgoing
from wsmb.client.sends import Receipt

TOO_BIG = core.Loss("closed by the broker: 1009", close_code=1009)
FORBIDDEN = core.Refusal("03", "Forbidden: no", [{"channel": "sms"}])


class ExchangeCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = ExchangeBench()
        self.exchange = self.bench.exchange

    def one(self, item: str) -> Any:
        """The one outcome of an item."""
        (outcome,) = self.bench.outcomes[item]
        return outcome


class HelloTests(ExchangeCase):
    def test_ready_once_the_broker_has_confirmed_something(self) -> None:
        ready: list[bool] = []
        self.exchange.when_ready(lambda: ready.append(True))
        connection = RecordingConnection()
        self.exchange.opened(connection)
        self.exchange.received(ACCEPTED)
        self.assertEqual(ready, [])
        self.bench.accept(connection.sent[0])
        self.exchange.received(ACCEPTED)
        self.assertEqual((ready, self.bench.ends), ([True], []))

    def test_not_asked_again_on_later_connections(self) -> None:
        self.bench.open()
        self.exchange.lost(BROKEN)
        self.assertEqual(self.bench.open().sent, [])

    def test_the_original_broker_gives_no_confirms(self) -> None:
        self.bench.send("a")
        self.exchange.opened(RecordingConnection())
        self.exchange.received(ACCEPTED)
        self.exchange.received(ACCEPTED)
        self.assertIsInstance(self.bench.ends[0], UnconfirmedError)
        self.assertIsInstance(self.one("a"), UnconfirmedError)


class SendTests(ExchangeCase):
    def test_a_receipt(self) -> None:
        connection = self.bench.open()
        self.bench.send("a", number_of_receiver=2, ttl=5)
        (sent,) = connection.sent
        self.assertEqual(
            {name: sent[name] for name in ("command", "channel", "data", "number_of_receiver", "ttl")},
            {"command": "send-message", "channel": "sms", "data": ["a"], "number_of_receiver": 2, "ttl": 5.0},
        )
        self.bench.accept(sent, receivers=2, stored=0, time_stamp="now")
        self.assertEqual(self.one("a"), Receipt(sent["message_id"], 2, 0, False, "now"))

    def test_each_has_an_id_of_its_own_or_the_given_one(self) -> None:
        connection = self.bench.open()
        for item, message_id in (("a", None), ("b", None), ("c", "mine")):
            self.bench.send(item, message_id=message_id)
        ids = [sent["message_id"] for sent in connection.sent]
        self.assertEqual((len(set(ids)), ids[2]), (3, "mine"))
        self.assertTrue(all(one.startswith("me-") for one in ids[:2]))

    def test_sent_again_in_order_with_its_id_before_what_is_new(self) -> None:
        first = self.bench.open()
        for item in "abc":
            self.bench.send(item)
        self.bench.accept(first.sent[0])
        self.exchange.lost(BROKEN)
        self.bench.send("d")
        second = self.bench.open()
        self.assertEqual(second.items(), ["b", "c", "d"])
        self.assertEqual(second.sent[:2], first.sent[1:])

    def test_what_was_sent_without_a_connection_waits_for_one(self) -> None:
        self.bench.send("a")
        self.assertEqual(self.bench.open().items(), ["a"])

    def test_a_refusal_is_told_and_the_rest_goes_on(self) -> None:
        connection = self.bench.open()
        self.bench.send("a")
        self.bench.send("b")
        self.bench.refuse(connection.sent[0], "03", "Forbidden: no")
        self.bench.accept(connection.sent[1])
        self.assertIsInstance(self.one("a"), RefusedError)
        self.assertEqual((self.one("a").code, str(self.one("a"))), ("03", "Forbidden: no"))
        self.assertIsInstance(self.one("b"), Receipt)

    def test_what_passes_is_tried_again_and_what_is_new_waits_behind_it(self) -> None:
        connection = self.bench.open()
        for item in "ab":
            self.bench.send(item)
        for sent in connection.sent[:2]:
            self.bench.refuse(sent, "06", "Unavailable: full")
        self.bench.send("c")
        self.bench.send("elsewhere", channel="other")
        self.assertEqual(connection.items(), ["a", "b", "elsewhere"])
        self.assertEqual(self.exchange.why_not, "Unavailable: full")
        self.bench.clock.advance(core.FIRST_DELAY_S)
        self.assertEqual(connection.items()[3:], ["a"])
        self.bench.accept(connection.sent[3])
        self.assertEqual(connection.items()[4:], ["b", "c"])

    def test_the_delays_grow(self) -> None:
        connection = self.bench.open()
        self.bench.send("a")
        self.bench.refuse(connection.sent[0], "06")
        self.bench.clock.advance(core.FIRST_DELAY_S)
        self.bench.refuse(connection.sent[1], "05")
        self.bench.clock.advance(core.FIRST_DELAY_S)
        self.assertEqual(connection.items(), ["a", "a"])
        self.bench.clock.advance(core.FIRST_DELAY_S)
        self.assertEqual(connection.items(), ["a", "a", "a"])
        self.assertEqual(self.bench.outcomes["a"], [])

    def test_twice_as_many_with_each_that_passes(self) -> None:
        connection = self.bench.open()
        for number in range(50):
            self.bench.send(str(number))
        refused, connection.sent = connection.sent, []
        for sent in reversed(refused):
            self.bench.refuse(sent, "06")
        self.bench.clock.advance(core.FIRST_DELAY_S)
        out = []
        for accepted in range(4):
            out.append(len(connection.sent) - accepted)
            self.bench.accept(connection.sent[accepted])
        self.assertEqual(out, [1, 2, 4, 8])
        self.bench.refuse(connection.sent[4], "06")
        for sent in connection.sent[5:]:
            self.bench.accept(sent)
        came = len(connection.sent)
        # Some have passed, so that the delays begin anew.
        self.bench.clock.advance(core.FIRST_DELAY_S)
        self.assertEqual(connection.items()[came:], ["4"])
        self.assertEqual(connection.items()[:came], [str(number) for number in range(came)])

    def test_what_waited_for_room_waits_behind_it_too(self) -> None:
        self.bench = ExchangeBench(max_pending=2)
        connection = self.bench.open()
        self.bench.send("a")
        self.bench.refuse(connection.sent[0], "06")
        for item, channel in (("x", "other"), ("y", "other"), ("b", "sms")):
            self.bench.send(item, channel)
        self.bench.clock.advance(core.FIRST_DELAY_S)
        for sent in connection.sent[1:3]:
            self.bench.accept(sent)
        self.bench.accept(connection.sent[3])
        self.assertEqual(connection.items(), ["a", "x", "y", "a", "b"])

    def test_what_passes_is_not_tried_again_for_nobody(self) -> None:
        connection = self.bench.open()
        self.exchange.outgoing.forget(self.bench.send("a"))
        self.bench.refuse(connection.sent[0], "06")
        self.assertEqual((len(self.exchange.outgoing), self.bench.clock.waiting), (0, 0))

    def test_once_it_has_passed_the_delays_begin_anew(self) -> None:
        connection = self.bench.open()
        for item in "ab":
            self.bench.send(item)
            self.bench.refuse(connection.sent[-1], "06")
            self.bench.clock.advance(core.FIRST_DELAY_S)
            self.bench.accept(connection.sent[-1])
        self.assertEqual(connection.items(), ["a", "a", "b", "b"])

    def test_a_lost_connection_ends_the_rest(self) -> None:
        connection = self.bench.open()
        self.bench.send("a")
        self.bench.refuse(connection.sent[0], "06")
        self.exchange.lost(BROKEN)
        self.assertEqual(self.bench.clock.waiting, 0)
        self.assertEqual(self.bench.open().items(), ["a"])

    def test_not_more_than_so_many_on_the_way(self) -> None:
        self.bench = ExchangeBench(max_pending=2)
        connection = self.bench.open()
        for item in "abc":
            self.assertEqual(self.bench.exchange.outgoing.has_room, item != "c")
            self.bench.send(item)
        self.assertEqual(connection.items(), ["a", "b"])
        self.bench.accept(connection.sent[0])
        self.assertEqual(connection.items(), ["a", "b", "c"])

    def test_the_window_is_bounded_below_that_of_the_broker(self) -> None:
        clock = self.bench.clock
        for most in (0, MOST_PENDING + 1):
            with self.assertRaises(ValueError):
                Outgoing(clock.time, clock.later, lambda: 1.0, most)

    def test_time_to_live_goes_on_while_there_is_no_connection(self) -> None:
        self.bench.send("a", ttl=5)
        self.bench.send("b", ttl=1)
        self.bench.send("c", ttl=0)
        self.bench.clock.advance(2)
        connection = self.bench.open()
        self.assertEqual([(sent["data"], sent["ttl"]) for sent in connection.sent], [(["a"], 3.0)])
        self.assertIsInstance(self.one("b"), ExpiredError)
        self.assertIsInstance(self.one("c"), ExpiredError)

    def test_a_time_to_live_of_0_is_for_now(self) -> None:
        connection = self.bench.open()
        self.bench.clock.tick_s = 0.001
        self.bench.send("a", ttl=0)
        self.assertEqual([(sent["data"], sent["ttl"]) for sent in connection.sent], [(["a"], 0.0)])

    def test_what_nobody_waits_for_is_not_sent_again(self) -> None:
        connection = self.bench.open()
        forgotten = self.bench.send("a")
        self.bench.send("b")
        self.exchange.outgoing.forget(forgotten)
        self.exchange.lost(BROKEN)
        waiting = self.bench.send("c")
        self.exchange.outgoing.forget(waiting)
        self.assertEqual(self.bench.open().items(), ["b"])
        self.assertEqual(len(self.exchange.outgoing), 1)
        self.assertEqual(connection.items(), ["a", "b"])

    def test_of_what_was_too_large_the_largest_was(self) -> None:
        self.bench.open()
        for item in ("a", "b" * 50, "c"):
            self.bench.send(item)
        self.exchange.lost(TOO_BIG)
        self.assertEqual(self.one("b" * 50).code, "04")
        self.assertEqual(self.bench.open().items(), ["a", "c"])

    def test_bad_values_are_errors_of_the_caller(self) -> None:
        self.bench.open()
        for options in ({"channel": ""}, {"channel": "x" * 101}, {"message_id": "x" * 65}, {"ttl": -1}):
            with self.assertRaises(ValueError):
                self.bench.send("a", **options)
        with self.assertRaises(ValueError):
            self.bench.send("a", ttl=float("nan"))

    def test_items(self) -> None:
        cases: tuple[tuple[object, bytes], ...] = (
            ([1, {"a": "é"}], '1,{"a":"é"}'.encode()),
            ({"a": None}, b'{"a":null}'),
            ([[1]], b"[1]"),
            ((), b""),
            ("x", b'"x"'),
        )
        for data, items in cases:
            self.assertEqual(items_of(data), items)
        deep: list[object] = []
        for _ in range(100_000):
            deep = [deep]
        for bad in ("\ud800", deep, *map(msgspec.Raw, (b"{", b"1,2", b'1],"x":[2', b'"\xff"', b""))):
            with self.assertRaises(ValueError):
                items_of(bad)
        with self.assertRaises(ValueError):
            items_of([1, msgspec.Raw(b'2],"channel":"other","x":[3')])


class EndTests(ExchangeCase):
    def test_refused(self) -> None:
        self.bench.send("a")
        self.exchange.lost(REFUSED)
        self.assertIsInstance(self.one("a"), AdmissionError)
        self.assertEqual([type(error) for error in self.bench.ends], [AdmissionError])
        with self.assertRaises(AdmissionError):
            self.bench.send("b")

    def test_refused_later_on(self) -> None:
        ends: list[Exception] = []
        self.bench.open()
        self.bench.send("a")
        self.exchange.subscribe(Subscription("sms", 1, lambda _: None, ends.append))
        self.exchange.lost(BROKEN)
        self.exchange.lost(REFUSED)
        self.assertEqual([type(error) for error in [self.one("a"), *ends]], [AdmissionError] * 2)

    def test_closed(self) -> None:
        connection = self.bench.open()
        self.bench.send("a")
        self.exchange.close()
        self.exchange.close()
        self.exchange.lost(BROKEN)
        self.assertIsInstance(self.one("a"), ClosedError)
        self.assertEqual(len(self.bench.ends), 1)
        self.assertEqual((self.bench.said, len(connection.sent)), ([], 1))

    def test_a_certificate_that_is_not_good_is_an_error_only_at_first(self) -> None:
        untrusted = core.Loss("TLS: self-signed certificate", is_untrusted=True)
        self.bench.open()
        self.exchange.lost(untrusted)
        self.assertEqual(self.bench.ends, [])
        other = ExchangeBench()
        other.exchange.lost(untrusted)
        self.assertIsInstance(other.ends[0], UnreachableError)

    def test_not_reached_in_time(self) -> None:
        self.exchange.lost(core.Loss("no such host"))
        self.exchange.give_up()
        self.assertEqual(str(self.bench.ends[0]), "no connection in time: no such host")

    def test_said_once(self) -> None:
        for _ in range(3):
            self.exchange.lost(BROKEN)
        self.bench.open()
        self.exchange.lost(BROKEN)
        self.bench.open()
        self.exchange.received(ACCEPTED)
        again = f"{BROKEN.reason}; trying again"
        self.assertEqual(self.bench.said, [again, "connected", again, "connected"])


class ReceiveTests(ExchangeCase):
    def setUp(self) -> None:
        super().setUp()
        self.came: list[Arrival] = []
        self.ends: list[Any] = []
        self.taken = 0

    def subscribe(self, channel: str = "sms", prefetch: int | None = 3) -> Subscription:
        subscription = Subscription(
            channel, prefetch, self.came.append, self.ends.append, lambda: self.came[self.taken :]
        )
        self.exchange.subscribe(subscription)
        return subscription

    def test_asked_for_on_each_connection(self) -> None:
        self.subscribe()
        self.subscribe("plain", None)
        for _ in range(2):
            connection = self.bench.open()
            first, second = connection.sent
            self.assertEqual((first["channel"], first["ack"], first["prefetch"]), ("sms", True, 3))
            self.assertEqual((second["channel"], second.get("ack")), ("plain", None))
            self.exchange.lost(BROKEN)

    def test_acknowledged_once(self) -> None:
        connection = self.bench.open()
        self.subscribe()
        self.exchange.received(numbered("sms", b"[1,2]", 7))
        self.assertEqual(Arrived(self.came[0]).data, [1, 2])
        self.assertTrue(self.exchange.acknowledge(self.came[0]))
        self.assertFalse(self.exchange.acknowledge(self.came[0]))
        self.assertFalse(self.exchange.reject(self.came[0], requeue=True, delay_s=0))
        self.assertEqual(connection.sent[1:], [{"command": "ack-message", "delivery": [7]}])

    def test_what_python_cannot_hold(self) -> None:
        self.bench.open()
        self.subscribe()
        self.exchange.received(numbered("sms", b"[1e400]", 7, is_redelivered=True))
        arrived = Arrived(self.came[0])
        with self.assertRaises(ValueError):
            arrived.data  # noqa: B018
        self.assertEqual((arrived.raw, arrived.channel, arrived.redelivered), (b"[1e400]", "sms", True))

    def test_data_that_is_no_array_is_one_item(self) -> None:
        self.bench.open()
        self.subscribe()
        self.exchange.received(numbered("sms", b'{"a":1}', 7))
        self.assertEqual(Arrived(self.came[0]).data, [{"a": 1}])

    def test_acknowledged_with_a_confirm(self) -> None:
        answers: list[core.Confirm | None] = []
        connection = self.bench.open()
        self.subscribe()
        for number in (7, 8):
            self.exchange.received(numbered("sms", b"[1]", number))
            self.exchange.acknowledge(self.came[-1], answers.append)
        self.bench.accept(connection.sent[1])
        self.exchange.lost(BROKEN)
        self.assertEqual([answer and answer.is_accepted for answer in answers], [True, None])

    def test_rejected(self) -> None:
        connection = self.bench.open()
        self.subscribe()
        for number, (requeue, delay_s) in enumerate(((True, 0.0), (True, 5.0), (False, 0.0))):
            self.exchange.received(numbered("sms", b"1", number))
            self.exchange.reject(self.came[-1], requeue=requeue, delay_s=delay_s)
        terms = [
            {name: sent[name] for name in sent if name in {"requeue", "delay"}} for sent in connection.sent
        ]
        self.assertEqual(terms[1:], [{}, {"delay": 5.0}, {"requeue": False}])
        with self.assertRaises(ValueError):
            self.exchange.reject(self.came[0], requeue=True, delay_s=-1)

    def test_what_came_on_another_connection_is_not_answered(self) -> None:
        self.bench.open()
        self.subscribe()
        self.exchange.received(numbered("sms", b"[1]", 7))
        self.exchange.lost(BROKEN)
        self.assertFalse(self.exchange.acknowledge(self.came[0]))
        connection = self.bench.open()
        self.assertFalse(self.exchange.is_wanted(self.came[0]))
        self.assertFalse(self.exchange.acknowledge(self.came[0]))
        self.assertEqual(connection.commands(), ["receive-message"])

    def test_what_is_not_to_be_acknowledged_is_wanted_all_the_same(self) -> None:
        self.bench.open()
        self.subscribe(prefetch=None)
        self.exchange.received(delivery("sms", b"[1]"))
        self.exchange.lost(BROKEN)
        self.assertTrue(self.exchange.is_wanted(self.came[0]))
        self.assertFalse(self.exchange.acknowledge(self.came[0]))

    def test_left(self) -> None:
        connection = self.bench.open()
        subscription = self.subscribe()
        for number in (1, 2, 3):
            self.exchange.received(numbered("sms", b"1", number))
        self.taken = 1
        self.exchange.incoming.unsubscribe(subscription)
        self.exchange.incoming.unsubscribe(subscription)
        self.exchange.acknowledge(self.came[0])
        self.exchange.received(numbered("sms", b"1", 4))
        self.exchange.received(delivery("sms", b"1"))
        said = [(sent["command"], sent.get("delivery")) for sent in connection.sent[1:]]
        self.assertEqual(
            said,
            [
                ("leave-channel", None),
                ("reject-message", [2, 3]),
                ("ack-message", [1]),
                ("reject-message", [4]),
            ],
        )
        self.assertEqual(len(self.came), 3)

    def test_one_at_a_time_on_a_channel(self) -> None:
        subscription = self.subscribe()
        with self.assertRaises(ValueError):
            self.subscribe()
        self.exchange.incoming.unsubscribe(subscription)
        self.subscribe()
        with self.assertRaises(ValueError):
            self.subscribe("", 1)
        with self.assertRaises(ValueError):
            self.subscribe("other", 0)

    def test_refused(self) -> None:
        for code in ("03", "05"):
            connection = self.bench.open()
            self.subscribe()
            self.bench.refuse(connection.sent[0], code, "no")
            self.assertEqual([(error.code, str(error)) for error in self.ends], [(code, "no")])
            self.ends.clear()
            self.exchange.lost(BROKEN)
            self.assertEqual(self.bench.open().sent, [])
            self.exchange.lost(BROKEN)

    def test_refused_for_now(self) -> None:
        connection = self.bench.open()
        self.subscribe()
        self.bench.refuse(connection.sent[0], "06")
        self.bench.clock.advance(1)
        self.assertEqual((connection.commands(), self.ends), (["receive-message"] * 2, []))

    def test_the_right_is_withdrawn(self) -> None:
        self.bench.open()
        self.subscribe()
        self.exchange.received(core.Refusal("07", "Unknown delivery: 3", [{"channel": "sms"}]))
        self.assertEqual(self.ends, [])
        self.exchange.received(FORBIDDEN)
        self.assertEqual([str(error) for error in self.ends], ["Forbidden: no"])

    def test_ping(self) -> None:
        answers: list[core.Confirm | None] = []
        self.exchange.ping(answers.append)
        connection = self.bench.open()
        self.exchange.ping(answers.append)
        self.assertEqual(connection.commands(), ["ping"])
        self.bench.accept(connection.sent[0])
        self.assertEqual([answer and answer.is_accepted for answer in answers], [None, True])


SENDS = st.tuples(st.just("send"), st.integers(0, 1))
STEPS = st.one_of(
    SENDS,
    SENDS,
    st.tuples(st.just("up"), st.integers(1, 5)),
    st.tuples(st.just("down"), st.integers(1, 5)),
    st.tuples(st.just("break"), st.just(0)),
    st.tuples(st.just("wait"), st.integers(0, 3)),
    st.tuples(st.just("forget"), st.integers(0, 5)),
)
CODES = st.lists(st.sampled_from(["00", "00", "00", "03", "06", "05"]), max_size=30)


class AnythingTests(SynchronousTestCase):
    """Whatever breaks when: each send ends once, is stored once, and in its turn."""

    @given(st.lists(STEPS, max_size=60), CODES, st.integers(1, 4))
    def test_once_and_in_order(self, steps: list[tuple[str, int]], codes: list[str], most: int) -> None:
        bench = ExchangeBench(most)
        answers = iter(codes)
        broker = ListBroker(lambda item: next(answers, "00"))
        pipe: Pipe | None = None
        sends: dict[str, Any] = {}
        channels: dict[str, str] = {}
        forgotten: set[str] = set()
        told_before: set[str] = set()
        for step, number in steps:
            if step == "send":
                item = str(len(sends))
                channels[item] = f"c{number}"
                sends[item] = bench.send(item, channels[item])
            elif step == "break":
                if pipe is not None:
                    bench.exchange.lost(BROKEN)
                told_before = {item for item, told in bench.outcomes.items() if told}
                pipe = Pipe(bench.exchange, broker)
                bench.exchange.opened(pipe)
                again = {json.loads(sent)["data"][0] for sent in pipe.sent if b"send-message" in sent}
                self.assertEqual(again & told_before, set())
            elif step == "wait":
                bench.clock.advance(2.0**number)
            elif step == "forget" and str(number) in sends and not bench.outcomes[str(number)]:
                forgotten.add(str(number))
                bench.exchange.outgoing.forget(sends[str(number)])
            elif pipe is not None and step == "up":
                pipe.up(number)
            elif pipe is not None and step == "down":
                pipe.down(number)
        self.finish(bench, broker, pipe)
        for item, told in bench.outcomes.items():
            stored = broker.stored.get(channels[item], []).count(item)
            if item in forgotten:
                self.assertEqual((told, stored <= 1), ([], True))
                continue
            (outcome,) = told
            self.assertEqual(stored, 1 if isinstance(outcome, Receipt) else 0)
        if not {"05", "06"} & set(codes):
            for items in broker.stored.values():
                self.assertEqual(items, sorted(items, key=lambda item: int(str(item))))

    def finish(self, bench: ExchangeBench, broker: ListBroker, pipe: Pipe | None) -> None:
        """Let all that is on its way arrive, on a new connection."""
        if pipe is not None:
            bench.exchange.lost(BROKEN)
        pipe = Pipe(bench.exchange, broker)
        bench.exchange.opened(pipe)
        for _ in range(50):
            while not pipe.is_idle:
                pipe.up(10)
                pipe.down(10)
            bench.clock.advance(core.LONGEST_DELAY_S)
        self.assertEqual(len(bench.exchange.outgoing), 0)
