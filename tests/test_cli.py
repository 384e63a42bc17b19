"""Tests for the `wsmb` command's arguments: usage, help, exit codes, and no password shown."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from wsmb import __version__
from wsmb.cli import arguments, ping, receive, send
from wsmb.cli.main import COMMANDS, main

ENVIRON = {"WSMB_USER": "qa", "WSMB_PASSWORD": "s3cret"}


class MainTests(SynchronousTestCase):
    def run_it(self, *argv: str) -> tuple[int, str, str]:
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            status = main(argv)
        return status, out.getvalue(), err.getvalue()

    def test_version(self) -> None:
        self.assertEqual(self.run_it("--version"), (0, f"wsmb {__version__}\n", ""))

    def test_help_names_each_command_and_the_exit_codes(self) -> None:
        status, out, err = self.run_it("--help")
        self.assertEqual((status, err), (0, ""))
        for word in (*COMMANDS, "exit codes: 0 done, 1 failed"):
            self.assertIn(word, out)

    def test_each_command_has_help_with_an_example(self) -> None:
        for name in ("send", "receive", "ping", "dead-letters"):
            status, out, err = self.run_it(name, "--help")
            self.assertEqual((status, err), (0, ""))
            for part in (
                f"usage: wsmb {name} ",
                f"example:\n  wsmb {name} ",
                "exit codes: 0",
                "WSMB_PASSWORD",
            ):
                self.assertIn(part, out)

    def test_no_command(self) -> None:
        for argv in ((), ("nosuch",), ("--nosuch",)):
            status, out, err = self.run_it(*argv)
            self.assertEqual((status, out, err.count("\n")), (2, "", 1))
            self.assertIn("send, receive, ping, dead-letters", err)

    def test_wrong_usage_is_one_line(self) -> None:
        for argv in (("send", "--timeout", "x"), ("receive",), ("ping", "--url", "x")):
            status, out, err = self.run_it(*argv)
            self.assertEqual((status, out, err.count("\n")), (2, "", 1))
            self.assertTrue(err.startswith(f"wsmb {argv[0]}: "))

    def test_passwd(self) -> None:
        status, _, err = self.run_it("passwd")
        self.assertEqual(status, 2)
        self.assertIn("wsmb passwd", err)

    def test_nobody_reads_the_output(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "wsmb.cli.main", "completion", "bash"],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
        os.close(writing)
        self.assertEqual((done.returncode, done.stderr), (1, b""))

    def test_no_room_for_the_output(self) -> None:
        with open("/dev/full", "w") as full:
            for argv in (["completion", "bash"], ["init", "--directory", self.mktemp()]):
                done = subprocess.run(
                    [sys.executable, "-m", "wsmb.cli.main", *argv],
                    env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
                    stdout=full,
                    stderr=subprocess.PIPE,
                    text=True,
                    check=False,
                )
                said = f"wsmb {argv[0]}: standard output: No space left on device"
                self.assertEqual((done.returncode, done.stderr.splitlines()[-1]), (1, said))

    def test_what_starts_fast_imports_no_twisted(self) -> None:
        program = (
            "import sys; from wsmb.cli.main import main;"
            "print(main(['passwd']), main(['send', 'c', 'x']), 'twisted' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **ENVIRON, "PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(done.stdout, "2 2 False\n")


class UsageTests(SynchronousTestCase):
    """What is refused before anything is connected or imported."""

    def assert_refused(self, text: str, command: object, *argv: str, **environ: str) -> None:
        with self.assertRaisesRegex(arguments.UsageError, text) as caught:
            command.main(argv, {**ENVIRON, **environ})
        self.assertNotIn("\n", str(caught.exception))
        self.assertNotIn("geheim", str(caught.exception))

    def test_password_as_an_argument(self) -> None:
        for argv in (["--password", "geheim"], ["--password=geheim"], ["-p", "geheim"], ["-pgeheim"]):
            for command in (send, receive, ping):
                self.assert_refused("a password is never an argument.*--help", command, *argv)

    def test_password_in_the_url(self) -> None:
        for command, words in ((send, ["c", "1"]), (receive, ["c"]), (ping, [])):
            self.assert_refused("--password-file", command, *words, "--url", "ws://qa:geheim@h/")

    def test_no_credentials(self) -> None:
        self.assert_refused("set WSMB_USER", ping, WSMB_USER="", WSMB_PASSWORD="x")
        self.assert_refused("set WSMB_PASSWORD", ping, WSMB_PASSWORD="")

    def test_an_item_that_is_no_json_is_named_and_nothing_is_sent(self) -> None:
        self.assert_refused("ITEM 2 is not JSON; nothing was sent; --text", send, "c", "1", "hello", "2")

    def test_an_item_that_is_no_utf_8(self) -> None:
        self.assert_refused("ITEM 1 is not JSON; nothing was sent", send, "c", '"\udcff"')
        self.assert_refused("ITEM 1 is not UTF-8; nothing was sent", send, "--text", "c", "\udcff")

    def test_channels(self) -> None:
        for command in (send, receive):
            self.assert_refused("set MQ_CHANNEL_NAME", command)
            self.assert_refused("empty channel name", command, "")
            self.assert_refused("at most 100", command, "x" * 101)

    def test_numbers(self) -> None:
        for argv in (["--number-of-receiver", "-1"], ["--number-of-receiver", "x"], ["--timeout", "0"]):
            self.assert_refused("is needed", send, "c", "1", *argv)
        for timeout in ("nan", "inf", "-1", ""):
            self.assert_refused("a number of seconds", ping, f"--timeout={timeout}")
        self.assert_refused("a whole number", receive, "c", "--count=1.5")

    def test_message_ids(self) -> None:
        for argv in (["c", "1", "--message-id", ""], ["c", "--message-id", ""]):
            self.assert_refused("--message-id: empty", send, *argv)
        self.assert_refused("--message-id: .* at most 64 char", send, "c", "1", "--message-id", "x" * 65)
        self.assert_refused("64 characters, 14 of them for", send, "c", "1", "2", "--message-id", "x" * 51)

    def test_too_many(self) -> None:
        self.assert_refused("a password is never", ping, "geheim")
        self.assert_refused("too many arguments", ping, "--", "geheim")

    def test_nothing_to_count(self) -> None:
        self.assertEqual(receive.main(["c", "--count", "0"], ENVIRON), 0)


class ArgumentTests(SynchronousTestCase):
    def words(self, *argv: str) -> list[str]:
        parser = arguments.Parser("wsmb x", "", "", "")
        parser.add_argument("words", nargs="*")
        parser.add_argument("--text", action="store_true")
        parser.add_target()
        return parser.read(argv).words

    def test_options_anywhere(self) -> None:
        for argv in (["--text", "a", "b"], ["a", "--text", "b"], ["a", "b", "--text"]):
            self.assertEqual(self.words(*argv), ["a", "b"])

    def test_negative_numbers_and_what_looks_like_an_option(self) -> None:
        self.assertEqual(self.words("a", "-5"), ["a", "-5"])
        self.assertEqual(self.words("a", "--text", "--", "--text", "--"), ["a", "--text", "--"])

    def test_default_channel(self) -> None:
        self.assertEqual(arguments.channels([], {"MQ_CANNEL_NAME": "sms"}), ["sms"])
        self.assertEqual(arguments.channels(["a", "b", "a"], {"MQ_CANNEL_NAME": "sms"}), ["a", "b"])


class PasswordFileTests(SynchronousTestCase):
    def password(self, content: bytes | None) -> str:
        path = self.mktemp()
        if content is not None:
            Path(path).write_bytes(content)
        parser = arguments.Parser("wsmb x", "", "", "")
        parser.add_target()
        return arguments.target(parser.read(["--password-file", path]), ENVIRON).password

    def test_first_line(self) -> None:
        self.assertEqual(self.password(b" a b \r\nsecond\n"), " a b ")
        self.assertEqual(self.password("é".encode()), "é")

    def test_missing_or_empty(self) -> None:
        for content, text in ((None, "No such file"), (b"", "first line is empty"), (b"\nx", "first line")):
            with self.assertRaisesRegex(arguments.UsageError, f"--password-file .*{text}"):
                self.password(content)
