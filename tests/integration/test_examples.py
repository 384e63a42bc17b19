"""The examples, by the very lines of their READMEs, against the real broker."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess

from tests.integration.broker_process import CHECKOUT, LIMIT_S, PASSWORD, USER, poll
from tests.integration.installed import installed
from tests.integration.keeping_case import SqliteCase
from tests.support import need

EXAMPLES = CHECKOUT / "examples"


class ExampleCase(SqliteCase):
    name = ""

    def setUp(self) -> None:
        super().setUp()
        self.here = self.folder() / self.name
        shutil.copytree(EXAMPLES / self.name, self.here)
        self.lines = re.findall(r"^    (.*)$", (self.here / "README.md").read_text(), re.MULTILINE)
        self.environ = installed(self.folder())
        self.example_broker = self.keeping()
        (self.here / "broker.env").write_text(
            f"export WSMB_URL=ws://127.0.0.1:{self.example_broker.port}/"
            f" WSMB_USER={USER} WSMB_PASSWORD={PASSWORD}\n"
        )

    def line(self, beginning: str) -> str:
        """The line of the README that begins so."""
        (line,) = [line for line in self.lines if line.startswith(beginning)]
        return f"{self.lines[0]}; {line}"

    def run_line(self, line: str) -> str:
        """Run it to its end; what it prints."""
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=self.here,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def start_line(self, line: str) -> subprocess.Popen[str]:
        """Run it in another terminal, so to say."""
        process = subprocess.Popen(
            ["sh", "-c", line],
            cwd=self.here,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.addCleanup(self.end, process)
        return process

    def end(self, process: subprocess.Popen[str]) -> None:
        """As Ctrl-C does: to all that the line has started."""
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=LIMIT_S)


class SmsGatewayTests(ExampleCase):
    name = "sms-gateway"

    def sent(self) -> list[str]:
        file = self.here / "sent.txt"
        return file.read_text().splitlines() if file.exists() else []

    def test_senders_in_php_and_in_python_and_a_modem_that_fails_now_and_then(self) -> None:
        need("php")
        self.start_line(self.line("wsmb receive sms --exec"))
        self.run_line(self.line("php send.php 0812"))
        self.run_line(self.line("python3 send.py"))
        self.run_line(self.line("php send.php nobody"))
        poll(lambda: len(self.sent()) == 2, "both messages")
        self.assertEqual(self.sent(), ["0812: Your parcel is here", "0817: Your code is 123456"])
        poll(lambda: not self.rows("sms"), "the acknowledgements")
        listed = self.run_line(self.line("wsmb dead-letters list"))
        # Twice, if it has come in one frame with what had no network.
        self.assertRegex(listed, r'rejected\t[12]\tqa\t{"receiver":"nobody","message":"hello"}\n$')

    def test_another_tool(self) -> None:
        gammu = self.here / "gammu"
        gammu.write_text('#!/bin/sh\necho "$@" >>sent.txt\n')
        gammu.chmod(0o755)
        script = self.here / "modem.sh"
        *lines, _ = script.read_text().splitlines()
        (line,) = [line for line in self.lines if line.startswith("gammu")]
        script.write_text("\n".join([*lines, line]))
        self.environ["PATH"] = f"{self.here}:{self.environ['PATH']}"
        self.start_line(self.line("wsmb receive sms --exec"))
        self.run_line(self.line("python3 send.py"))
        poll(lambda: self.sent() == ["sendsms TEXT 0817 -text Your code is 123456"], "the message")

    def test_messages_of_any_size_and_a_wrong_password(self) -> None:
        need("php")
        for size in (10, 200, 70_000):
            self.run_line(f"{self.lines[0]}; php send.php 1 \"$(head -c {size} /dev/zero | tr '\\0' x)\"")
        sizes = [len(json.loads(row)["message"]) for row in self.rows("sms")]
        self.assertEqual(sizes, [10, 200, 70_000])
        url = f"ws://127.0.0.1:{self.example_broker.port}/"
        for sender, said in (
            ("php send.php", "send.php: HTTP/1.1 401 Unauthorized\n"),
            ("python3 send.py", f"send.py: {url}: refused: 401 Unauthorized\n"),
        ):
            wrong = subprocess.run(
                ["sh", "-c", f"{self.lines[0]}; WSMB_PASSWORD=wrong {sender} 1 x"],
                cwd=self.here,
                env=self.environ,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
            self.assertEqual((wrong.returncode, wrong.stdout, wrong.stderr), (1, "", said))


class SensorTests(ExampleCase):
    name = "sensors"

    def test_the_watcher_warns_of_what_is_above(self) -> None:
        self.run_line(self.line("python3 sensor.py").replace("cellar 10", "cellar 10 0.001"))
        watcher = self.start_line(self.line("wsmb receive readings"))
        warnings = [watcher.stdout.readline() for _ in range(3)]
        self.assertEqual(warnings, [f"cellar: {celsius} degrees\n" for celsius in (35, 32, 32)])


class SwitchTests(ExampleCase):
    name = "switch"

    def test_on_and_off_with_an_answer(self) -> None:
        self.start_line(self.line("wsmb receive switch"))
        self.assertEqual(self.run_line(self.line("./set.sh on")), '"on"\n')
        self.assertEqual((self.here / "state.txt").read_text(), "on\n")
        self.assertEqual(self.run_line(f"{self.lines[0]}; ./set.sh off"), '"off"\n')
        self.assertEqual(self.run_line(f"{self.lines[0]}; ./set.sh ask"), '"off"\n')
