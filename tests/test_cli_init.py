"""Tests for `wsmb init`: what it writes, and that it overwrites nothing."""

from __future__ import annotations

import io
import os
import stat
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from wsmb import htpasswd
from wsmb.cli.main import main
from wsmb.config import SettingsSource


class InitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()

    def init(self, *argv: str) -> tuple[int, str, str]:
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            status = main(["init", "--directory", str(self.folder), *argv])
        return status, out.getvalue(), err.getvalue()

    def test_the_configuration_is_good_and_the_password_is_right(self) -> None:
        status, out, err = self.init("--user", "it's me", "--port", "1234")
        self.assertEqual(status, 0)
        config = str(self.folder / "wsmb.ini")
        loaded = SettingsSource(config_file=config, overrides={}, environ={}, cwd="/").load_all()
        self.assertEqual(loaded.settings.listen, ("tcp:1234:interface=127.0.0.1",))
        self.assertEqual(loaded.settings.warnings, ())
        self.assertTrue(loaded.settings.keeps_data)
        self.assertEqual(out.count("\n"), 1)
        password = out.rpartition("WSMB_PASSWORD=")[2].strip()
        self.assertTrue(htpasswd.verify(password.encode(), loaded.users.users.hashes["it's me"]))
        self.assertGreaterEqual(len(password), 24)
        self.assertNotIn(password, err)

    def test_only_the_owner_can_read_the_users(self) -> None:
        self.init()
        self.assertEqual(stat.S_IMODE((self.folder / "htpasswd").stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.folder.stat().st_mode) & 0o077, 0)

    def test_another_password_each_time(self) -> None:
        first = self.init()[1]
        self.folder = Path(self.mktemp()).absolute()
        self.assertNotEqual(self.init()[1], first)

    def test_nothing_is_overwritten_and_nothing_half_written(self) -> None:
        for name, other in (("wsmb.ini", "htpasswd"), ("htpasswd", "wsmb.ini")):
            self.folder = Path(self.mktemp()).absolute()
            self.folder.mkdir()
            (self.folder / name).write_text("mine")
            status, out, err = self.init()
            self.assertEqual((status, out, err.count("\n")), (1, "", 1))
            self.assertIn(f"{name}: File exists", err)
            self.assertEqual((self.folder / name).read_text(), "mine")
            self.assertEqual(os.listdir(self.folder), [name], f"and no {other}")

    def test_wrong_usage(self) -> None:
        for argv in (["--user", "a:b"], ["--port", "0"], ["--port", "65536"], ["geheim"]):
            status, out, err = self.init(*argv)
            self.assertEqual((status, out, err.count("\n")), (2, "", 1))
            self.assertFalse(self.folder.exists())
