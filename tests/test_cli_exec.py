"""Tests for `wsmb receive --exec`: what it runs, what it tells the broker, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support_client import (
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
from wsmb.cli import receive
from wsmb.cli.arguments import UsageError
from wsmb.cli.asking import REASON_S
from wsmb.cli.executing import CONFIRM_S, Executing
from wsmb.cli.work import Work
from wsmb.client.core import Refusal

ENVIRON = {"WSMB_USER": "qa", "WSMB_PASSWORD": "s3cret"}


class PretendedCommands:
    """Commands that run until a test ends them."""

    def __init__(self) -> None:
        self.running: dict[bytes, Callable[[int, bool], None]] = {}
        self.environ: Mapping[bytes, bytes] = {}
        self.failing: OSError | None = None
        self.killed = False

    def __len__(self) -> int:
        return len(self.running)

    def start(self, environ: Mapping[bytes, bytes], stdin: bytes, ended: Callable[[int, bool], None]) -> None:
        if self.failing is not None:
            raise self.failing
        self.environ = environ
        self.running[stdin] = ended

    def kill(self) -> None:
        self.killed = True

    def end(self, item: bytes, status: int = 0, *, is_late: bool = False) -> None:
        self.running.pop(item + b"\n")(status, is_late)


class ExecutingCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.console = RecordingConsole()
        self.connection = RecordingConnection()
        self.commands = PretendedCommands()
        self.executing = self.make()
        self.executing.opened(self.connection)

    def make(self, **options: Any) -> Executing:
        return Executing(
            ["sms"],
            self.commands,
            Work(25.0, 5.0),
            self.console.say,
            self.console.finish,
            self.clock,
            **{"jobs": 2, "prefetch": 3, **options},
        )

    def come(self, number: int, data: bytes, *, again: bool = False) -> None:
        self.executing.received(numbered("sms", data, number, is_redelivered=again))

    def said(self) -> list[dict[str, Any]]:
        """What was sent since the last call."""
        sent, self.connection.sent = self.connection.sent, []
        return sent

    def assert_said(self, *commands: dict[str, Any]) -> None:
        self.assertEqual(self.said(), list(commands))


def acknowledged(number: int) -> dict[str, Any]:
    return {"command": "ack-message", "delivery": [number], "confirm": number}


def rejected(number: int, **terms: object) -> dict[str, Any]:
    return {"command": "reject-message", "delivery": [number], **terms}


class RunningTests(ExecutingCase):
    def test_asks_for_no_more_than_it_can_take(self) -> None:
        asked = {
            "command": "receive-message",
            "channel": "sms",
            "ack": True,
            "prefetch": 3,
            "confirm": "receive",
        }
        self.assert_said(asked)
        self.executing.lost(BROKEN)
        self.executing.opened(self.connection)
        self.assert_said(asked)
        self.assertEqual(
            self.console.lines, ["connection lost (closed by the broker); trying again", "connected"]
        )

    def test_an_item_is_on_standard_input_and_in_the_environment(self) -> None:
        self.come(1, b'[{"n": 5}]')
        self.assertEqual(list(self.commands.running), [b'{"n":5}\n'])
        self.assertEqual(self.commands.environ[b"WSMB_ITEM_N"], b"5")

    def test_so_many_jobs_at_once(self) -> None:
        self.come(1, b"[1,2,3]")
        self.assertEqual(list(self.commands.running), [b"1\n", b"2\n"])
        self.commands.end(b"1")
        self.assertEqual(list(self.commands.running), [b"2\n", b"3\n"])
        self.said()
        self.commands.end(b"2")
        self.commands.end(b"3")
        self.assert_said(acknowledged(1))

    def test_an_exit_status_but_0(self) -> None:
        self.said()
        self.come(1, b"[1]")
        self.commands.end(b"1", 3)
        self.assert_said(rejected(1, delay=5.0))
        self.assertEqual(self.console.lines, ["channel sms: the command ended with 3; another try after 5 s"])

    def test_a_signal_and_the_time_limit_are_failures_too(self) -> None:
        self.said()
        self.come(1, b"[1,2]")
        self.commands.end(b"1", -9)
        self.commands.end(b"2", 0, is_late=True)
        self.assert_said(rejected(1, delay=5.0))
        self.assertIn("was ended by signal 9", self.console.lines[0])
        self.assertIn("took too long", self.console.lines[1])

    def test_a_status_after_which_no_other_try_is_of_use(self) -> None:
        self.executing = self.make(dead_on={65})
        self.executing.opened(self.connection)
        self.said()
        self.come(1, b"[1]")
        self.commands.end(b"1", 65)
        self.assert_said(rejected(1, requeue=False))
        self.assertEqual(self.console.lines, ["channel sms: the command ended with 65; no other try"])

    def test_a_command_that_cannot_be_run(self) -> None:
        self.said()
        self.commands.failing = OSError(11, "Resource temporarily unavailable")
        self.come(1, b"[1]")
        self.assert_said(rejected(1, delay=5.0))
        self.assertIn("could not be run: Resource temporarily unavailable", self.console.lines[0])

    def test_what_runs_while_the_connection_breaks_is_not_run_twice(self) -> None:
        self.come(1, b"[1]")
        self.executing.lost(BROKEN)
        self.executing.opened(self.connection)
        self.said()
        self.come(1, b"[1]", again=True)
        self.commands.end(b"1")
        self.assertEqual(self.commands.running, {})
        self.assert_said(acknowledged(1))

    def test_a_broker_without_acknowledgements(self) -> None:
        self.said()
        for _ in range(2):
            self.executing.received(delivery("sms", b"[1]"))
            self.commands.end(b"1")
        self.assert_said()
        self.assertEqual(len(self.console.lines), 1)
        self.assertIn("knows no acknowledgements", self.console.lines[0])

    def test_an_answer_that_came_too_late(self) -> None:
        for _ in range(2):
            self.executing.received(Refusal("07", "Unknown delivery: 1"))
        self.assertEqual((len(self.console.lines), self.console.ends), (1, []))
        self.assertIn("ack_timeout", self.console.lines[0])

    def test_what_was_acknowledged_too_late_is_not_run_again(self) -> None:
        self.come(1, b"[1]")
        self.come(2, b"[1]", again=True)
        self.commands.end(b"1")
        self.assertEqual(self.commands.running, {})
        self.said()
        self.executing.received(confirm(1, "07", "Unknown delivery: 1"))
        self.assert_said(acknowledged(2))
        self.assertIn("ack_timeout", self.console.lines[0])
        self.assertEqual(self.commands.running, {})

    def test_a_broker_that_stops_is_waited_for(self) -> None:
        self.come(1, b"[1]")
        self.executing.received(Refusal("06", "Unavailable: the broker stops"))
        self.assertTrue(self.connection.aborted)
        self.executing.lost(BROKEN)
        self.executing.opened(self.connection)
        self.said()
        self.come(1, b"[1]", again=True)
        self.commands.end(b"1")
        self.assert_said(acknowledged(1))
        self.assertEqual(self.console.ends, [])

    def test_another_item_with_the_same_content_is_run(self) -> None:
        self.come(1, b"[1]")
        self.come(2, b"[1]", again=True)
        self.commands.end(b"1")
        self.executing.received(confirm(1))
        self.assertEqual(list(self.commands.running), [b"1\n"])


LEAVE = {"command": "leave-channel", "channel": "sms"}
LAST = {"command": "ping", "channel": "", "data": [], "confirm": "last"}


class EndTests(ExecutingCase):
    def test_nothing_runs(self) -> None:
        self.said()
        self.executing.interrupted()
        self.assert_said(LEAVE, LAST)
        self.assertEqual(self.console.ends, [])
        self.executing.received(confirm("last"))
        self.assertEqual(self.console.ends, [(0, "")])

    def test_finishes_what_runs_and_gives_back_the_rest(self) -> None:
        for number in (1, 2, 3):
            self.come(number, b"[%d]" % number)
        self.said()
        self.executing.interrupted()
        self.assert_said(LEAVE, rejected(3))
        self.assertEqual(self.console.lines, ["waiting for 2 running commands"])
        self.commands.end(b"1")
        self.assert_said(acknowledged(1))
        self.commands.end(b"2", 1)
        self.assert_said(rejected(2, delay=5.0), LAST)
        self.assertEqual(self.console.ends, [])
        self.clock.advance(CONFIRM_S)
        self.assertEqual(self.console.ends, [(0, "")])

    def test_does_not_wait_for_a_broker_that_is_away(self) -> None:
        self.come(1, b"[1]")
        self.executing.lost(BROKEN)
        self.executing.interrupted()
        self.assertEqual(self.console.ends, [])
        self.commands.end(b"1")
        self.assertEqual(self.console.ends, [(0, "")])

    def test_the_connection_breaks_on_the_way_out(self) -> None:
        self.executing.interrupted()
        self.executing.lost(BROKEN)
        self.assertEqual(self.console.ends, [(0, "")])

    def test_a_second_signal(self) -> None:
        self.come(1, b"[1]")
        self.executing.interrupted()
        self.assertFalse(self.commands.killed)
        self.executing.interrupted()
        self.assertTrue(self.commands.killed)
        self.assertEqual(self.console.ends[0][0], 1)

    def test_refused_at_first(self) -> None:
        self.executing = self.make()
        self.executing.lost(REFUSED)
        self.executing.lost(UNTRUSTED)
        self.assertEqual(self.console.ends, [(1, REFUSED.reason), (1, UNTRUSTED.reason)])

    def test_refused_later_finishes_what_runs(self) -> None:
        for event, text in ((REJECTED, "the broker has refused it (01)"), (Refusal("03", "no"), "no")):
            self.setUp()
            self.come(1, b"[1]")
            self.executing.received(event)
            self.clock.advance(REASON_S)
            self.assertEqual(self.console.ends, [])
            self.commands.end(b"1")
            self.executing.received(confirm("last"))
            ((status, line),) = self.console.ends
            self.assertEqual((status, line.endswith(text)), (1, True))


class UsageTests(SynchronousTestCase):
    def assert_refused(self, text: str, *argv: str) -> None:
        with self.assertRaisesRegex(UsageError, text):
            receive.main(["c", *argv], ENVIRON)

    def test_what_does_not_go_together(self) -> None:
        for option in ("--jobs", "--timeout", "--retry-delay", "--dead-on"):
            self.assert_refused(f"{option} goes with --exec only", option, "1")
        for argv in (["--count", "1"], ["--with-channel"], ["--no-ack"]):
            self.assert_refused(f"{argv[0]} does not go with --exec", "--exec", "true", *argv)

    def test_values(self) -> None:
        self.assert_refused("no command", "--exec", " ")
        self.assert_refused("a whole number from 1", "--exec", "true", "--jobs", "0")
        self.assert_refused("an exit status from 1", "--exec", "true", "--dead-on", "0")
        self.assert_refused("an exit status from 1", "--exec", "true", "--dead-on", "256")
