"""Where the settings of a broker come from, so that they can be read again while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from wsmb.config.load import load_settings
from wsmb.errors import SettingError
from wsmb.settings import Settings
from wsmb.stamps import Stamp, stamp
from wsmb.user_files import Reading, UserFiles


class Loaded(NamedTuple):
    """All that the files say: the settings, and the users."""

    settings: Settings
    user_files: UserFiles
    users: Reading


class SettingsSource:
    """The command line, the environment and the folder as they were at the start; see load_settings."""

    def __init__(
        self,
        *,
        config_file: str | None,
        overrides: Mapping[str, object],
        environ: Mapping[str, str],
        cwd: str,
    ) -> None:
        self._config_file = config_file
        self._overrides = dict(overrides)
        self._environ = dict(environ)
        self._cwd = cwd
        self.stamps: Mapping[str, Stamp] = {}
        """Of the files whose change could make the last load come out differently, as they were before it.

        Those with the users are among them only if it failed: who has read them looks after them.
        """

    def load(self) -> Settings:
        """The settings. Raises SettingError. Blocks."""
        stamps: dict[str, Stamp] = {}
        try:
            settings = load_settings(
                config_file=self._config_file,
                overrides=self._overrides,
                environ=self._environ,
                cwd=self._cwd,
                stamps=stamps,
            )
        except SettingError:
            self.stamps = stamps
            raise
        self.stamps = {file: one for file, one in stamps.items() if file not in settings.htpasswd_files}
        return settings

    def load_all(self) -> Loaded:
        """The settings and the users. Raises SettingError if there is anything wrong with either. Blocks."""
        settings = self.load()
        user_files = UserFiles(settings.htpasswd_files, settings.htpasswd_lines)
        before = dict(zip(settings.htpasswd_files, user_files.stamps(), strict=True))
        try:
            return Loaded(settings, user_files, user_files.read())
        except SettingError:
            self.stamps = {**self.stamps, **before}
            raise

    def stamps_now(self) -> Mapping[str, Stamp]:
        """What to compare `stamps` with."""
        return {file: stamp(file) for file in self.stamps}
