"""Tests for `wsmb send`: frames, pings, the end and its exit code, lines of standard input."""

from __future__ import annotations

import os

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support_client import (
    ACCEPTED,
    BROKEN,
    REFUSED,
    REJECTED,
    UNTRUSTED,
    ReaderReactor,
    RecordingConnection,
    RecordingConsole,
    confirm,
    delivery,
)
from wsmb.cli.send import line_source
from wsmb.cli.sending import FRAMES_A_PING, REASON_S, GivenFrames, Sending
from wsmb.client.commands import json_item, send_message, text_item
from wsmb.client.core import Refusal

TIMEOUT_S = 30.0
CERTAIN = "of {} items sent were certainly carried out"


class SendingTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.console = RecordingConsole()
        self.connection = RecordingConnection()
        self.sending = Sending(self.console.say, self.console.finish, self.clock, TIMEOUT_S)

    def give(self, count: int) -> None:
        frames = [send_message("c", b"%d" % number, confirm=number) for number in range(count)]
        self.sending.source = GivenFrames(frames, self.sending)
        self.sending.start()

    def answers(self, count: int) -> None:
        for _ in range(count):
            self.sending.received(ACCEPTED)


class GivenTests(SendingTestCase):
    def test_done_when_the_last_ping_is_answered(self) -> None:
        self.give(3)
        self.sending.opened(self.connection)
        self.assertEqual(self.connection.commands(), ["send-message"] * 3 + ["ping"])
        self.answers(1)
        self.assertEqual(self.console.ends, [])
        self.answers(1)
        self.assertEqual((self.console.ends, self.console.lines), ([(0, "")], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_ping_every_thousand(self) -> None:
        self.give(2 * FRAMES_A_PING + 1)
        self.sending.opened(self.connection)
        pings = [place for place, name in enumerate(self.connection.commands()) if name == "ping"]
        self.assertEqual(pings, [FRAMES_A_PING, 2 * FRAMES_A_PING + 1, 2 * FRAMES_A_PING + 3])

    def test_pauses(self) -> None:
        self.connection = RecordingConnection(pause_after=2)
        self.give(5)
        self.sending.opened(self.connection)
        self.assertEqual(self.connection.items(), [0, 1])
        self.connection.producer.resumeProducing()
        self.assertEqual(self.connection.items(), [0, 1, 2, 3])
        self.connection.producer.resumeProducing()
        self.assertEqual(self.connection.items(), [0, 1, 2, 3, 4])

    def test_rejected(self) -> None:
        self.give(1)
        self.sending.opened(self.connection)
        self.sending.received(REJECTED)
        self.assertEqual(self.console.ends, [])
        self.clock.advance(REASON_S)
        self.assertEqual(self.console.ends, [(1, "the broker has refused it (01): 0 " + CERTAIN.format(1))])

    def test_broken_after_the_first_frame(self) -> None:
        self.give(FRAMES_A_PING + 1)
        self.sending.opened(self.connection)
        self.answers(2)
        self.sending.lost(BROKEN)
        reason = "the connection broke (closed by the broker): 1000 " + CERTAIN.format(1001)
        self.assertEqual(self.console.ends, [(1, reason)])

    def test_no_answer(self) -> None:
        self.give(1)
        self.sending.opened(self.connection)
        self.clock.advance(TIMEOUT_S - 1)
        self.answers(1)
        self.clock.advance(TIMEOUT_S - 1)
        self.assertEqual(self.console.ends, [])
        self.clock.advance(1)
        self.assertEqual(self.console.ends, [(1, "no answer for 30 s: 0 " + CERTAIN.format(1))])

    def test_what_is_delivered_to_this_connection_is_no_answer(self) -> None:
        self.give(1)
        self.sending.opened(self.connection)
        self.sending.received(delivery("c", b"[1]"))
        self.answers(1)
        self.assertEqual(self.console.ends, [])

    def test_interrupted(self) -> None:
        self.give(1)
        self.sending.opened(self.connection)
        self.sending.interrupted()
        self.assertEqual(self.console.ends, [(1, "interrupted: 0 " + CERTAIN.format(1))])


class ConfirmedTests(SendingTestCase):
    """A broker that confirms."""

    def setUp(self) -> None:
        super().setUp()
        self.give(3)
        self.sending.opened(self.connection)

    def test_each_frame_asks_for_a_confirm(self) -> None:
        self.assertEqual([one.get("confirm") for one in self.connection.sent], [0, 1, 2, None])

    def test_done(self) -> None:
        self.answers(1)
        for number in range(3):
            self.sending.received(confirm(number))
        self.assertEqual(self.console.ends, [])
        self.answers(1)
        self.assertEqual((self.console.ends, self.clock.getDelayedCalls()), ([(0, "")], []))

    def test_what_is_refused_is_said_and_the_rest_goes_on(self) -> None:
        self.answers(1)
        self.sending.received(confirm(0))
        self.sending.received(confirm(1, "04", "Too large: an item"))
        self.sending.received(confirm(2))
        self.sending.received(REJECTED)  # of the ping: the store has gone since
        self.assertEqual(self.console.lines, ["line 1 was refused: Too large: an item"])
        self.assertEqual(self.console.ends, [(1, "")])

    def test_the_first_frame_refused(self) -> None:
        self.sending.received(REJECTED)
        self.sending.received(confirm(0, "06", "Unavailable: no room"))
        self.clock.advance(REASON_S)
        self.assertEqual(
            (self.console.lines, self.console.ends), (["line 0 was refused: Unavailable: no room"], [])
        )

    def test_rejected_and_gone(self) -> None:
        self.sending.received(REJECTED)
        self.sending.lost(BROKEN)
        self.assertEqual(self.console.ends, [(1, "the broker has refused it (01): 0 " + CERTAIN.format(3))])

    def test_rejected_and_never_confirmed(self) -> None:
        self.sending.received(REJECTED)
        self.sending.received(ACCEPTED)
        self.assertEqual(self.console.ends, [(1, "the broker has refused it (01): 0 " + CERTAIN.format(3))])

    def test_a_confirm_that_is_missing(self) -> None:
        self.answers(1)
        self.sending.received(confirm(0))
        self.sending.received(confirm(2))
        self.answers(1)
        self.assertEqual(self.console.ends, [(1, "not all was confirmed: 2 " + CERTAIN.format(3))])

    def test_broken(self) -> None:
        self.answers(1)
        self.sending.received(confirm(0))
        self.sending.lost(BROKEN)
        reason = "the connection broke (closed by the broker): 1 " + CERTAIN.format(3)
        self.assertEqual(self.console.ends, [(1, reason)])

    def test_each_confirm_gives_new_time(self) -> None:
        self.answers(1)
        for number in range(2):
            self.clock.advance(TIMEOUT_S - 1)
            self.sending.received(confirm(number))
        self.clock.advance(TIMEOUT_S)
        self.assertEqual(self.console.ends, [(1, "no answer for 30 s: 2 " + CERTAIN.format(3))])

    def test_an_error_that_is_no_confirm(self) -> None:
        self.sending.received(Refusal("02", "Malformed: x"))
        self.assertEqual(self.console.lines, ["the broker has refused something: Malformed: x"])


class ConnectingTests(SendingTestCase):
    def test_tries_again_until_the_timeout(self) -> None:
        self.give(1)
        self.sending.lost(BROKEN)
        self.clock.advance(TIMEOUT_S - 1)
        self.assertEqual(self.console.ends, [])
        self.clock.advance(1)
        self.assertEqual(self.console.ends, [(1, "not connected within 30 s: closed by the broker")])

    def test_connected_in_time(self) -> None:
        self.give(1)
        self.sending.lost(BROKEN)
        self.clock.advance(TIMEOUT_S - 1)
        self.sending.opened(self.connection)
        self.answers(2)
        self.assertEqual(self.console.ends, [(0, "")])

    def test_a_broker_that_cannot_be_trusted(self) -> None:
        self.sending.lost(UNTRUSTED)
        self.assertEqual(self.console.ends, [(1, UNTRUSTED.reason)])

    def test_refused_at_once(self) -> None:
        self.give(1)
        self.sending.lost(REFUSED)
        self.assertEqual(self.console.ends, [(1, "refused: 401 Unauthorized")])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class StandardInputTests(SendingTestCase):
    encode = staticmethod(json_item)

    def setUp(self) -> None:
        super().setUp()
        self.reactor = ReaderReactor()
        self.reading, self.writing = os.pipe()
        self.addCleanup(os.close, self.reading)
        self.source = line_source(
            self.reactor,
            self.reading,
            self.sending,
            self.encode,
            lambda number, item: send_message("c", item, confirm=number),
        )
        self.sending.source = self.source
        self.sending.start()

    def write(self, *chunks: bytes, end: bool = False) -> None:
        for chunk in chunks:
            os.write(self.writing, chunk)
            self.source.doRead()
        if end:
            os.close(self.writing)
            self.source.doRead()

    def test_lines(self) -> None:
        self.sending.opened(self.connection)
        self.write(b'{"a": 1}\n\n \r\n2\r\n[', b"3]", end=True)
        self.assertEqual(self.connection.items(), [{"a": 1}, 2, [3]])
        self.assertEqual(self.connection.commands()[-1], "ping")
        self.answers(2)
        self.assertEqual((self.console.ends, self.console.lines), ([(0, "")], []))
        self.assertEqual(self.reactor.readers, set())

    def test_a_bad_line_costs_the_others_nothing(self) -> None:
        self.sending.opened(self.connection)
        self.write(b"1\nx\n2\n", end=True)
        self.answers(2)
        self.assertEqual(self.connection.items(), [1, 2])
        self.assertEqual(self.console.lines, ["line 2 is not JSON; it was not sent"])
        self.assertEqual(self.console.ends, [(1, "")])

    def test_lines_are_confirmed_by_their_number(self) -> None:
        self.sending.opened(self.connection)
        self.write(b"1\n\n2\n", end=True)
        self.assertEqual([one.get("confirm") for one in self.connection.sent], [1, 3, None])

    def test_nothing_is_read_before_there_is_a_connection(self) -> None:
        self.assertEqual(self.reactor.readers, set())
        self.sending.opened(self.connection)
        self.assertEqual(self.reactor.readers, {self.source})

    def test_no_lines(self) -> None:
        self.sending.opened(self.connection)
        self.write(end=True)
        self.assertEqual(self.connection.commands(), [])
        self.answers(1)
        self.assertEqual(self.console.ends, [(0, "")])

    def test_a_break_before_the_first_line_is_no_harm(self) -> None:
        self.sending.opened(self.connection)
        self.answers(1)
        self.sending.lost(BROKEN)
        self.assertEqual((self.reactor.readers, self.console.ends), (set(), []))
        again = RecordingConnection()
        self.sending.opened(again)
        self.write(b"1\n", end=True)
        self.answers(2)
        self.assertEqual((again.items(), self.console.ends), ([1], [(0, "")]))

    def test_paused(self) -> None:
        self.sending.opened(self.connection)
        self.connection.producer.pauseProducing()
        self.assertEqual(self.reactor.readers, set())
        self.connection.producer.resumeProducing()
        self.assertEqual(self.reactor.readers, {self.source})
        self.write(end=True)
        self.connection.producer.resumeProducing()
        self.assertEqual(self.reactor.readers, set())


class TextLinesTests(StandardInputTests):
    encode = staticmethod(text_item)

    def test_lines(self) -> None:
        self.sending.opened(self.connection)
        self.write(b'say "hi"\r\n\n 2 \n', "é".encode(), end=True)
        self.assertEqual(self.connection.items(), ['say "hi"', " 2 ", "é"])

    def test_lines_are_confirmed_by_their_number(self) -> None:
        """As for JSON."""

    def test_a_bad_line_costs_the_others_nothing(self) -> None:
        self.sending.opened(self.connection)
        self.write(b"1\n\xff\n2\n", end=True)
        self.assertEqual(self.connection.items(), ["1", "2"])
        self.assertEqual(self.console.lines, ["line 2 is not UTF-8; it was not sent"])

    def test_a_break_before_the_first_line_is_no_harm(self) -> None:
        """As for JSON."""
