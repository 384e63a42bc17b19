"""Tests for wsmb.config.source: which files settings come from, and reading them again."""

from __future__ import annotations

import os

from tests.support_config import ConfigCase
from wsmb import htpasswd
from wsmb.config import SettingsSource
from wsmb.errors import SettingError

HASH = htpasswd.bcrypt_hash(b"x", 4)


class SourceTests(ConfigCase):
    def source(
        self, ini: str | None, env: dict[str, str] | None = None, **overrides: object
    ) -> SettingsSource:
        if ini is not None:
            self.write(self.file, ini.encode())
        config_file = None if ini is None else os.path.relpath(self.file, self.cwd)
        return SettingsSource(config_file=config_file, overrides=overrides, environ=env or {}, cwd=self.cwd)

    def names(self, source: SettingsSource) -> set[str]:
        return {os.path.relpath(os.path.realpath(file), self.etc) for file in source.stamps}

    def test_the_files(self) -> None:
        self.write(os.path.join(self.etc, "list"), b"allow a send b\n")
        source = self.source("[credential]\nhtpasswd = .htpasswd\n[access]\nfile = list\n")
        source.load()
        self.assertEqual(self.names(source), {"wsmb.ini", "list"})
        self.assertEqual(source.stamps_now(), source.stamps)
        self.assertTrue(all(map(os.path.isabs, source.stamps)))

    def test_each_change_is_seen(self) -> None:
        access = self.write(os.path.join(self.etc, "list"), b"allow a send b\n")
        source = self.source("[credential]\nhtpasswd = .htpasswd\n[access]\nfile = list\n")
        for file in (self.file, access):
            source.load()
            os.chmod(file, 0o640)
            self.assertNotEqual(source.stamps_now(), source.stamps)
            source.load()
            os.rename(file, file + ".old")
            self.assertNotEqual(source.stamps_now(), source.stamps)
            os.rename(file + ".old", file)

    def test_the_environment_and_the_folder_are_those_of_the_start(self) -> None:
        env = {"WSMB_PING_INTERVAL": "5", "WSMB_ACCESS_FILE": "list"}
        self.write(os.path.join(self.cwd, "list"), b"allow a send b\n")
        source = self.source("[credential]\nhtpasswd = .htpasswd\n", env)
        env.clear()
        before = os.getcwd()
        os.chdir("/")
        self.addCleanup(os.chdir, before)
        settings = source.load()
        self.assertEqual(settings.ping_interval_s, 5.0)
        self.assertIsNotNone(settings.access)
        self.assertEqual(self.names(source), {"wsmb.ini", "../cwd/list"})

    def test_without_a_file_there_is_nothing_to_watch(self) -> None:
        source = self.source(None, htpasswd=".htpasswd")
        source.load()
        self.assertEqual(dict(source.stamps), {})

    def test_what_has_failed_is_watched_as_well(self) -> None:
        for ini, names in (
            ("[access]\nfile = absent\n[credential]\nhtpasswd = .htpasswd\n", {"wsmb.ini", "absent"}),
            ("[credential]\nhtpasswd = absent\n", {"wsmb.ini", "absent"}),
            ("nonsense", {"wsmb.ini"}),
        ):
            source = self.source(ini)
            with self.assertRaises(SettingError):
                source.load_all()
            self.assertEqual(self.names(source), names, ini)

    def test_the_users_as_well(self) -> None:
        self.write(os.path.join(self.etc, ".htpasswd"), f"a:{HASH}\n".encode())
        source = self.source("[credential]\nhtpasswd = .htpasswd\n")
        loaded = source.load_all()
        self.assertEqual(list(loaded.users.users.hashes), ["a"])
        self.assertEqual(loaded.settings, source.load())
        self.assertEqual(self.names(source), {"wsmb.ini"})

    def test_users_of_whom_none_can_come_in_are_an_error_and_watched(self) -> None:
        source = self.source("[credential]\nhtpasswd = .htpasswd\n")
        with self.assertRaisesRegex(SettingError, "no valid user: line 1"):
            source.load_all()
        self.assertEqual(self.names(source), {"wsmb.ini", ".htpasswd"})
        self.assertEqual(source.stamps_now(), source.stamps)
