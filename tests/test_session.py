"""Tests for wsmb.session: replies, their order, the greeting, and slowing a sender down."""

from __future__ import annotations

import json

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support import RecordingPeer, SteppedStore
from wsmb import answers, replies, wire
from wsmb.broker import Broker
from wsmb.errors import Code, StoreError
from wsmb.intake import PATIENCE_BEATS
from wsmb.message_ids import WINDOW_S, key_of
from wsmb.pulse import BEATS_PER_SECOND
from wsmb.receiving import ACTIONS
from wsmb.session import Session
from wsmb.settings import ChannelSettings, KeepData, Settings

TIME = "2026-11-22T21:00:00.000Z"
ACCEPTED = replies.greeting(Code.ACCEPTED, TIME)
REJECTED = replies.greeting(Code.REJECTED, TIME)
PING = b'{"command":"ping"}'
RECEIVE = b'{"command":"receive-message","channel":"c"}'
SEND = b'{"command":"send-message","channel":"c","data":[1]}'


class SessionTestCase(SynchronousTestCase):
    keep_data = KeepData.NEVER

    def setUp(self) -> None:
        self.store = SteppedStore()
        settings = Settings(listen=(), default_channel=ChannelSettings(keep_data=self.keep_data))
        self.broker = Broker(settings, self.store, Clock().callLater, lambda: TIME)
        self.peer, self.session = self.connect()

    def connect(self) -> tuple[RecordingPeer, Session]:
        peer = RecordingPeer()
        return peer, Session(peer, self.broker, lambda: TIME, "qa")

    def greeted(self) -> tuple[RecordingPeer, Session]:
        peer, session = self.connect()
        session.greeting_due()
        peer.payloads()
        return peer, session


class DispatchTests(SynchronousTestCase):
    def test_each_command_has_its_method(self) -> None:
        self.assertEqual({*ACTIONS, wire.Ping, wire.SendMessage}, set(wire.Command.__args__))


class GreetingTests(SessionTestCase):
    def test_not_before_it_is_due(self) -> None:
        self.assertEqual(self.peer.payloads(), [])
        self.session.greeting_due()
        self.assertEqual(self.peer.payloads(), [ACCEPTED])

    def test_behind_the_first_frame(self) -> None:
        for frame in (RECEIVE, SEND):
            peer, session = self.connect()
            session.frames_received([frame])
            self.assertEqual(peer.payloads(), [ACCEPTED])

    def test_before_what_was_waiting(self) -> None:
        """A page of it may be in memory, and go out in the same moment."""
        settings = Settings(listen=(), default_channel=ChannelSettings(keep_data=KeepData.OFFLINE, limit=1))
        self.broker = Broker(settings, self.store, Clock().callLater, lambda: TIME)
        sender = self.greeted()[1]
        sender.frames_received([SEND, SEND])
        full, session = self.greeted()
        session.frames_received([RECEIVE])
        full.full = True
        self.store.settle()
        peer, session = self.connect()
        session.frames_received([RECEIVE])
        self.assertEqual(json.loads(peer.payloads()[0])["command"], "connect")

    def test_rejected_while_the_broker_stops(self) -> None:
        self.broker.is_stopping = True
        for frame in (RECEIVE, SEND):
            peer, session = self.connect()
            session.frames_received([frame])
            self.assertEqual((peer.payloads(), len(self.broker.channels)), ([REJECTED], 0))

    def test_no_acknowledgement_counts_once_the_store_is_closed(self) -> None:
        peer, session = self.greeted()
        self.broker.close()
        session.frames_received([b'{"command":"ack-message","delivery":1,"confirm":1}'])
        self.assertEqual(json.loads(peer.payloads()[0])["response_code"], "06")

    def test_only_once(self) -> None:
        self.session.frames_received([RECEIVE])
        self.session.greeting_due()
        self.session.frames_received([SEND])
        self.assertEqual(self.peer.payloads(), [ACCEPTED])

    def test_a_ping_s_answer_is_the_greeting(self) -> None:
        self.session.frames_received([PING])
        self.session.greeting_due()
        self.assertEqual(self.peer.payloads(), [ACCEPTED])
        self.session.frames_received([PING])
        self.assertEqual(self.peer.payloads(), [ACCEPTED])

    def test_rejected_if_the_first_frame_is(self) -> None:
        for frame in (b"no json", b"{}", b'{"command":"receive-message","channel":""}'):
            peer, session = self.connect()
            session.frames_received([frame])
            self.assertEqual((peer.payloads(), session.answers.refused), ([REJECTED], 1))

    def test_a_refused_frame_that_is_not_the_first_gets_no_answer(self) -> None:
        peer, session = self.greeted()
        session.frames_received([b"no json"])
        self.assertEqual((peer.payloads(), session.answers.refused), ([], 1))

    def test_greeting_before_messages(self) -> None:
        self.session.frames_received([RECEIVE])
        _, sender = self.greeted()
        sender.frames_received([SEND])
        self.assertEqual(self.peer.payloads(), [ACCEPTED, SEND])


