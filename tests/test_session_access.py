"""Tests for what a session refuses by the access list, and for an access list that is put in its place."""

from __future__ import annotations

import json
from typing import Any

from tests.support import RecordingPeer
from tests.test_access import rule
from tests.test_session import ACCEPTED, PING, RECEIVE, REJECTED, SEND, TIME, SessionTestCase
from wsmb.access import AccessRules, ReceiverLimit, Rule
from wsmb.session import Session

ALL = rule(True, "*", "send receive", "*")
NO_SEND = (rule(False, "qa", "send", "c"), ALL)
NO_RECEIVE = (rule(False, "qa", "receive", "c"), ALL)
CONFIRMED_SEND = SEND.replace(b"}", b',"confirm":1}')
CONFIRMED_RECEIVE = RECEIVE.replace(b"}", b',"confirm":1}')


def answers_of(peer: RecordingPeer) -> list[tuple[str, str]]:
    values = [json.loads(payload) for payload in peer.payloads()]
    return [(value["command"], value.get("response_code", "")) for value in values]


class AccessTestCase(SessionTestCase):
    def use(self, *rules: Rule, **limits: int) -> None:
        found = (ReceiverLimit("", "", frozenset({user}), most) for user, most in limits.items())
        self.broker.use_access(AccessRules(rules, tuple(found)))

    def receiving(self, user: str = "qa", *frames: bytes) -> tuple[RecordingPeer, Session]:
        """A connection that has received what came of these frames."""
        peer = RecordingPeer(user)
        session = Session(peer, self.broker, lambda: TIME, user)
        session.greeting_due()
        session.frames_received(frames or [RECEIVE])
        peer.payloads()
        return peer, session


class RefusedTests(AccessTestCase):
    def test_nothing_is_sent(self) -> None:
        self.use(*NO_SEND)
        receiver, _ = self.receiving("other")
        sender, session = self.receiving("qa", PING)
        session.frames_received([SEND, SEND.replace(b'"c"', b'"d"')])
        self.assertEqual((receiver.payloads(), sender.payloads()), ([], []))
        self.assertEqual(session.answers.refused, 1)
        self.assertEqual(self.broker.forbidden.take(), "qa 1 send (last on 'c')")

    def test_nothing_is_received(self) -> None:
        self.use(*NO_RECEIVE)
        self.receiving()
        self.assertEqual(len(self.broker.channels), 0)
        self.assertEqual(self.broker.forbidden.take(), "qa 1 receive (last on 'c')")

    def test_the_greeting_says_01(self) -> None:
        for rules, frame in ((NO_SEND, SEND), (NO_RECEIVE, RECEIVE)):
            self.use(*rules)
            peer, session = self.connect()
            session.frames_received([frame])
            self.assertEqual(peer.payloads(), [REJECTED])

    def test_what_is_allowed_is_greeted_as_ever(self) -> None:
        self.use(rule(True, "qa", "send receive", "c"))
        for frame in (SEND, RECEIVE, PING):
            peer, session = self.connect()
            session.frames_received([frame])
            self.assertEqual(peer.payloads(), [ACCEPTED])

    def test_a_confirm_says_03(self) -> None:
        for rules, frame in ((NO_SEND, CONFIRMED_SEND), (NO_RECEIVE, CONFIRMED_RECEIVE)):
            self.use(*rules)
            peer, session = self.receiving("qa", PING)
            session.frames_received([frame])
            self.assertEqual(answers_of(peer), [("confirm", "03")])

    def test_who_knows_of_extensions_gets_an_error(self) -> None:
        self.use(*NO_SEND)
        peer, session = self.receiving("qa", CONFIRMED_RECEIVE)
        session.frames_received([SEND])
        (error,) = peer.payloads()
        value = json.loads(error)
        self.assertEqual((value["command"], value["response_code"]), ("error", "03"))
        self.assertEqual(value["response_text"], "Forbidden: qa may not send on c")
        self.assertEqual(value["data"], [{"time_stamp": TIME, "channel": "c"}])

    def test_its_message_id_is_not_used_up(self) -> None:
        named = CONFIRMED_SEND.replace(b"}", b',"message_id":"m"}')
        self.use(*NO_SEND)
        peer, session = self.receiving("qa", named)
        self.use(ALL)
        session.frames_received([named])
        self.assertNotIn(b"duplicate", peer.payloads()[0])

    def test_how_many_receivers(self) -> None:
        self.use(ALL, qa=1)
        receivers = [self.receiving("other")[0] for _ in range(2)]
        _, session = self.receiving("qa", PING)
        session.frames_received([SEND])
        self.assertEqual(sum(len(peer.payloads()) for peer in receivers), 1)
        for number in (b"0", b"2", b'"2"'):
            session.frames_received([SEND.replace(b"}", b',"number_of_receiver":%s}' % number)])
        self.assertEqual([peer.payloads() for peer in receivers], [[], []])
        self.assertEqual(session.answers.refused, 3)


