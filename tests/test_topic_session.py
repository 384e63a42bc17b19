"""Tests for wsmb.topic_session, and what channels do with its texts: who gets what, and in which form."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support_topics import TopicCase
from wsmb.errors import CloseCode
from wsmb.receiver import PING_FRAMES
from wsmb.settings import KeepData, Limits, ReceiverChoice, Settings
from wsmb.topic_session import QUIET_BEATS

NEVER, OFFLINE, ALWAYS = KeepData.NEVER, KeepData.OFFLINE, KeepData.ALWAYS
TEXTS = st.text(st.characters(exclude_categories=("Cs",)))


def wrapped(item: bytes) -> dict[str, Any]:
    return {"command": "send-message", "channel": "c", "data": [json.loads(item)]}


class LiveTests(TopicCase):
    def test_a_text_goes_as_it_came_to_everyone_else_on_the_name(self) -> None:
        bench = self.bench()
        clients = [self.listener(bench) for _ in range(3)]
        other = self.listener(bench, channel="d")
        clients[1].send(" on\n", "")
        self.assertEqual([client.take() for client in clients], [[b" on\n", b""], [], [b" on\n", b""]])
        self.assertEqual(other.take(), [])

    def test_a_text_is_a_value_to_those_who_receive_by_command(self) -> None:
        bench = self.bench()
        receiver = bench.receiver()
        self.publish(bench, "on", '{"a": 1}')
        receiver.take()
        self.assertEqual(receiver.commands, [wrapped(b'"on"'), wrapped(b'{"a": 1}')])

    def test_what_is_sent_by_command_comes_as_it_is(self) -> None:
        bench = self.bench()
        text, receiver, sender = self.listener(bench), bench.receiver(), bench.client()
        sender.send(1, "two")
        expected = b'{"command":"send-message","channel":"c","data":[1, "two"]}'
        self.assertEqual(text.take(), [expected])
        self.assertEqual(receiver.take(), [1, "two"])

    def test_at_once_to_who_has_just_come(self) -> None:
        for keep_data in (NEVER, OFFLINE):
            bench = self.bench(keep_data)
            client = self.text_client(bench)
            self.publish(bench, "on")
            bench.client().send("by command")
            bench.settle()
            self.assertEqual(client.take()[0], b"on", keep_data)
            self.assertEqual(
                json.loads(client.take()[0] if len(client.got) < 2 else client.got[1])["data"], ["by command"]
            )

    def test_a_value_is_nested_no_deeper_than_a_frame_may_be(self) -> None:
        bench = self.bench()
        bench.broker.use_settings(Settings(listen=(), limits=Limits(max_json_depth=3)))
        self.publish(bench, "[[1]]", "[1]")  # nobody is here
        receiver = bench.receiver()
        self.publish(bench, "[[1]]", "[1]")
        self.assertEqual(receiver.take(), ["[[1]]", [1]] * 2)

    def test_in_one_order(self) -> None:
        bench = self.bench()
        clients = [self.listener(bench) for _ in range(3)]
        sender = bench.client()
        clients[0].send("1")
        sender.send(2)
        clients[0].send("3", "4")
        clients[1].send("5")
        sender.send(6)
        for client, numbers in zip(clients, ((2, 5, 6), (1, 2, 3, 4, 6), (1, 2, 3, 4, 5, 6)), strict=True):
            got = [json.loads(text) for text in client.take()]
            self.assertEqual([one["data"][0] if isinstance(one, dict) else one for one in got], [*numbers])

    def test_to_one_that_acknowledges(self) -> None:
        bench = self.bench()
        receiver, text = bench.receiver(prefetch=5), self.listener(bench)
        self.publish(bench, "on")
        receiver.take()
        self.assertEqual(receiver.commands, [{**wrapped(b'"on"'), "delivery": 1}])
        self.assertEqual(text.take(), [b"on"])
        receiver.end()
        bench.settle()
        self.assertEqual(text.take(), [])

    def test_what_is_not_utf_8_is_refused_alone(self) -> None:
        bench = self.bench()
        client, receiver = self.text_client(bench), bench.receiver()
        client.send("before", b"\xff\xfe", "after")
        self.assertEqual(receiver.take(), ["before", "after"])
        self.assertEqual((client.session.frames_in, client.session.answers.refused), (3, 1))
        self.assertEqual(client.take(), [])

    def test_too_much_of_that_ends_the_connection(self) -> None:
        bench = self.bench()
        client = self.text_client(bench)
        client.send(*[b"\xff"] * Limits().max_malformed)
        self.assertIsNone(client.ended)
        client.send(b"\xff")
        self.assertEqual(client.ended, CloseCode.TOO_MANY_MALFORMED)

    def test_nothing_while_the_broker_stops(self) -> None:
        bench = self.bench()
        client, receiver = self.text_client(bench), bench.receiver()
        bench.broker.is_stopping = True
        client.send("late")
        self.assertEqual((receiver.take(), client.session.answers.refused), ([], 1))

    def test_nothing_after_the_end(self) -> None:
        bench = self.bench()
        client = self.text_client(bench)
        client.end()
        client.session.closed()
        bench.client().send(1)
        bench.beats(QUIET_BEATS + 1)
        client.session.pong(b"")
        client.session.ask_for_proof()
        self.assertEqual((client.frames, len(bench.broker.channels)), ([], 0))
        self.assertEqual((bench.broker.pulse.waiting, bench.broker.subscribers), (set(), set()))

    def test_one_that_ends_in_the_very_beat(self) -> None:
        bench = self.bench()
        client = self.text_client(bench)
        client.end()
        client.session.beat()
        self.assertEqual(bench.broker.pulse.waiting, set())


class LimitTests(TopicCase):
    """How many receivers a text gets."""

    def test_every_receiver_whatever_the_servers_setting(self) -> None:
        bench = self.bench(number_of_receiver=1)
        clients = [self.listener(bench) for _ in range(3)]
        self.publish(bench, "on")
        self.assertEqual([client.take() for client in clients], [[b"on"]] * 3)
        bench.client().send("by command")
        self.assertEqual(sum(len(client.take()) for client in clients), 1)

    def test_the_channels_own_setting(self) -> None:
        bench = self.bench(text_receivers=2, receiver_choice=ReceiverChoice.OLDEST)
        clients = [self.listener(bench) for _ in range(3)]
        self.publish(bench, "on")
        self.assertEqual([client.take() for client in clients], [[b"on"], [b"on"], []])


class PingTests(TopicCase):
    """No ping in the first two seconds; then as ever."""

    def test_none_for_proof(self) -> None:
        bench = self.bench(OFFLINE)
        client = self.text_client(bench)
        self.publish(bench, *["x"] * PING_FRAMES * 2)
        for _ in range(QUIET_BEATS - 1):
            self.publish(bench, "x")
            bench.beats(1)
        client.session.ask_for_proof()
        client.take()
        sent = PING_FRAMES * 2 + QUIET_BEATS - 1
        self.assertEqual((client.open_pings, client.session.outstanding), ([], sent))
        bench.beats(1)
        self.assertTrue(client.pong())
        self.assertEqual((client.session.outstanding, client.session.pings), (0, 1))
        self.publish(bench, "x")
        bench.beats(3)
        self.assertTrue(client.pong())

    def test_none_as_a_question_before_the_time(self) -> None:
        bench = self.bench()
        client = self.text_client(bench)
        client.session.ping()
        client.session.ping()
        bench.beats(QUIET_BEATS - 1)
        client.take()
        self.assertEqual((client.open_pings, client.session.pings), ([], 0))
        bench.beats(1)
        self.assertEqual((client.pong(), client.pong()), (True, False))
        client.session.ping()
        self.assertTrue(client.pong())

    def test_proof_is_asked_for_when_the_broker_stops(self) -> None:
        bench = self.bench(OFFLINE)
        client = self.text_client(bench)
        bench.beats(QUIET_BEATS)
        client.session.ask_for_proof()
        self.assertFalse(client.pong())
        self.publish(bench, *["x"] * 3)
        client.take()
        client.open_pings.clear()
        client.session.ask_for_proof()
        client.take()
        self.assertEqual(len(client.open_pings), 1)


class AnyTextTests(TopicCase):
    @given(st.lists(TEXTS, max_size=5))
    def test_byte_for_byte_and_as_a_value(self, texts: list[str]) -> None:
        for keep_data in (NEVER, OFFLINE, ALWAYS):
            bench = self.bench(keep_data)
            text, by_command = self.listener(bench), bench.receiver()
            self.publish(bench, *texts)
            self.assertEqual(text.take(), [one.encode() for one in texts])
            by_command.take()
            self.assertEqual(
                [command.keys() for command in by_command.commands], [wrapped(b"0").keys()] * len(texts)
            )
            for value, one in zip(by_command.got, texts, strict=True):
                if value != one:
                    self.assertEqual(value, json.loads(one))

    @given(st.lists(TEXTS, max_size=5))
    def test_what_waited_says_the_same(self, texts: list[str]) -> None:
        bench = self.bench(OFFLINE)
        self.publish(bench, *texts)
        waited = self.listener(bench).take()
        for text, found in zip(texts, waited, strict=True):
            if found.decode() != text:
                value = json.loads(text)
                self.assertEqual(found.decode() if isinstance(value, str) else json.loads(found), value)