class ReceiptTests(SessionTestCase):
    """To an old sender the greeting is a receipt."""

    keep_data = KeepData.OFFLINE

    def test_not_before_the_commit(self) -> None:
        self.session.frames_received([SEND])
        self.session.greeting_due()
        self.assertEqual(self.peer.payloads(), [])
        self.store.step()
        self.assertEqual((self.peer.payloads(), self.store.waiting("c")), ([ACCEPTED], [1]))

    def test_rejected_by_the_store(self) -> None:
        self.store.failing = StoreError(Code.TOO_LARGE, "too large")
        self.session.frames_received([SEND])
        self.store.step()
        self.assertEqual((self.peer.payloads(), self.session.answers.refused), ([REJECTED], 1))

    def test_replies_keep_the_order_of_the_commands(self) -> None:
        self.session.frames_received([SEND])
        self.session.frames_received([PING])
        self.session.frames_received([SEND])
        self.session.frames_received([PING])
        self.store.step(2)
        self.assertEqual(self.peer.payloads(), [ACCEPTED, ACCEPTED])
        self.store.step()
        self.assertEqual(self.peer.payloads(), [])
        self.store.step()
        self.assertEqual(self.peer.payloads(), [ACCEPTED])

    def test_what_could_be_answered_at_once_waits_for_the_commands_before_it(self) -> None:
        peer, session = self.greeted()
        session.frames_received([SEND[:-1] + b',"confirm":1}'])
        session.frames_received([b'{"command":"leave-channel","channel":"sms","confirm":2}'])
        session.frames_received([b'{"command":"nonsense","confirm":3}'])
        self.assertEqual(peer.payloads(), [])
        self.store.settle()
        self.assertEqual([json.loads(payload)["confirm"] for payload in peer.payloads()], [1, 2, 3])

    def test_an_answer_that_is_early_waits_its_turn(self) -> None:
        """A store may answer a `check` before what was asked of it earlier."""
        peer, session = self.greeted()
        session.frames_received([SEND])
        session.frames_received([PING])
        self.store.step_last()
        self.assertEqual(peer.payloads(), [])
        self.store.step()
        self.assertEqual(peer.payloads(), [ACCEPTED])

    def test_ping_rejected_when_the_store_does_not_answer(self) -> None:
        self.store.answers = False
        self.session.frames_received([PING])
        self.store.step()
        self.assertEqual(self.peer.payloads(), [REJECTED])

    def test_a_greeting_that_is_due_goes_before_what_comes_later(self) -> None:
        peer, session = self.greeted()
        session.frames_received([SEND])
        session.frames_received([PING])
        self.store.settle()
        self.assertEqual(peer.payloads(), [ACCEPTED])


