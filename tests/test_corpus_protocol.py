"""The corpus and mutations of it on transports in memory: what they leave behind, what is told of them."""

from __future__ import annotations

import gc
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.hostile_player import REFUSALS
from tests.mutations import MUTATIONS, SEED, Case, corpus, mutations
from tests.support import parse_frames
from tests.support_protocol import Connection, World, basic, client_frame
from wsmb import unattended
from wsmb.errors import Code
from wsmb.handshake import HEAD_END
from wsmb.log_bounds import line_of
from wsmb.settings import ChannelSettings, KeepData, Limits

AT_ONCE = 8
PASSWORD = "4lt0@1234"  # as in the corpus
SECRETS = (PASSWORD, basic("qa", PASSWORD)[6:], basic("qa", PASSWORD)[6:].rstrip("="), "wrong-password")
SEND = b'{"command":"send-message","channel":"well-behaved","data":[%d]}'
RECEIVE = b'{"command":"receive-message","channel":"well-behaved"}'
CLOSE = client_frame((1000).to_bytes(2, "big"), 8)
LONG_AFTER_S = 700
"""Longer than message ids are remembered, and all else that goes by time."""
NO_THROTTLE = Limits(max_failures=10**6, max_failures_per_address=10**6, max_failures_per_user=10**6)
TEXTS = "|".join(re.escape(code.text) for code in Code)
DETAILS = (
    r"not UTF-8|not JSON|unknown command, or a field missing or wrong|nested deeper than \d+"
    r"|empty (channel name|message_id)|(a channel name|message_id|confirm) has at most \d+ characters"
    r"|number_of_receiver is not a number|ttl is less than 0|prefetch is less than 1"
    r"|delay is not from 0 to \d+"
    r"|(-?\d+, )*(-?\d+|…)"
)


class CorpusTests(SynchronousTestCase):
    """Each in a way of its own, some at a time, while a well-behaved pair goes on."""

    settings = ChannelSettings()

    def setUp(self) -> None:
        self.one = World(default_channel=self.settings, limits=NO_THROTTLE)
        self.addCleanup(self.one.close)
        self.one.checker.right = PASSWORD.encode()
        self.told: list[LogEvent] = []
        globalLogPublisher.addObserver(self.told.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.told.append)

    def opened(self, *headers: str) -> Connection:
        return self.one.open(*headers, authorization=basic("qa", PASSWORD))

    def answer_to(self, connection: Connection, data: bytes, number: int) -> bytes:
        """What is told of `data`, which comes in one piece, or in two."""
        cut = len(data) * (number % 5) // 4
        for piece in (data[:cut], data[cut:]):
            if connection.is_open:
                connection.receive(piece)
        self.one.store.settle()
        return connection.taken()

    def leave(self, connection: Connection, number: int) -> None:
        """At once, after a Close frame, or not before the broker ends it."""
        if number % 3 == 1 and connection.is_open:
            connection.receive(CLOSE)
        if number % 3 < 2 and connection.is_open:
            connection.lose()

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.one.clock.advance(1)
            self.one.factory.sweep(self.one.clock.seconds())
            self.one.factory.let_go_on(self.one.clock.seconds())
            self.one.broker.tick(self.one.clock.seconds())
            self.one.store.settle()

    # What is told

    def check_answer(self, answer: bytes) -> None:
        """One of the refusals, or a connection that is open."""
        if answer and answer not in REFUSALS:
            head, end, frames = answer.partition(HEAD_END)
            self.assertTrue(head.startswith(b"HTTP/1.1 101 ") and end, answer)
            self.check_frames(frames)

    def check_frames(self, data: bytes) -> None:
        """What the broker itself says holds nothing but texts of its own."""
        for first, payload in parse_frames(data):
            said = json.loads(payload) if first == 0x81 else {}
            if "response_code" in said:
                self.assertRegex(said["response_text"], rf"^({TEXTS})(: ({DETAILS}))?$")

    def check_log(self) -> None:
        for event in self.told:
            line = line_of(event)
            self.assertNotIn("log_failure", event, line)
            self.assertFalse([secret for secret in SECRETS if line is not None and secret in line], line)
        self.told.clear()

    # What is left behind

    def ours(self) -> Counter[str]:
        """How many objects of each of our classes are alive, but for names that are remembered: so many at
        most."""
        gc.collect()
        kinds = (type(one) for one in gc.get_objects() if not isinstance(one, unattended._Unattended))
        return Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).startswith("wsmb."))

    def requests(self, cases: Iterable[Case]) -> None:
        for batch in batches(cases):
            connections = [self.one.connect() for _ in batch]
            for number, (case, connection) in enumerate(zip(batch, connections, strict=True)):
                self.check_answer(self.answer_to(connection, case.data, number))
            for number, connection in enumerate(connections):
                self.leave(connection, number)

    def streams(self, cases: Iterable[Case]) -> None:
        for batch in batches(cases):
            connections = [
                self.opened(*["Sec-WebSocket-Protocol: wsmb"][number % 2 :]) for number in range(len(batch))
            ]
            for number, (case, connection) in enumerate(zip(batch, connections, strict=True)):
                self.check_frames(self.answer_to(connection, case.data, number))
            for number, connection in enumerate(connections):
                self.leave(connection, number)

    def play(self, seed: str) -> None:
        for kind, play, frame in (
            ("requests", self.requests, bytes),
            ("frames", self.streams, bytes),
            ("commands", self.streams, client_frame),
        ):
            for cases in (corpus(kind), mutations(kind, MUTATIONS // 3, seed)):
                play(Case(name, frame(data)) for name, data in cases)
                self.check_log()

    def go_on(self, receiver: Connection, sender: Connection, number: int) -> None:
        """What a well-behaved pair does in twenty seconds."""
        self.pass_time(20)
        sender.receive(client_frame(SEND % number))
        self.assertIn(SEND % number, receiver.payloads())
        receiver.receive(client_frame(b"", 10) * 2)

    def test_nothing_is_left_of_them(self) -> None:
        self.play(SEED)
        self.pass_time(LONG_AFTER_S)
        receiver, sender = self.opened(), self.opened()
        receiver.receive(client_frame(RECEIVE))
        self.go_on(receiver, sender, 0)
        before, calls = self.ours(), len(self.one.clock.getDelayedCalls())
        self.play(f"{SEED} again")
        for number in range(LONG_AFTER_S // 20):
            self.go_on(receiver, sender, number)
        self.assertEqual(self.one.factory.connections, {receiver.protocol, sender.protocol})
        self.assertEqual((self.one.factory.door.connections, self.one.factory.door.handshakes), (2, 0))
        self.assertEqual(len(self.one.clock.getDelayedCalls()), calls)
        self.assertEqual(self.ours(), before)
        self.check_log()


class KeptCorpusTests(CorpusTests):
    """The same where what finds no receiver is kept."""

    settings = ChannelSettings(keep_data=KeepData.OFFLINE)


def batches(cases: Iterable[Case]) -> Iterator[list[Case]]:
    batch: list[Case] = []
    for case in cases:
        batch.append(case)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    yield batch
