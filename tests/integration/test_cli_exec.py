"""`wsmb receive --exec` with real commands, against the real broker."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

from chaos.exec_kills import run
from tests.integration.broker_process import BrokerProcess, poll
from tests.integration.keeping_case import SqliteCase
from tests.integration.test_cli import COMMAND, PIPE, CommandCase


class ExecCase(CommandCase, SqliteCase):
    def setUp(self) -> None:
        super().setUp()
        self.here = self.folder()
        self.effects_file = self.here / "effects"

    def executing(self, broker: BrokerProcess, command: str, *argv: str) -> subprocess.Popen[str]:
        """`wsmb receive sms --exec`, in a folder of the test's own."""
        process = subprocess.Popen(
            [*COMMAND, "receive", "sms", *argv, "--exec", command],
            env={**self.environ(broker.port), "MARK": "handed down"},
            cwd=self.here,
            stdin=subprocess.DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            text=True,
        )
        self.addCleanup(self.killed, process)
        return process

    def effects(self) -> list[str]:
        return self.effects_file.read_text().splitlines() if self.effects_file.exists() else []

    def wait_for(self, *effects: str) -> None:
        poll(lambda: len(self.effects()) >= len(effects), "the commands")
        self.assertEqual(sorted(self.effects()), sorted(effects))


class ExecTests(ExecCase):
    def test_the_item_the_output_and_the_environment(self) -> None:
        broker = self.keeping()
        item = {"receiver": "0812", "message": 'it\'s "$(id)" `id`\n'}
        self.assert_sent(broker, "sms", json.dumps(item))
        command = (
            'cat; printf %s "$WSMB_ITEM_MESSAGE"; echo "$WSMB_CHANNEL $WSMB_REDELIVERED $MARK"; env > env;'
            " echo ended >> effects"
        )
        process = self.executing(broker, command)
        self.wait_for("ended")
        poll(lambda: not self.rows("sms"), "the acknowledgement")
        self.assertEqual(self.ended(process), 0)
        given, _, rest = process.stdout.read().partition("\n")
        self.assertEqual((json.loads(given), rest), (item, f"{item['message']}sms 0 handed down\n"))
        self.assertEqual(process.stderr.read(), "")
        environment = (self.here / "env").read_text()
        for name in ("WSMB_PASSWORD", "WSMB_USER", "WSMB_URL"):
            self.assertNotIn(name, environment)

    def test_a_large_item_that_is_not_read(self) -> None:
        broker = self.keeping()
        self.assert_sent(broker, "sms", stdin=json.dumps("x" * 500_000))
        process = self.executing(broker, "exec >> effects; echo not read")
        self.wait_for("not read")
        poll(lambda: not self.rows("sms"), "the acknowledgement")
        self.assertEqual((self.ended(process), process.stderr.read()), (0, ""))

    def test_what_fails_comes_again_and_only_that(self) -> None:
        broker = self.keeping()
        self.assert_sent(broker, "sms", "1", "2", "3")
        command = (
            'echo "$WSMB_ITEM $WSMB_REDELIVERED" >> effects; [ "$WSMB_ITEM $WSMB_REDELIVERED" != "2 0" ]'
        )
        process = self.executing(broker, command, "--retry-delay", "0.1")
        self.wait_for("1 0", "2 0", "3 0", "2 1")
        poll(lambda: not self.rows("sms"), "the acknowledgements")
        self.assertEqual(self.ended(process), 0)
        said = "wsmb receive: channel sms: the command ended with 1; another try after 0.1 s\n"
        self.assertEqual(process.stderr.read(), said)

    def test_dead_letters(self) -> None:
        broker = self.keeping("[server]\nmax_deliveries = 2\n")
        self.assert_sent(broker, "sms", "65", "1")
        self.executing(broker, 'exit "$WSMB_ITEM"', "--dead-on", "65", "--retry-delay", "0.1")
        poll(lambda: len(self.rows("dead.sms")) == 2, "the dead letters")
        letters = [(letter["item"], letter["reason"]) for letter in map(json.loads, self.rows("dead.sms"))]
        self.assertCountEqual(letters, [(65, "rejected"), (1, "max_deliveries")])

    def test_so_many_at_once(self) -> None:
        broker = self.keeping()
        self.assert_sent(broker, "sms", *map(str, range(6)))
        # Each waits for two others to be there: with fewer than three at once, none would ever end.
        command = (
            'mkdir "in$WSMB_ITEM"; until [ "$(ls -d in* | wc -l)" -ge 3 ]; do sleep 0.01; done;'
            ' echo "$WSMB_ITEM" >> effects'
        )
        self.executing(broker, command, "--jobs", "3")
        self.wait_for(*map(str, range(6)))

    def test_a_command_that_hangs_is_ended_with_all_that_it_has_begun(self) -> None:
        broker = self.keeping()
        self.assert_sent(broker, "sms", "1")
        command = 'sleep 1000 & echo "$!" >> effects; wait'
        process = self.executing(broker, command, "--timeout", "0.2", "--retry-delay", "1000")
        expected = "wsmb receive: channel sms: the command took too long; another try after 1000 s\n"
        self.assertEqual(process.stderr.readline(), expected)
        (child,) = self.effects()
        poll(lambda: not is_alive(int(child)), "the end of the sleep")


class EndTests(ExecCase):
    def held(self) -> tuple[BrokerProcess, subprocess.Popen[str]]:
        """A command runs, and another item waits."""
        broker = self.keeping()
        self.assert_sent(broker, "sms", "1", "2")
        command = (
            "trap '' INT TERM; echo begun >> begun; until [ -e go ]; do sleep 0.01; done;"
            ' echo "$WSMB_ITEM" >> effects'
        )
        process = self.executing(broker, command)
        poll((self.here / "begun").exists, "the command")
        return broker, process

    def test_what_runs_is_finished_and_the_rest_stays(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self.effects_file.unlink(missing_ok=True)
            (self.here / "go").unlink(missing_ok=True)
            (self.here / "begun").unlink(missing_ok=True)
            broker, process = self.held()
            process.send_signal(number)
            self.assertIn("waiting for 1 running", process.stderr.readline())
            (self.here / "go").touch()
            self.assertEqual(process.wait(30), 0)
            self.assertEqual(self.effects(), ["1"])
            self.assertIn("2", self.rows("sms"))
            broker.stop()

    def test_a_second_signal_kills_and_the_item_comes_again(self) -> None:
        broker, process = self.held()
        process.send_signal(signal.SIGTERM)
        self.assertIn("waiting for 1 running", process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 1)
        self.assertEqual(self.effects(), [])
        self.assertCountEqual(self.receives(broker, 2, "sms"), [1, 2])

    def test_a_command_goes_on_while_the_broker_is_away(self) -> None:
        broker, process = self.held()
        broker.stop()
        self.assertIn("connection lost", process.stderr.readline())
        (self.here / "go").touch()
        poll(lambda: len(self.effects()) == 1, "the command")
        broker.start()
        poll(lambda: not self.rows("sms"), "the rest")
        self.assertEqual(self.effects(), ["1", "2"])


class KilledTests(ExecCase):
    def test_killed_in_mid_stream_each_effect_comes_at_least_once(self) -> None:
        outcome = run(self.here, items=100, kills=2)
        self.assertEqual((outcome.never, outcome.once + outcome.more), (0, 100))


def is_alive(process_id: int) -> bool:
    """Whether there is such a process, but for one that has ended and waits to be reaped."""
    stat = Path(f"/proc/{process_id}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
