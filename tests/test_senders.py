"""Tests for wsmb.senders and wsmb.unattended: who sends where, and how much."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support import RecordingPeer, SteppedStore
from wsmb import senders, unattended
from wsmb.broker import Broker
from wsmb.config.access_lines import AccessLine, access_rules
from wsmb.senders import MOST_OF_ONE, Senders
from wsmb.session import Session
from wsmb.settings import ChannelSettings, KeepData, Settings
from wsmb.topic_query import Topic
from wsmb.topic_session import TopicSession
from wsmb.unattended import Unattended


class SendersTests(SynchronousTestCase):
    @given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc"))))
    def test_they_are_counted_until_they_end(self, sends: list[tuple[int, str]]) -> None:
        counted = Senders()
        of_one: dict[int, set[str]] = {}
        for number, name in sends:
            names = of_one.setdefault(number, set())
            if name not in names:
                names.add(counted.begin(name))
        there = Counter(name for names in of_one.values() for name in names)
        self.assertEqual({name: counted.of(name) for name in counted.channels}, there)
        for names in of_one.values():
            counted.end(names)
        self.assertEqual((list(counted.channels), counted.of("a")), ([], 0))

    def test_never_on_more_channels_than_so_many(self) -> None:
        counted = Senders()
        for number in range(senders.MOST_CHANNELS):
            counted.begin(f"c{number}")
        self.assertIsNone(counted.begin("one more"))
        self.assertEqual(counted.begin("c1"), "c1")
        self.assertEqual((counted.of("c1"), counted.of("one more")), (2, 0))


class SessionCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.use(Settings(listen=()))

    def use(self, settings: Settings) -> None:
        self.broker = Broker(settings, SteppedStore(), Clock().callLater, lambda: "now")

    def session(self) -> Session:
        session = Session(RecordingPeer(), self.broker, lambda: "now", "qa")
        session.greeting_due()
        return session

    def say(self, session: Session, channel: object, command: str = "send-message", **more: object) -> None:
        frame = json.dumps({"command": command, "channel": channel, "data": [1], **more})
        session.frames_received([frame.encode()])

    def senders(self) -> dict[str, int]:
        return {name: self.broker.senders.of(name) for name in self.broker.senders.channels}


class SenderTests(SessionCase):
    def test_who_sends_is_one_until_it_ends(self) -> None:
        one, other = self.session(), self.session()
        for channel in ("a", "b", "a", 5, 5):
            self.say(one, channel)
        self.say(other, "a", confirm=1)
        self.say(other, "c", command="receive-message")
        self.assertEqual(self.senders(), {"a": 2, "b": 1, "5": 1})
        one.closed()
        one.closed()
        self.assertEqual(self.senders(), {"a": 1})
        self.say(one, "a")  # what was read before it was closed
        one.closed()
        other.closed()
        self.assertEqual(self.senders(), {})

    def test_who_may_not_is_none(self) -> None:
        rules = access_rules([AccessLine("allow", "qa send yes", "title", "place")])
        self.use(Settings(listen=(), access=rules))
        session = self.session()
        for channel in ("yes", "no", "$events", "", "x" * 101):
            self.say(session, channel)
        self.assertEqual(self.senders(), {"yes": 1})

    def test_nor_who_sends_where_only_the_broker_does(self) -> None:
        session = self.session()
        self.say(session, "$events")
        self.say(session, "a", number_of_receiver="many")
        self.assertEqual(self.senders(), {})

    def test_one_connection_is_counted_on_so_many(self) -> None:
        session = self.session()
        for number in range(MOST_OF_ONE + 5):
            self.say(session, f"c{number}")
        self.assertEqual(len(self.senders()), MOST_OF_ONE)
        session.closed()
        self.assertEqual(self.senders(), {})

    def test_with_the_channel_in_the_url(self) -> None:
        peer = RecordingPeer()
        session = TopicSession(peer, self.broker, lambda: "now", "qa", Topic("a", False))
        self.assertEqual(self.senders(), {})
        session.frames_received([b"1", b"2"])
        session.frames_received([b"3"])
        self.assertEqual(self.senders(), {"a": 1})
        session.closed()
        session.closed()
        self.assertEqual(self.senders(), {})


class FramesTests(SessionCase):
    def test_they_are_counted_wherever_they_go(self) -> None:
        for keep_data in KeepData:
            self.use(Settings(listen=(), default_channel=ChannelSettings(keep_data=keep_data)))
            sender, receiver = self.session(), self.session()
            self.say(sender, "a")
            self.say(sender, "a")
            self.say(receiver, "a", command="receive-message")
            self.say(sender, "a")
            self.assertEqual(self.broker.frames_on("a"), 3, keep_data)
            self.assertEqual(self.broker.frames_on("b"), 0, keep_data)

    def test_texts_as_well(self) -> None:
        sessions = [
            TopicSession(RecordingPeer(), self.broker, lambda: "now", "qa", Topic("a", True))
            for _ in range(3)
        ]
        sessions[0].frames_received([b"1", b"2"])
        self.assertEqual(self.broker.frames_on("a"), 2)
        self.say(self.session(), "a", command="receive-message")
        sessions[0].frames_received([b"3"])
        self.assertEqual(self.broker.frames_on("a"), 3)


class UnattendedTests(SynchronousTestCase):
    def test_of_too_many_the_half_with_least_is_forgotten(self) -> None:
        found = Unattended(lambda _: ChannelSettings())
        for number in range(unattended.MOST_CHANNELS):
            found.sent(f"c{number}")
            if number % 2:
                found.sent(f"c{number}")
        found.sent("one more")
        self.assertEqual([found.frames(name) for name in ("c0", "c1", "one more", "none")], [0, 2, 1, 0])

    def test_other_settings_count_from_now_on(self) -> None:
        old, new = ChannelSettings(), ChannelSettings(keep_data=KeepData.ALWAYS)
        found = Unattended(lambda _: old)
        self.assertIs(found.sent("a"), old)
        found.use_settings(lambda _: new)
        self.assertIs(found.sent("a"), new)
        self.assertEqual(found.frames("a"), 2)
