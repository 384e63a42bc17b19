"""Tests for `wsmb access explain`: what it prints, and its exit status."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from wsmb.cli import access
from wsmb.cli.arguments import UsageError
from wsmb.cli.main import main

INI = """\
[access]
group[] = gateways: office, home
allow[] = shop send sms
file = access.conf
receivers[] = shop 1
"""
CONF = "deny office * sms\nallow @gateways receive sms\nallow admin * $events\n"


class ExplainTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.ini, self.conf = folder / "wsmb.ini", folder.absolute() / "access.conf"
        self.ini.write_text(INI)
        self.conf.write_text(CONF)

    def explain(self, *argv: str, environ: dict[str, str] | None = None) -> tuple[int, list[str]]:
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            status = access.main(["explain", *argv], environ or {"WSMB_CONFIG": str(self.ini)})
        self.assertEqual(err.getvalue(), "")
        return status, out.getvalue().splitlines()

    def test_the_line_that_allows(self) -> None:
        expected = [
            f"allowed by {self.ini} line 3: allow shop send sms",
            f"number_of_receiver 1 at most, by {self.ini} line 5: receivers shop 1",
        ]
        self.assertEqual(self.explain("shop", "send", "sms"), (0, expected))
        self.assertEqual(
            self.explain("home", "receive", "sms"),
            (0, [f"allowed by {self.conf} line 2: allow @gateways receive sms"]),
        )

    def test_what_docs_security_md_says(self) -> None:
        text = (Path(__file__).parents[1] / "docs" / "security.md").read_text()
        ini, conf = (block.partition("\n```")[0] for block in text.split("```ini\n")[1].split("```text\n# "))
        self.ini.write_text(ini)
        examples = re.findall(r"\$ wsmb access explain (.+) --config wsmb.ini\n    (.+)", text)
        for argv, answer in examples:
            _, lines = self.explain(*argv.split())
            self.assertEqual([line.replace(str(self.ini), "wsmb.ini") for line in lines], [answer])
        self.assertEqual(len(examples), 2)
        self.ini.write_text("[access]\nfile = access.conf\n")
        self.conf.write_text(f"# {conf}")
        self.assertEqual(self.explain("shop", "send", "sms")[0], 0)

    def test_the_line_that_denies(self) -> None:
        expected = [f"denied by {self.conf} line 1: deny office * sms"]
        self.assertEqual(self.explain("office", "receive", "sms"), (1, expected))

    def test_no_line(self) -> None:
        self.assertEqual(self.explain("shop", "receive", "sms"), (1, ["denied: no line fits"]))

    def test_a_reserved_name(self) -> None:
        self.assertEqual(self.explain("admin", "receive", "$events")[0], 0)
        status, lines = self.explain("shop", "receive", "$events")
        self.assertEqual((status, "begin with $" in lines[0]), (1, True))

    def test_nobody_sends_on_a_reserved_name(self) -> None:
        expected = (1, ["denied: on names that begin with $ only the broker sends"])
        self.assertEqual(self.explain("admin", "send", "$events"), expected)
        self.ini.write_text("[server]\n")
        self.assertEqual(self.explain("admin", "send", "$events"), expected)

    def test_no_list(self) -> None:
        self.ini.write_text("[server]\n")
        status, lines = self.explain("a", "send", "b")
        self.assertEqual((status, lines[0].partition(":")[0]), (0, "allowed"))
        status, lines = self.explain("a", "send", "b", environ={"PATH": ""})
        self.assertEqual((status, "no configuration file" in lines[0]), (0, True))

    def test_the_option_goes_before_the_environment(self) -> None:
        environ = {"WSMB_CONFIG": "absent"}
        argv = ("shop", "send", "sms", "--config", str(self.ini))
        self.assertEqual(self.explain(*argv, environ=environ)[0], 0)

    def test_wrong_usage_and_what_cannot_be_read(self) -> None:
        for argv, text in (
            (("shop", "send"), "CHANNEL"),
            (("shop", "publish", "sms"), "publish"),
            (("shop", "send", ""), "empty channel name"),
            (("shop", "send", "sms", "--config", "absent"), "absent: cannot be read"),
        ):
            with self.assertRaisesRegex(UsageError, text):
                self.explain(*argv)
        self.conf.write_text("allow shop\n")
        with self.assertRaisesRegex(UsageError, "line 1: allow: has 1 words"):
            self.explain("shop", "send", "sms")

    def test_as_a_command(self) -> None:
        for argv, status in (
            (("explain", "shop", "send", "sms"), 0),
            (("explain", "shop", "send", "x"), 1),
            (("explain",), 2),
            (("--help",), 0),
        ):
            with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
                options = () if argv == ("--help",) else ("--config", str(self.ini))
                self.assertEqual(main(["access", *argv, *options]), status)
            self.assertEqual(bool(out.getvalue()), status != 2)
            self.assertEqual(err.getvalue().count("\n"), int(status == 2))
