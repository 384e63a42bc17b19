"""`wsmb receive` against the real broker: whatever happens to it, nothing is lost."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.integration.broker_process import LIMIT_S, BrokerProcess, poll
from tests.integration.keeping_case import SqliteCase
from tests.integration.test_cli import COMMAND, CommandCase

ITEMS = 3_000
KILLS = 4


class AcknowledgingTests(CommandCase, SqliteCase):
    def filled(self, items: int, ini: str = "") -> BrokerProcess:
        """A broker with so many items waiting on `sms`: their numbers."""
        broker = self.keeping(ini)
        self.assert_sent(broker, "sms", stdin="".join(f"{number}\n" for number in range(items)))
        return broker

    def writing_to(self, broker: BrokerProcess, file: Path, *argv: str) -> subprocess.Popen[bytes]:
        """`wsmb receive sms` with its output in `file`."""
        with file.open("ab") as output:
            process = subprocess.Popen(
                [*COMMAND, "receive", "sms", *argv],
                env=self.environ(broker.port),
                stdout=output,
                stderr=subprocess.PIPE,
            )
        self.addCleanup(process.communicate, timeout=LIMIT_S)
        self.addCleanup(process.kill)
        return process

    def numbers(self, file: Path) -> list[int]:
        return [int(line) for line in file.read_text().splitlines()]

    def test_killed_in_mid_stream(self) -> None:
        broker = self.filled(ITEMS)
        file = self.folder() / "received"
        for kill in range(1, KILLS + 1):
            process = self.writing_to(broker, file)
            enough = kill * ITEMS // (2 * KILLS)
            poll(lambda: file.read_bytes().count(b"\n") >= enough, "items")  # noqa: B023
            process.kill()
            process.wait(LIMIT_S)
        self.assertTrue(self.rows("sms"), "killed too late to show anything")
        self.writing_to(broker, file)
        poll(lambda: not self.rows("sms"), "the rest")
        self.assertEqual(sorted(set(self.numbers(file))), list(range(ITEMS)))

    def test_the_broker_is_killed_in_mid_stream(self) -> None:
        broker = self.filled(ITEMS)
        file = self.folder() / "received"
        self.writing_to(broker, file)
        poll(lambda: file.read_bytes().count(b"\n") >= ITEMS // 3, "items")
        broker.kill9()
        broker.start()
        poll(lambda: not self.rows("sms"), "the rest")
        self.assertEqual(sorted(set(self.numbers(file))), list(range(ITEMS)))

    def test_counted_runs_take_all_in_order_and_nothing_twice(self) -> None:
        broker = self.filled(31)
        got: list[object] = []
        for count in (1, 11, 3, 1, 15):
            got += self.receives(broker, count, "sms")
        self.assertEqual(got, list(range(31)))
        poll(lambda: not self.rows("sms"), "the acknowledged items to leave the table")

    def test_a_frame_that_stays_whole_is_printed_in_part_and_comes_again(self) -> None:
        broker = self.keeping()
        process = self.started(broker.port, "receive", "sms", "--count", "1")
        sender = self.sender(broker)

        def is_there() -> bool:
            sender.publish("sms", confirm="?")
            return bool(sender.read_json()["data"][0]["receivers"])

        poll(is_there, "the receiver")
        sender.publish("sms", 1, 2)
        self.assertEqual((process.wait(LIMIT_S), process.stdout.read()), (0, "1\n"))
        self.assertEqual(self.receives(broker, 2, "sms"), [1, 2])

    def test_a_full_disk(self) -> None:
        broker = self.filled(5)
        process = self.writing_to(broker, Path("/dev/full"))
        self.assertEqual(process.wait(LIMIT_S), 1)
        self.assertEqual(process.stderr.read(), b"wsmb receive: standard output: No space left on device\n")
        self.assertEqual(self.receives(broker, 5, "sms"), [0, 1, 2, 3, 4])

    def test_nobody_reads(self) -> None:
        broker = self.filled(0)
        process = self.started(broker.port, "receive", "sms")
        self.first_line(process, broker, "sms")
        process.stdout.close()
        self.assertEqual(process.wait(LIMIT_S), 0)
        process.stdout = None
        self.assert_sent(broker, "sms", "1")
        self.assertEqual(self.receives(broker, 1, "sms"), [1])

    def test_without_acknowledgements(self) -> None:
        broker = self.filled(3)
        self.assertEqual(self.receives(broker, 3, "sms", "--no-ack"), [0, 1, 2])
        poll(lambda: not self.rows("sms"), "the proved items to leave the table")

    def test_with_channel_shows_no_number(self) -> None:
        broker = self.filled(1)
        self.assertEqual(self.receives(broker, 1, "sms", "--with-channel"), [{"channel": "sms", "data": 0}])
