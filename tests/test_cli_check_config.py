"""Tests for `wsmb check-config`: what it prints, and its exit status."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from wsmb import htpasswd
from wsmb.cli import check_config
from wsmb.cli.main import main

SECRET = "s3cr3tW0rd"
INI = """\
[server]
keep_data = true
[credential]
htpasswd = users
[access]
allow[] = qa send sms
[channel sms]
limit = 3
"""


class CheckConfigTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.ini, self.users = folder / "wsmb.ini", folder / "users"
        self.ini.write_text(INI)
        self.users.write_text(f"qa:{htpasswd.bcrypt_hash(b'x', 4)}\n")

    def check(self, *argv: str, environ: dict[str, str] | None = None) -> tuple[int, str, str]:
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            status = check_config.main(argv or ("--config", str(self.ini)), environ or {})
        return status, out.getvalue(), err.getvalue()

    def test_a_good_file(self) -> None:
        expected = (
            f"{self.ini}: good; 1 users, 1 allow and deny lines, 1 sections of channels, "
            f"messages are kept in sqlite:{self.ini.parent}/wsmb.sqlite3\n"
        )
        self.assertEqual(self.check(), (0, expected, ""))
        self.assertFalse((self.ini.parent / "wsmb.sqlite3").exists())

    def test_a_bad_file(self) -> None:
        for bad in (INI.replace("3", "many"), INI.replace("qa send sms", "qa"), f"{INI}[x]\n"):
            self.ini.write_text(bad)
            status, out, err = self.check()
            self.assertEqual((status, out, err.count("\n")), (1, "", 1), bad)
            self.assertTrue(err.startswith("wsmb check-config: "))
            self.assertIn(" line ", err)

    def test_users_that_the_broker_would_not_take(self) -> None:
        self.users.write_text(f"qa:{SECRET}\n")
        status, out, err = self.check()
        self.assertEqual((status, out), (1, ""))
        self.assertIn("no valid user: line 1", err)
        self.assertNotIn(SECRET, err)

    def test_warnings(self) -> None:
        self.ini.write_text(f"{INI}[secret]\nx = {SECRET}\n")
        self.users.write_text(f"{self.users.read_text()}qb:{SECRET}\n")
        status, out, err = self.check()
        self.assertEqual((status, out.count("\n"), err.count("warning: ")), (0, 1, 2))
        self.assertIn("[secret]", err)
        self.assertIn(f"lines passed over in {self.users}: line 2", err)
        self.assertNotIn(SECRET, out + err)

    def test_the_environment_and_the_broker_s_other_options_count(self) -> None:
        environ = {"WSMB_CONFIG": str(self.ini), "WSMB_PING_INTERVAL": "often"}
        status, _, err = self.check("--keep-data", "false", environ=environ)
        self.assertEqual((status, "environment WSMB_PING_INTERVAL" in err), (1, True))
        del environ["WSMB_PING_INTERVAL"]
        status, out, _ = self.check("--keep-data", "false", environ=environ)
        self.assertEqual((status, "no messages are kept" in out), (0, True))
        self.assertEqual(self.check("--htpasswd", "absent", environ=environ)[0], 1)

    def test_sockets_of_systemds(self) -> None:
        """Whether they are there cannot be known here, but whether the broker could ask for them."""
        status, out, _ = self.check("--config", str(self.ini), "--listen", "systemd:domain=INET:index=0")
        self.assertEqual((status, "only systemd can start it" in out), (0, True))
        status, _, err = self.check("--config", str(self.ini), "--listen", "systemd:index=0")
        self.assertEqual((status, "'systemd:index=0' cannot be used; give systemd:domain=" in err), (1, True))

    def test_as_a_command(self) -> None:
        # What the tests themselves are told by the environment is no setting.
        ours = {name: value for name, value in os.environ.items() if name.startswith("WSMB_")}
        self.addCleanup(os.environ.update, ours)
        for name in ours:
            del os.environ[name]
        for argv, status in (
            (("--config", str(self.ini)), 0),
            (("--config", "absent"), 1),
            (("--nosuch",), 2),
            (("--help",), 0),
        ):
            with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
                self.assertEqual(main(["check-config", *argv]), status, argv)
            self.assertEqual(
                (bool(out.getvalue()), err.getvalue().count("\n")), (status == 0, int(status > 0))
            )
