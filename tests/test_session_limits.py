"""What one session, and all of them, may ask for: at the limit, and one past it."""

from __future__ import annotations

import json

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support import RecordingPeer, SteppedStore
from wsmb.answers import MINUTE_BEATS
from wsmb.broker import Broker
from wsmb.errors import CloseCode
from wsmb.session import Session
from wsmb.settings import ChannelSettings, KeepData, Limits, Settings


def receive(channel: str) -> bytes:
    return b'{"command":"receive-message","channel":"%s","confirm":1}' % channel.encode()


def send(data: bytes) -> bytes:
    return b'{"command":"send-message","channel":"c","data":%s,"confirm":1}' % data


class SessionLimitCase(SynchronousTestCase):
    def use(self, **limits: int) -> None:
        self.store = SteppedStore()
        kept = ChannelSettings(keep_data=KeepData.OFFLINE)
        self.settings = Settings(listen=(), default_channel=kept, limits=Limits(**limits))
        self.broker = Broker(self.settings, self.store, Clock().callLater, lambda: "then")
        self.peer, self.session = self.connect()

    def connect(self) -> tuple[RecordingPeer, Session]:
        peer = RecordingPeer()
        session = Session(peer, self.broker, lambda: "then", "qa")
        session.greeting_due()
        peer.payloads()
        return peer, session

    def code(self, frame: bytes, peer: RecordingPeer | None = None, session: Session | None = None) -> str:
        """The code with which `frame` is answered."""
        (session or self.session).frames_received([frame])
        self.store.settle()
        answers = [json.loads(payload) for payload in (peer or self.peer).payloads()]
        (answer,) = [answer for answer in answers if answer["command"] == "confirm"]
        return answer["response_code"]


class ChannelLimitTests(SessionLimitCase):
    def test_channels_of_a_connection(self) -> None:
        self.use(max_channels_per_connection=2)
        self.assertEqual([self.code(receive(name)) for name in "abcab"], ["00", "00", "05", "00", "00"])
        self.assertEqual(self.code(b'{"command":"leave-channel","channel":"a","confirm":1}'), "00")
        self.assertEqual(self.code(receive("c")), "00")

    def test_what_was_refused_is_not_received(self) -> None:
        self.use(max_channels_per_connection=1)
        self.code(receive("a"))
        self.code(receive("c"))
        self.assertEqual(len(self.broker.channels), 1)
        self.session.closed()
        self.assertEqual(len(self.broker.channels), 0)

    def test_channels_of_all(self) -> None:
        self.use(max_channels=2)
        self.code(receive("a"))
        self.code(receive("b"))
        peer, session = self.connect()
        self.assertEqual(self.code(receive("b"), peer, session), "00")
        self.assertEqual(self.code(receive("c"), peer, session), "05")
        self.session.closed()
        self.assertEqual(self.code(receive("c"), peer, session), "00")

    def test_as_the_first_frame_it_is_in_the_greeting(self) -> None:
        self.use(max_channels=1)
        self.code(receive("a"))
        peer = RecordingPeer()
        Session(peer, self.broker, lambda: "then", "qa").frames_received(
            [b'{"command":"receive-message","channel":"b"}']
        )
        (greeting,) = peer.payloads()
        self.assertEqual(json.loads(greeting)["response_code"], "01")


class FrameLimitTests(SessionLimitCase):
    def test_items(self) -> None:
        self.use(max_items_per_frame=3)
        frames = (
            b"[1,2,3]",
            b"[1,2,3,4]",
            b'[[1,2,3,4],"5,6,7,8",{"a":9,"b":10}]',
            b'{"a":1,"b":2,"c":3,"d":4}',
        )
        self.assertEqual([self.code(send(data)) for data in frames], ["00", "04", "00", "00"])
        self.assertEqual(len(self.store.waiting("c")), 3 + 3 + 1)

    def test_items_of_a_frame_for_a_receiver(self) -> None:
        self.use(max_items_per_frame=3)
        receiver, session = self.connect()
        session.frames_received([receive("c")])
        self.store.settle()
        receiver.payloads()
        self.assertEqual(self.code(send(b"[1,2,3,4]")), "04")
        self.assertEqual(self.code(send(b"[1,2,3]")), "00")
        self.assertEqual(receiver.items(), [1, 2, 3])

    def test_depth(self) -> None:
        self.use(max_json_depth=4)
        self.assertEqual(self.code(send(b"[[[1]]]")), "00")
        self.assertEqual(self.code(send(b"[[[[1]]]]")), "02")

    def test_limits_that_have_changed(self) -> None:
        self.use()
        self.assertEqual(self.code(send(b"[1,2,3]")), "00")
        changed = Limits(max_items_per_frame=2, max_json_depth=3, max_channels=1, max_malformed=0)
        self.broker.use_settings(
            Settings(listen=(), default_channel=self.settings.default_channel, limits=changed)
        )
        self.assertEqual(self.code(send(b"[1,2,3]")), "04")
        self.assertEqual(self.code(send(b"[[[1]]]")), "02")
        self.assertEqual([self.code(receive(name)) for name in "ab"], ["00", "05"])


class MalformedTests(SessionLimitCase):
    def test_so_many_in_a_minute(self) -> None:
        self.use(max_malformed=3)
        self.session.frames_received([b"?"] * 3)
        self.assertIsNone(self.peer.ended)
        self.session.frames_received([b"?"])
        self.assertIs(self.peer.ended, CloseCode.TOO_MANY_MALFORMED)

    def test_they_are_forgotten_after_a_minute(self) -> None:
        self.use(max_malformed=3)
        self.session.frames_received([b"?"] * 3)
        for _ in range(MINUTE_BEATS):
            self.broker.tick(0.0)
        self.session.frames_received([b"?"] * 3)
        self.assertIsNone(self.peer.ended)

    def test_other_refusals_do_not_count(self) -> None:
        self.use(max_malformed=0, max_channels=1)
        self.code(receive("a"))
        self.assertEqual(self.code(receive("b")), "05")
        self.assertEqual(self.code(receive("x" * 101)), "04")
        self.assertIsNone(self.peer.ended)

    def test_the_first_frame_counts(self) -> None:
        self.use(max_malformed=0)
        peer = RecordingPeer()
        Session(peer, self.broker, lambda: "then", "qa").frames_received([b"?"])
        self.assertIs(peer.ended, CloseCode.TOO_MANY_MALFORMED)