class AnotherListTests(AccessTestCase):
    def sent_to(self, *peers: RecordingPeer) -> list[int]:
        """How many frames each of them gets of one that somebody else sends on `c`."""
        _, session = self.receiving("sender", PING)
        session.frames_received([SEND])
        return [len(peer.payloads()) for peer in peers]

    def test_it_holds_for_who_is_connected(self) -> None:
        receiver, _ = self.receiving("other")
        _, session = self.receiving("qa", PING)
        for rules, count in ((NO_SEND, 0), ((ALL,), 1), (NO_SEND, 0)):
            self.use(*rules)
            session.frames_received([SEND])
            self.assertEqual(len(receiver.payloads()), count)
        self.broker.use_access(None)
        session.frames_received([SEND])
        self.assertEqual(len(receiver.payloads()), 1)

    def test_who_may_not_receive_any_more_leaves_the_channel(self) -> None:
        elsewhere = RECEIVE.replace(b'"c"', b'"d"')
        qa, session = self.receiving("qa", RECEIVE, elsewhere)
        other, _ = self.receiving("other")
        self.use(*NO_RECEIVE)
        self.assertEqual(self.sent_to(qa, other), [0, 1])
        self.assertEqual(len(self.broker.channels), 2)
        _, sender = self.receiving("sender", PING)
        sender.frames_received([SEND.replace(b'"c"', b'"d"')])
        self.assertEqual(len(qa.payloads()), 1)
        session.closed()
        self.assertEqual(len(self.broker.channels), 1)

    def test_only_who_knows_of_extensions_is_told(self) -> None:
        old, _ = self.receiving()
        new, _ = self.receiving("qa", CONFIRMED_RECEIVE)
        other, _ = self.receiving("other", CONFIRMED_RECEIVE)
        self.use(*NO_RECEIVE)
        self.assertEqual((old.payloads(), other.payloads()), ([], []))
        (error,) = new.payloads()
        value: Any = json.loads(error)
        self.assertEqual((value["command"], value["response_code"]), ("error", "03"))
        self.assertEqual(value["data"][0]["channel"], "c")

    def test_who_may_again_has_to_ask_again(self) -> None:
        qa, session = self.receiving()
        self.use(*NO_RECEIVE)
        self.use(ALL)
        self.assertEqual(self.sent_to(qa), [0])
        session.frames_received([RECEIVE])
        self.assertEqual(self.sent_to(qa), [1])

    def test_who_has_gone_is_forgotten(self) -> None:
        qa, session = self.receiving()
        session.closed()
        self.use(*NO_RECEIVE)
        self.assertEqual((qa.payloads(), len(self.broker.subscribers)), ([], 0))

    def test_refusals_of_the_list_before_are_still_counted(self) -> None:
        self.use(*NO_SEND)
        _, session = self.receiving("qa", SEND)
        self.use(*NO_SEND)
        session.frames_received([SEND])
        self.assertEqual(self.broker.forbidden.take(), "qa 2 send (last on 'c')")
