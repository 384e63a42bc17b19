"""Tests for `wsmb receive` and `wsmb ping`: what they say, print and end with."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support_client import (
    ACCEPTED,
    BROKEN,
    REFUSED,
    REJECTED,
    UNTRUSTED,
    RecordingConnection,
    RecordingConsole,
    confirm,
    delivery,
    numbered,
)
from wsmb.cli.asking import REASON_S
from wsmb.cli.output import Output, OutputInterrupted
from wsmb.cli.ping import Pinging
from wsmb.cli.receiving import CONFIRM_S, MOST_GIVEN_BACK, PROOF_S, Receiving
from wsmb.client.core import Refusal


class ReceivingTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.console = RecordingConsole()
        self.connection = RecordingConnection()
        self.written: list[bytes] = []
        self.failing: BaseException | None = None
        self.blocked_s = 0.0

    def write(self, data: bytes) -> None:
        if self.failing is not None:
            raise self.failing
        self.clock.rightNow += self.blocked_s
        self.written.append(data)

    def receive(self, *channels: str, **options: Any) -> Receiving:
        receiving = Receiving(
            channels, self.write, self.console.say, self.console.finish, self.clock, **options
        )
        receiving.start()
        receiving.opened(self.connection)
        return receiving


class ReceivingTests(ReceivingTestCase):
    """Without acknowledgements, and where the broker knows none."""

    def test_asks_for_each_channel(self) -> None:
        self.receive("a", "b")
        self.assertEqual([one["channel"] for one in self.connection.sent], ["a", "b"])
        self.assertEqual(set(self.connection.commands()), {"receive-message"})

    def test_a_line_for_each_item(self) -> None:
        receiving = self.receive("a")
        receiving.received(ACCEPTED)
        receiving.received(delivery("a", b'[{"x": "y\\n"}, 2]'))
        self.assertEqual(self.written, [b'{"x":"y\\n"}\n2\n'])

    def test_with_channel(self) -> None:
        self.receive("a", "b", with_channel=True).received(delivery("b", b"[1]"))
        self.assertEqual(self.written, [b'{"channel":"b","data":1}\n'])

    def test_says_when_it_receives(self) -> None:
        """Which `wsmb trace` passes on, on each connection."""
        receiving = self.receive("a", accepted=lambda: self.console.say("following"))
        receiving.received(ACCEPTED)
        self.assertEqual(self.console.lines, [])
        receiving.received(confirm(self.connection.sent[0]["confirm"]))
        self.assertEqual(self.console.lines, ["following"])
        receiving.lost(BROKEN)
        receiving.opened(self.connection)
        receiving.received(confirm(self.connection.sent[0]["confirm"], "03", "Forbidden: a"))
        receiving.received(confirm(self.connection.sent[0]["confirm"]))
        self.assertEqual(self.console.lines[2:], ["connected", "following"])

    def test_rejected(self) -> None:
        self.receive("a").received(REJECTED)
        self.assertEqual(self.console.ends, [])
        self.clock.advance(REASON_S)
        self.assertEqual(self.console.ends, [(1, "the broker has refused it (01)")])

    def test_rejected_with_the_reason(self) -> None:
        receiving = self.receive("a")
        receiving.received(REJECTED)
        receiving.received(confirm(self.connection.sent[0]["confirm"], "03", "Forbidden: a"))
        self.assertEqual(self.console.ends, [(1, "the broker has refused it (03): Forbidden: a")])

    def test_rejected_for_now(self) -> None:
        receiving = self.receive("a")
        receiving.received(REJECTED)
        receiving.received(confirm(self.connection.sent[0]["confirm"], "06", "Unavailable: full"))
        self.assertTrue(self.connection.aborted)
        receiving.lost(BROKEN)
        receiving.opened(RecordingConnection())
        self.clock.advance(REASON_S)
        self.assertEqual(self.console.ends, [])

    def test_interrupted(self) -> None:
        self.receive("a").interrupted()
        self.assertEqual(self.console.ends, [(0, "")])

    # Losing the connection

    def test_says_once_that_it_is_lost_and_that_it_is_back(self) -> None:
        receiving = self.receive("a")
        for _ in range(3):
            receiving.lost(BROKEN)
        receiving.opened(self.connection)
        self.assertEqual(
            self.console.lines, ["connection lost (closed by the broker); trying again", "connected"]
        )
        self.assertEqual(self.connection.commands(), ["receive-message"] * 2)
        self.assertEqual(self.console.ends, [])

    def test_refused_at_first(self) -> None:
        receiving = Receiving(["a"], self.write, self.console.say, self.console.finish, self.clock)
        receiving.lost(REFUSED)
        receiving.lost(UNTRUSTED)
        self.assertEqual(self.console.ends, [(1, REFUSED.reason), (1, UNTRUSTED.reason)])

    def test_refused_later(self) -> None:
        receiving = self.receive("a")
        receiving.lost(REFUSED)
        receiving.lost(UNTRUSTED)
        self.assertEqual(self.console.ends, [])

    def test_not_there_at_first(self) -> None:
        receiving = Receiving(["a"], self.write, self.console.say, self.console.finish, self.clock)
        receiving.lost(BROKEN)
        self.assertEqual(self.console.lines, ["not connected (closed by the broker); trying again"])

    # Counting

    def test_stays_for_the_broker_s_ping_after_the_last(self) -> None:
        receiving = self.receive("a", count=3)
        receiving.received(delivery("a", b"[1,2]"))
        receiving.received(delivery("a", b"[3]"))
        self.assertEqual((self.console.ends, self.connection.aborted), ([], False))
        self.clock.advance(PROOF_S)
        self.assertEqual(self.console.ends, [(0, "")])

    def test_a_frame_too_many_is_neither_printed_nor_proved(self) -> None:
        receiving = self.receive("a", count=1)
        receiving.received(delivery("a", b"[1]"))
        receiving.received(delivery("a", b"[2]"))
        self.assertEqual(self.console.ends, [(0, "")])
        self.assertEqual((b"".join(self.written), self.connection.aborted), (b"1\n", True))

    def test_items_too_many_are_neither_printed_nor_proved(self) -> None:
        self.receive("a", count=1).received(delivery("a", b"[1,2]"))
        self.assertEqual((self.written, self.console.ends), ([b"1\n"], [(0, "")]))
        self.assertTrue(self.connection.aborted)

    def test_lost_after_the_last(self) -> None:
        receiving = self.receive("a", count=1)
        receiving.received(delivery("a", b"[1]"))
        receiving.lost(BROKEN)
        self.assertEqual((self.console.ends, self.console.lines), ([(0, "")], []))

    # Output

    def test_nobody_reads(self) -> None:
        for failing in (BrokenPipeError(), OutputInterrupted()):
            self.setUp()
            self.failing = failing
            self.receive("a").received(delivery("a", b"[1]"))
            self.assertEqual((self.console.ends, self.connection.aborted), ([(0, "")], True))

    def test_output_that_fails(self) -> None:
        self.failing = OSError(28, "No space left on device")
        self.receive("a").received(delivery("a", b"[1]"))
        self.assertEqual(self.console.ends, [(1, "standard output: No space left on device")])
        self.assertTrue(self.connection.aborted)


class AcknowledgingTests(ReceivingTestCase):
    def acking(self, count: int | None = None) -> Receiving:
        return self.receive("a", count=count, prefetch=1 if count else 64)

    def said(self) -> list[dict[str, object]]:
        """What was said since the last call."""
        said, self.connection.sent = self.connection.sent, []
        return said

    def test_asks_for_acknowledgements(self) -> None:
        self.acking()
        self.assertEqual(
            self.said()[0],
            {"command": "receive-message", "channel": "a", "ack": True, "prefetch": 64, "confirm": "receive"},
        )
        self.receive("a")
        self.assertEqual(self.said(), [{"command": "receive-message", "channel": "a", "confirm": "receive"}])

    def test_acknowledged_once_written(self) -> None:
        receiving = self.acking()
        self.said()
        receiving.received(numbered("a", b"[1,2]", 17, is_redelivered=True))
        self.assertEqual(
            (self.written, self.said()), ([b"1\n2\n"], [{"command": "ack-message", "delivery": [17]}])
        )

    def test_not_acknowledged_if_not_written(self) -> None:
        for error, status in ((BrokenPipeError(), 0), (OutputInterrupted(), 0), (OSError(28, "full"), 1)):
            self.setUp()
            receiving = self.acking()
            self.said()
            self.failing = error
            receiving.received(numbered("a", b"[1]", 17))
            self.assertEqual((self.said(), self.connection.aborted), ([], True))
            self.assertEqual(self.console.ends[0][0], status)

    def test_what_has_no_number_is_not_acknowledged(self) -> None:
        receiving = self.acking()
        self.said()
        receiving.received(delivery("a", b"[1]"))
        self.assertEqual((self.written, self.said()), ([b"1\n"], []))

    def test_nothing_is_acknowledged_that_was_not_to_be(self) -> None:
        receiving = self.receive("a")
        self.said()
        receiving.received(numbered("a", b"[1]", 17))
        self.assertEqual((self.written, self.said()), ([b"1\n"], []))

    def test_late_is_said_once_and_fewer_are_asked_for(self) -> None:
        receiving = self.acking()
        self.said()
        for _ in range(8):
            receiving.received(Refusal("07", "Unknown delivery: 17"))
        self.assertEqual([one["prefetch"] for one in self.said()], [32, 16, 8, 4, 2, 1])
        self.assertEqual((len(self.console.lines), self.console.ends), (1, []))
        self.assertIn("ack_timeout", self.console.lines[0])
        receiving.lost(BROKEN)
        receiving.opened(self.connection)
        self.assertEqual([one["prefetch"] for one in self.said()], [1])

    def test_after_a_write_that_was_blocked_what_was_said_may_leave(self) -> None:
        receiving = self.acking()
        self.said()
        self.blocked_s = 1.0
        for number in (1, 2, 3):
            receiving.received(numbered("a", b"[%d]" % number, number))
        self.assertEqual([one["delivery"] for one in self.said()], [[1]])
        self.clock.advance(0)
        self.assertEqual([one["delivery"] for one in self.said()], [[2], [3]])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_waits_is_forgotten_with_the_connection(self) -> None:
        receiving = self.acking()
        self.blocked_s = 1.0
        receiving.received(numbered("a", b"[1]", 1))
        receiving.received(numbered("a", b"[2]", 2))
        receiving.lost(BROKEN)
        receiving.opened(self.connection)
        self.said()
        self.clock.advance(0)
        self.assertEqual((self.written, self.said()), ([b"1\n"], []))
        receiving.received(numbered("a", b"[3]", 1))
        self.assertEqual(self.written, [b"1\n", b"3\n"])

    def test_nothing_is_written_after_the_end(self) -> None:
        receiving = self.acking()
        self.blocked_s = 1.0
        for number in (1, 2):
            receiving.received(numbered("a", b"[1]", number))
        receiving.interrupted()
        self.clock.advance(0)
        self.assertEqual(self.written, [b"1\n"])

    def test_any_other_refusal_is_the_end(self) -> None:
        self.acking().received(Refusal("03", "Forbidden: a"))
        self.assertEqual(self.console.ends, [(1, "the broker has refused it (03): Forbidden: a")])

    def test_a_broker_that_stops_is_waited_for(self) -> None:
        self.acking().received(Refusal("06", "Unavailable: the broker stops"))
        self.assertEqual((self.connection.aborted, self.console.ends), (True, []))

    # --count

    LAST = ({"command": "leave-channel", "channel": "a"},)

    def test_the_last_is_acknowledged_after_leaving(self) -> None:
        receiving = self.acking(count=2)
        receiving.received(numbered("a", b"[1]", 1))
        self.said()
        receiving.received(numbered("a", b"[2]", 2))
        ack = {"command": "ack-message", "delivery": [2], "confirm": "last"}
        self.assertEqual((self.said(), self.console.ends), ([*self.LAST, ack], []))
        receiving.received(numbered("a", b"[3]", 3))
        self.assertEqual((self.written, self.said()), ([b"1\n", b"2\n"], []))
        receiving.received(confirm("last"))
        self.assertEqual(self.console.ends, [(0, "")])

    def test_the_last_confirm_is_not_waited_for_for_ever(self) -> None:
        self.acking(count=1).received(numbered("a", b"[1]", 1))
        self.clock.advance(CONFIRM_S)
        self.assertEqual(self.console.ends, [(0, "")])

    def test_too_many_are_given_back_and_come_one_by_one(self) -> None:
        receiving = self.acking(count=2)
        self.said()
        for number, data in ((1, b"[1,2,3]"), (2, b"[4]")):
            receiving.received(numbered("a", data, number))
            self.assertEqual(self.said(), [{"command": "reject-message", "delivery": [number]}])
        self.assertEqual(self.written, [])
        receiving.received(numbered("a", b"[1]", 3, is_redelivered=True))
        self.assertEqual(self.said(), [{"command": "ack-message", "delivery": [3]}])
        receiving.received(numbered("a", b"[2]", 4, is_redelivered=True))
        self.assertEqual((self.written, len(self.said())), ([b"1\n", b"2\n"], 2))

    def test_what_comes_again_as_a_whole_is_printed_in_part_and_left_to_others(self) -> None:
        receiving = self.acking(count=2)
        receiving.received(numbered("a", b"[1,2,3]", 1))
        self.said()
        receiving.received(numbered("a", b"[1,2,3]", 2, is_redelivered=True))
        reject = {"command": "reject-message", "delivery": [2], "confirm": "last"}
        self.assertEqual((self.written, self.said()), ([b"1\n2\n"], [*self.LAST, reject]))
        receiving.received(confirm("last"))
        self.assertEqual(self.console.ends, [(0, "")])

    def test_not_everything_is_given_back_for_ever(self) -> None:
        receiving = self.acking(count=1)
        for number in range(MOST_GIVEN_BACK + 1):
            self.said()
            receiving.received(numbered("a", b"[%d,0]" % number, number))
        self.assertEqual(self.written, [b"3\n"])

    def test_given_back_and_taken_by_others(self) -> None:
        receiving = self.acking(count=1)
        receiving.received(numbered("a", b"[1,2]", 1))
        for number in range(2, MOST_GIVEN_BACK + 2):
            receiving.received(numbered("a", b"[%d]" % number, number))
        self.assertEqual(self.written, [b"4\n"])


class OutputTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reading, self.writing = os.pipe()
        self.addCleanup(os.close, self.writing)

    def test_writes(self) -> None:
        Output(self.writing).write(b"1\n")
        self.assertEqual(os.read(self.reading, 9), b"1\n")
        os.close(self.reading)

    def test_a_closed_pipe(self) -> None:
        os.close(self.reading)
        with self.assertRaises(BrokenPipeError):
            Output(self.writing).write(b"1\n")

    def test_a_signal_between_writes_breaks_off_nothing(self) -> None:
        output = Output(self.writing)
        output.interrupt()
        output.write(b"1\n")
        output.interrupt()
        os.close(self.reading)


class PingingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.console = RecordingConsole()
        self.connection = RecordingConnection()
        self.shown: list[str] = []
        self.pinging = Pinging(self.shown.append, self.console.finish, self.clock, 10.0)
        self.pinging.start()
        self.pinging.opened(self.connection)

    def test_no_room_for_the_answer(self) -> None:
        def show(_: str) -> None:
            raise OSError(28, "No space left on device")

        pinging = Pinging(show, self.console.finish, self.clock, 10.0)
        pinging.opened(self.connection)
        pinging.received(ACCEPTED)
        pinging.received(ACCEPTED)
        self.assertEqual(self.console.ends, [(1, "standard output: No space left on device")])

    def test_the_answer_is_the_one_after_the_greeting(self) -> None:
        self.assertEqual(self.connection.sent, [])
        self.pinging.received(ACCEPTED)
        self.assertEqual((self.connection.commands(), self.shown), (["ping"], []))
        self.pinging.received(ACCEPTED)
        self.assertEqual((self.shown, self.console.ends), (["2026-11-22T21:00:00.000Z"], [(0, "")]))

    def test_rejected(self) -> None:
        self.pinging.received(ACCEPTED)
        self.pinging.received(REJECTED)
        self.assertEqual((self.shown, self.console.ends), ([], [(1, "the broker is not well (01)")]))

    def test_no_answer(self) -> None:
        self.pinging.received(ACCEPTED)
        self.clock.advance(10)
        self.assertEqual(self.console.ends, [(1, "no answer within 10 s")])

    def test_not_reached(self) -> None:
        self.pinging.lost(BROKEN)
        self.assertEqual(self.console.ends, [(1, "closed by the broker")])

    def test_interrupted(self) -> None:
        self.pinging.interrupted()
        self.assertEqual(self.console.ends, [(1, "interrupted")])