class ConfirmTests(SessionTestCase):
    """Keeps messages: SteppedStore commits when the test says so."""

    keep_data = KeepData.OFFLINE

    def say(self, session: Session, **fields: object) -> None:
        session.frames_received(
            [json.dumps({"command": "send-message", "channel": "c", "data": [1], **fields}).encode()]
        )

    def answers(self, peer: RecordingPeer) -> list[tuple[object, str, dict[str, object]]]:
        values = [json.loads(payload) for payload in peer.payloads()]
        return [(value.get("confirm"), value["response_code"], value["data"][0]) for value in values]

    def test_behind_the_greeting_of_the_same_frame(self) -> None:
        self.say(self.session, confirm=7)
        self.assertEqual(self.peer.payloads(), [])
        self.store.settle()
        commands = [json.loads(payload)["command"] for payload in self.peer.payloads()]
        self.assertEqual(commands, ["connect", "confirm"])

    def test_of_a_refused_first_frame(self) -> None:
        self.say(self.session, confirm=7, number_of_receiver="many")
        values = [json.loads(payload) for payload in self.peer.payloads()]
        self.assertEqual([value["response_code"] for value in values], ["01", "02"])

    def test_every_command_can_have_one(self) -> None:
        peer, session = self.greeted()
        for command in (
            {"command": "receive-message", "channel": "d"},
            {"command": "leave-channel", "channel": "d"},
            {"command": "ack-message", "delivery": []},
            {"command": "reject-message", "delivery": []},
            {"command": "nonsense"},
            {"command": "send-message", "channel": "c"},
            {"command": "receive-message", "channel": ""},
        ):
            session.frames_received([json.dumps({**command, "confirm": "x"}).encode()])
        codes = [code for _, code, _ in self.answers(peer)]
        self.assertEqual(codes, ["00", "00", "00", "00", "02", "02", "02"])

    def test_a_confirm_that_is_none(self) -> None:
        peer, session = self.greeted()
        self.say(session, confirm={"a": 1})
        self.say(session, confirm="x" * 101)
        values = [json.loads(payload) for payload in peer.payloads()]
        self.assertEqual([value["command"] for value in values], ["error", "error"])
        self.assertEqual([value["response_code"] for value in values], ["02", "04"])

    def test_an_id_that_is_used_by_two_at_once(self) -> None:
        (one, first), (two, second) = self.greeted(), self.greeted()
        self.say(first, confirm=1, message_id="a")
        self.say(second, confirm=2, message_id="a")
        self.assertEqual((one.payloads(), two.payloads()), ([], []))
        self.store.settle()
        self.assertNotIn("duplicate", self.answers(one)[0][2])
        self.assertTrue(self.answers(two)[0][2]["duplicate"])
        self.assertEqual(self.store.waiting("c"), [1])

    def test_an_id_whose_first_use_failed_is_free(self) -> None:
        (one, first), (two, second) = self.greeted(), self.greeted()
        self.store.failing = StoreError(Code.TOO_LARGE, "too large")
        self.say(first, confirm=1, message_id="a")
        self.say(second, confirm=2, message_id="a")
        self.store.settle()
        self.assertEqual((self.answers(one)[0][1], self.answers(two)[0][1]), ("04", "04"))
        self.store.failing = None
        self.say(first, confirm=3, message_id="a")
        self.store.settle()
        self.assertEqual((self.answers(one)[0][1], self.store.waiting("c")), ("00", [1]))

    def test_ids_of_users_and_channels_are_their_own(self) -> None:
        _, session = self.greeted()
        other = Session(RecordingPeer(), self.broker, lambda: TIME, "other")
        self.say(session, confirm=1, message_id="a")
        self.say(session, confirm=2, message_id="a", channel="d")
        self.say(other, message_id="a")
        self.store.settle()
        self.assertEqual(len(self.store.rows), 3)

    def test_ids_from_before_the_start(self) -> None:
        self.store.keys = [(key_of("qa", "c", "a"), 0.0)]
        settings = Settings(listen=(), default_channel=ChannelSettings(keep_data=KeepData.OFFLINE))
        self.broker = Broker(settings, self.store, Clock().callLater, lambda: TIME)
        peer, session = self.greeted()
        self.say(session, confirm=1, message_id="a")
        self.assertTrue(self.answers(peer)[0][2]["duplicate"])
        self.broker.tick(WINDOW_S + 1.0)
        self.say(session, confirm=1, message_id="a")
        self.store.settle()
        self.assertNotIn("duplicate", self.answers(peer)[0][2])

    def test_told_when_the_store_stays_silent_and_not_again_when_it_speaks(self) -> None:
        peer, session = self.greeted()
        self.say(session, confirm=1)
        self.say(session)
        for _ in range(PATIENCE_BEATS + BEATS_PER_SECOND):
            self.broker.tick(0.0)
        self.assertEqual([(one, code) for one, code, _ in self.answers(peer)], [(1, "06"), (None, "06")])
        self.store.settle()
        self.assertEqual((peer.payloads(), self.broker.intake.bytes), ([], 0))
        self.assertEqual(self.store.waiting("c"), [1, 1])


class RelayedIdTests(SessionTestCase):
    say = ConfirmTests.say
    answers = ConfirmTests.answers
    keep_data = KeepData.NEVER

    def test_an_id_that_went_nowhere_is_free(self) -> None:
        peer, session = self.greeted()
        self.say(session, confirm=1, message_id="a")
        receiver, receiving = self.greeted()
        receiving.frames_received([RECEIVE])
        for _ in range(2):
            self.say(session, confirm=2, message_id="a")
        self.assertEqual(receiver.items(), [1])
        self.assertEqual([data.get("duplicate") for _, _, data in self.answers(peer)], [None, None, True])


class BackpressureTests(SessionTestCase):
    keep_data = KeepData.OFFLINE

    def test_too_many_unfinished_commands_pause_reading(self) -> None:
        for _ in range(answers.PAUSE_COMMANDS + 1):
            self.session.frames_received([SEND])
        self.assertTrue(self.peer.paused)
        self.store.step(answers.PAUSE_COMMANDS // 2)
        self.assertTrue(self.peer.paused)
        self.store.step(1)
        self.assertFalse(self.peer.paused)

    def test_too_many_unfinished_bytes_pause_reading(self) -> None:
        large = json.dumps({"command": "send-message", "channel": "c", "data": "x" * 1_000_000}).encode()
        for _ in range(5):
            self.session.frames_received([large])
        self.assertTrue(self.peer.paused)
        self.store.settle()
        self.assertFalse(self.peer.paused)


class LeavingTests(SessionTestCase):
    def test_leaves_all_channels(self) -> None:
        for name in ("c", "d", "c"):
            self.session.frames_received([RECEIVE.replace(b'"c"', f'"{name}"'.encode())])
        self.assertEqual(len(self.broker.channels), 2)
        self.session.closed()
        self.session.closed()
        self.assertEqual(len(self.broker.channels), 0)

    def test_keeps_receiving_when_it_sends_and_on_several_channels(self) -> None:
        peer, session = self.greeted()
        session.frames_received([RECEIVE])
        session.frames_received([RECEIVE.replace(b'"c"', b"17")])
        session.frames_received([b'{"command":"send-message","channel":"elsewhere","data":1}'])
        session.frames_received([PING])
        peer.payloads()
        _, sender = self.greeted()
        to_17 = b'{"command":"send-message","channel":"17","data":1}'
        sender.frames_received([SEND])
        sender.frames_received([to_17])
        self.assertEqual(peer.payloads(), [SEND, to_17])
