"""The vocabulary of the tests of wsmb.config: a folder for the file, another to be in."""

from __future__ import annotations

import os
import shutil
import tempfile
import traceback
import unittest
from collections.abc import Mapping

from wsmb.config import load_settings
from wsmb.errors import SettingError
from wsmb.settings import Settings

SECRET = "s3cr3tW0rd"


NOBODY = 65_534


class ConfigCase(unittest.TestCase):
    """Loads settings from texts. Every error is checked to be one line without the SECRET."""

    def setUp(self) -> None:
        root = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, root)
        self.etc = os.path.join(root, "etc")
        self.cwd = os.path.join(root, "cwd")
        for folder in (self.etc, self.cwd):
            os.mkdir(folder)
            self.write(os.path.join(folder, ".htpasswd"), b"user:hash\n")
        self.file = os.path.join(self.etc, "wsmb.ini")

    def lose_privileges(self) -> None:
        """Be somebody whom file modes bind, for the rest of the test."""
        if os.geteuid() == 0:
            os.chmod(os.path.dirname(self.cwd), 0o755)
            os.seteuid(NOBODY)
            self.addCleanup(os.seteuid, 0)

    def write(self, path: str, data: bytes) -> str:
        with open(path, "wb") as file:
            file.write(data)
        return path

    def load_bare(
        self, ini: str | bytes | None = None, env: Mapping[str, str] | None = None, **overrides: object
    ) -> Settings:
        """Without any user."""
        if ini is not None:
            self.write(self.file, ini if isinstance(ini, bytes) else ini.encode())
        config_file = None if ini is None else self.file
        return load_settings(config_file=config_file, overrides=overrides, environ=env or {}, cwd=self.cwd)

    def load(
        self, ini: str | bytes | None = None, env: Mapping[str, str] | None = None, **overrides: object
    ) -> Settings:
        """With a file of users from the command line."""
        return self.load_bare(ini, env, **{"htpasswd": ".htpasswd", **overrides})

    def refusal(
        self, ini: str | bytes | None = None, env: Mapping[str, str] | None = None, **overrides: object
    ) -> str:
        """The text of the error that `load` ends with."""
        with self.assertRaises(SettingError) as caught:
            self.load(ini, env, **overrides)
        return self.checked(caught.exception)

    def checked(self, error: SettingError) -> str:
        text = str(error)
        self.assertEqual(len(text.splitlines()), 1, text)
        self.assertNotIn(SECRET, "".join(traceback.format_exception(error)))
        return text.replace(self.etc + os.sep, "")

    def warnings(
        self, ini: str | bytes | None = None, env: Mapping[str, str] | None = None, **overrides: object
    ) -> list[str]:
        warnings = self.load(ini, env, **overrides).warnings
        self.assertNotIn(SECRET, " ".join(warnings))
        return [warning.replace(self.etc + os.sep, "") for warning in warnings]
