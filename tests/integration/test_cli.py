"""The `wsmb` command as a process, against the real broker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

from tests.integration.broker_case import BrokerCase
from tests.integration.broker_process import LIMIT_S, PASSWORD, USER, BrokerProcess, environment, free_port

COMMAND = (sys.executable, "-m", "wsmb.cli.main")
PIPE = subprocess.PIPE
MANY = 20_000


class CommandCase(BrokerCase):
    def environ(self, port: int, password: str = PASSWORD) -> dict[str, str]:
        url = f"ws://127.0.0.1:{port}/"
        return environment({"WSMB_URL": url, "WSMB_USER": USER, "WSMB_PASSWORD": password})

    def wsmb(
        self, port: int, *argv: str, stdin: str | None = None, password: str = PASSWORD
    ) -> tuple[int, list[str], list[str]]:
        """Run the command to its end: (exit status, lines of output, lines of errors)."""
        done = subprocess.run(
            [*COMMAND, *argv],
            env=self.environ(port, password),
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        self.assertNotIn(PASSWORD, done.stdout + done.stderr)
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    def started(
        self, port: int, *argv: str, stdin: int | IO[str] = subprocess.DEVNULL
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *argv], env=self.environ(port), stdin=stdin, stdout=PIPE, stderr=PIPE, text=True
        )
        self.addCleanup(self.killed, process)
        return process

    def killed(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.communicate(timeout=LIMIT_S)

    def ended(self, process: subprocess.Popen[str], signal_number: int = signal.SIGTERM) -> int:
        process.send_signal(signal_number)
        return process.wait(LIMIT_S)

    def assert_sent(self, broker: BrokerProcess, *argv: str, stdin: str | None = None) -> None:
        self.assertEqual(self.wsmb(broker.port, "send", *argv, stdin=stdin), (0, [], []))

    def receives(self, broker: BrokerProcess, count: int, *argv: str) -> list[object]:
        status, lines, errors = self.wsmb(broker.port, "receive", *argv, "--count", str(count))
        self.assertEqual((status, errors), (0, []))
        return [json.loads(line) for line in lines]

    def first_line(self, process: subprocess.Popen[str], broker: BrokerProcess, channel: str) -> None:
        """Return once `process` has printed an item of the channel, on which messages are kept."""
        self.assert_sent(broker, channel, "0")
        self.assertEqual(process.stdout.readline(), "0\n")


class SendAndReceiveTests(CommandCase):
    def test_items_wait_and_come_in_order(self) -> None:
        broker = self.broker(database="memory:", keep_data="true")
        items = ('{"receiver": "0812", "message": "h\\u00e9llo"}', "1.50", '"é"', "-5")
        self.assert_sent(broker, "sms", "--number-of-receiver", "1", "--", *items)
        self.assertEqual(self.receives(broker, 4, "sms"), [json.loads(item) for item in items])

    def test_lines_of_standard_input(self) -> None:
        broker = self.broker(database="memory:", keep_data="true")
        numbers = range(MANY)
        self.assert_sent(broker, "sms", stdin="".join(f"{number}\n" for number in numbers))
        self.assertEqual(self.receives(broker, MANY, "sms"), list(numbers))

    def test_a_command_that_is_repeated_sends_nothing_twice(self) -> None:
        broker = self.broker(database="memory:", keep_data="true")
        argv = ("send", "sms", "--message-id", "x" * 50)
        status, lines, errors = self.wsmb(broker.port, *argv, stdin="1\n" * 3)
        self.assertEqual((status, lines, errors), (0, [], []))
        self.assertEqual(self.wsmb(broker.port, *argv, stdin="1\n" * 3), (0, [], []))  # not sent again
        self.assertEqual(self.receives(broker, 3, "sms"), [1, 1, 1])

    def test_what_is_too_old_is_not_delivered(self) -> None:
        broker = self.broker(database="memory:", keep_data="true")
        self.assert_sent(broker, "sms", "--ttl", "0.01", "1")
        self.assert_sent(broker, "sms", "--ttl", "1000", "2")
        self.assertEqual(self.receives(broker, 1, "sms"), [2])

    def test_text_and_a_bad_line(self) -> None:
        broker = self.broker(database="memory:", keep_data="true")
        self.assert_sent(broker, "sms", "--text", 'say "hi"')
        status, lines, errors = self.wsmb(broker.port, "send", "sms", stdin="1\nx\n2\n")
        self.assertEqual((status, lines), (1, []))
        self.assertEqual(errors, ["wsmb send: line 2 is not JSON; it was not sent"])
        self.assertEqual(self.receives(broker, 3, "sms"), ['say "hi"', 1, 2])

    def test_several_channels(self) -> None:
        broker = self.broker(database="memory:", keep_data="true")
        self.assert_sent(broker, "a", "1")
        self.assert_sent(broker, "b", "2")
        received = self.receives(broker, 2, "a", "b", "--with-channel")
        self.assertCountEqual(received, [{"channel": "a", "data": 1}, {"channel": "b", "data": 2}])

    def test_send_waits_for_the_broker(self) -> None:
        broker = self.broker(database="memory:", keep_data="true")
        broker.stop()
        process = self.started(broker.port, "send", "sms", "1")
        broker.start()
        self.assertEqual(process.wait(LIMIT_S), 0)
        self.assertEqual(self.receives(broker, 1, "sms"), [1])

    def test_a_break_in_the_middle(self) -> None:
        broker = self.broker()
        process = self.started(broker.port, "send", "sms", stdin=PIPE)
        process.stdin.write("1\n")
        process.stdin.flush()
        receiver = self.receiver(broker, "sms")
        process.stdin.write("2\n")
        process.stdin.flush()
        receiver.read_text()
        broker.kill9()
        self.assertEqual(process.wait(LIMIT_S), 1)
        self.assertRegex(
            process.stderr.read(), "the connection broke .*: [0-2] of 2 items sent were certainly"
        )


class ReceivingTests(CommandCase):
    def receiving(self, *argv: str) -> tuple[BrokerProcess, subprocess.Popen[str]]:
        broker = self.broker(database="memory:", keep_data="true")
        process = self.started(broker.port, "receive", "sms", *argv)
        self.first_line(process, broker, "sms")
        return broker, process

    def test_ends_on_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            _, process = self.receiving()
            self.assertEqual((self.ended(process, number), process.stderr.read()), (0, ""))

    def test_connects_again(self) -> None:
        broker, process = self.receiving()
        broker.stop()
        self.assertIn("connection lost", process.stderr.readline())
        broker.start()
        self.assertEqual(process.stderr.readline(), "wsmb receive: connected\n")
        self.first_line(process, broker, "sms")
        self.assertEqual((self.ended(process), process.stderr.read()), (0, ""))

    def test_ends_when_nobody_reads(self) -> None:
        _, process = self.receiving()
        process.stdout.close()
        self.assertEqual((process.wait(LIMIT_S), process.stderr.read()), (0, ""))
        process.stdout = None

    def test_a_signal_ends_it_while_its_output_is_blocked(self) -> None:
        broker, process = self.receiving()
        self.assert_sent(broker, "sms", stdin=json.dumps("x" * 500_000))
        self.assertEqual(process.stdout.read(1), '"')
        self.assertEqual((self.ended(process), process.stderr.read()), (0, ""))


class RefusalTests(CommandCase):
    COMMANDS: Sequence[tuple[str, ...]] = (("send", "sms", "1"), ("receive", "sms"), ("ping",))

    def test_wrong_password(self) -> None:
        broker = self.broker()
        for argv in self.COMMANDS:
            status, lines, errors = self.wsmb(broker.port, *argv, password="wrong")
            self.assertEqual((status, lines, len(errors)), (1, [], 1))
            self.assertTrue(errors[0].endswith("refused: 401 Unauthorized"), errors)

    def test_nobody_there(self) -> None:
        port = free_port()
        for argv in (("send", "sms", "1", "--timeout", "0.5"), ("ping",)):
            status, lines, errors = self.wsmb(port, *argv)
            self.assertEqual((status, lines, len(errors)), (1, [], 1))
            self.assertTrue(errors[0].endswith("Connection refused"), errors)

    def test_too_big_for_the_broker(self) -> None:
        broker = self.broker()
        status, lines, errors = self.wsmb(broker.port, "send", "sms", stdin=json.dumps("x" * 10_000_000))
        self.assertEqual((status, lines, len(errors)), (1, [], 1))
        self.assertIn("0 of 1 items sent were certainly carried out", errors[0])


class PingTests(CommandCase):
    def test_time_stamp(self) -> None:
        for keep_data in ("false", "true"):
            broker = self.broker(database="memory:", keep_data=keep_data)
            status, lines, errors = self.wsmb(broker.port, "ping")
            self.assertEqual((status, errors), (0, []))
            self.assertRegex("\n".join(lines), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
